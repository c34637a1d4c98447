//! One replica refreshes for all.

use std::time::Duration;

use courier_auth_core::{RedisCache, SharedCache, TokenRequest, emulator::Fault};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    control::eventually,
    for_each_server,
    replica::{builder, counts, courier, token},
    server::{Kind, Server},
};

for_each_server!(
    one_replica_of_many_refreshes,
    a_lock_is_given_back_by_its_owner_alone,
);

async fn one_replica_of_many_refreshes(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            builder(&courier)
                .lifetime(LIFETIME)
                .shared_cache(RedisCache::new(redis.url()).unwrap())
                .build()
                .unwrap()
        })
        .collect();
    let old = token(&courier, &replicas[0], "alice").await;
    let aging = Instant::now() + AGING;
    eventually(async || redis.keys().await.len() == 1).await;
    for replica in &replicas {
        token(&courier, replica, "alice").await;
    }
    assert_eq!(courier.token_requests(), 1);

    sleep_until(aging).await;
    courier.fail(Fault::Latency(Duration::from_millis(500)));
    for replica in &replicas {
        let request = TokenRequest::for_user("alice");
        assert_eq!(replica.token(&request).await.unwrap().id(), old.id());
    }
    let yielded = async || {
        replicas
            .iter()
            .map(|each| counts(each).yielded)
            .sum::<u64>()
    };
    eventually(async || yielded().await == replicas.len() as u64 - 1).await;
    // The others look again when they are asked again.
    eventually(async || {
        let mut new = 0;
        for replica in &replicas {
            new += usize::from(token(&courier, replica, "alice").await.id() != old.id());
        }
        new == replicas.len()
    })
    .await;
    assert_eq!(courier.token_requests(), 2);
    // The token, and no lock.
    assert_eq!(redis.keys().await.len(), 1);
}

async fn a_lock_is_given_back_by_its_owner_alone(kind: Kind) {
    let redis = Server::start(kind, &[]).await;
    let (one, two) = (
        RedisCache::new(redis.url()).unwrap(),
        RedisCache::new(redis.url()).unwrap(),
    );
    let ttl = Duration::from_secs(60);
    assert!(one.try_lock("lock", "one", ttl).await.unwrap());
    assert!(!two.try_lock("lock", "two", ttl).await.unwrap());
    two.unlock("lock", "two").await.unwrap();
    assert!(!two.try_lock("lock", "two", ttl).await.unwrap());
    one.unlock("lock", "one").await.unwrap();
    assert!(two.try_lock("lock", "two", ttl).await.unwrap());

    // A server that restarted has forgotten the script.
    let _ok: String = redis.ask(&["SCRIPT", "FLUSH"]).await;
    two.unlock("lock", "two").await.unwrap();
    assert_eq!(redis.keys().await, <[String; 0]>::default());

    // Its holder died.
    assert!(
        one.try_lock("lock", "one", Duration::from_millis(100))
            .await
            .unwrap()
    );
    sleep(Duration::from_millis(200)).await;
    assert!(two.try_lock("lock", "two", ttl).await.unwrap());
    one.unlock("lock", "one").await.unwrap();
    assert!(!one.try_lock("lock", "one", ttl).await.unwrap());
}

/// Short, and with time to spare in the aging zone.
const LIFETIME: Duration = Duration::from_secs(20);
/// A quarter of it is left.
const AGING: Duration = Duration::from_millis(15_100);
