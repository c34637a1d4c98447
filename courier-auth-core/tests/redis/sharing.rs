//! What the shared cache is for.

use courier_auth_core::RedisCache;

use crate::{
    control::{Monitor, eventually},
    for_each_server,
    replica::{API_KEY, builder, courier, finds, replica, sharing, token, users},
    server::{Kind, Server, free_port},
};

for_each_server!(
    a_token_is_issued_once_for_all_replicas,
    a_deploy_costs_no_calls,
    fresh_hits_send_no_command,
    an_invalidated_user_gets_a_new_token_from_every_replica_that_has_none,
    a_prefix_keeps_apps_apart,
    a_value_shows_neither_user_nor_token,
);

#[test]
fn a_provider_is_built_without_a_runtime_and_without_a_server() {
    let nobody = format!("redis://127.0.0.1:{}/", free_port());
    courier_auth_core::TokenProvider::builder(API_KEY)
        .shared_cache(RedisCache::new(&nobody).unwrap())
        .build()
        .unwrap();
}

async fn a_token_is_issued_once_for_all_replicas(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let new = || replica(&courier, &redis.url());
    let first = token(&courier, &new(), "user-0").await;
    eventually(async || redis.keys().await.len() == 1).await;
    let other = finds(&courier, new, &users("user", 1)).await;
    assert_eq!(token(&courier, &other, "user-0").await.id(), first.id());
    assert_eq!(courier.token_requests(), 1);

    let ttl: u64 = redis.ask(&["PTTL", &redis.keys().await[0]]).await;
    let left = first.expires_in().as_millis() as u64;
    assert!(ttl <= left && ttl + 60_000 > left, "{ttl} of {left} ms");
}

async fn a_deploy_costs_no_calls(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let (old, users) = (replica(&courier, &redis.url()), users("user", 50));
    for user in &users {
        token(&courier, &old, user).await;
    }
    eventually(async || redis.keys().await.len() == users.len()).await;
    for _deploy in 0..3 {
        finds(&courier, || replica(&courier, &redis.url()), &users).await;
    }
}

async fn fresh_hits_send_no_command(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = replica(&courier, &redis.url());
    let first = token(&courier, &replica, "alice").await;
    eventually(async || redis.keys().await.len() == 1).await;
    let mut monitor = Monitor::of(&redis).await;
    for _ in 0..1000 {
        assert_eq!(token(&courier, &replica, "alice").await.id(), first.id());
    }
    assert_eq!(monitor.commands().await, <[Vec<String>; 0]>::default());
}

async fn an_invalidated_user_gets_a_new_token_from_every_replica_that_has_none(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let new = || replica(&courier, &redis.url());
    let user = users("user", 1);
    let one = new();
    let old = token(&courier, &one, "user-0").await;
    eventually(async || redis.keys().await.len() == 1).await;
    let two = finds(&courier, new, &user).await;
    let value = redis.value(&redis.keys().await[0]).await;

    one.invalidate("user-0");
    eventually(async || redis.keys().await.len() == 2).await;
    let third = token(&courier, &new(), "user-0").await;
    assert_ne!(third.id(), old.id());
    assert_eq!(courier.token_requests(), 2);
    // A fresh token is served without a look.
    assert_eq!(token(&courier, &two, "user-0").await.id(), old.id());

    let overwritten = async || {
        for key in redis.keys().await {
            if redis.value(&key).await == value {
                return false;
            }
        }
        true
    };
    eventually(overwritten).await;
    let fourth = finds(&courier, new, &user).await;
    assert_eq!(token(&courier, &fourth, "user-0").await.id(), third.id());
}

async fn a_prefix_keeps_apps_apart(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let app = |prefix: &str| {
        let cache = RedisCache::new(redis.url()).unwrap();
        sharing(&courier, cache.prefix(prefix))
    };
    let user = users("user", 1);
    for (number, prefix) in ["shop", "forum"].into_iter().enumerate() {
        token(&courier, &app(prefix), "user-0").await;
        assert_eq!(courier.token_requests(), number + 1);
        eventually(async || redis.keys().await.len() == number + 1).await;
    }
    for prefix in ["shop", "forum"] {
        finds(&courier, || app(prefix), &user).await;
    }
    let keys = redis.keys().await;
    assert!(
        keys[0].starts_with("forum:") && keys[1].starts_with("shop:"),
        "{keys:?}"
    );
}

#[expect(clippy::print_stdout, reason = "to look at")]
async fn a_value_shows_neither_user_nor_token(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let one = builder(&courier)
        .shared_cache(RedisCache::new(redis.url()).unwrap())
        .build()
        .unwrap();
    let secret = token(&courier, &one, "alice@example.com").await;
    one.invalidate("bob@example.com");
    eventually(async || redis.keys().await.len() == 2).await;
    let clear = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for key in redis.keys().await {
        let value = redis.value(&key).await;
        println!("{key}\n{}", hexdump(&value));
        for known in [API_KEY, "alice", "example", "eyJ", "scope", "token"] {
            assert!(!key.contains(known), "{key}");
            assert!(!clear(&value).contains(known), "{known}");
        }
        for part in secret.as_str().split('.') {
            assert!(!clear(&value).contains(part));
        }
    }
}

/// Like `hexdump -C`.
fn hexdump(bytes: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text: String = line
            .iter()
            .map(|&byte| match byte {
                b' '..=b'~' => char::from(byte),
                _ => '.',
            })
            .collect();
        format!("{:08x}  {hex:<48} |{text}|\n", 16 * number)
    };
    bytes.chunks(16).enumerate().map(line).collect()
}
