//! API keys change, and what is in the cache stays of use.

use courier_auth_core::{RedisCache, TokenProvider, emulator::Emulator};

use crate::{
    control::eventually,
    for_each_server,
    replica::{builder, courier, replica, token},
    server::{Kind, Server},
};

for_each_server!(
    a_new_api_key_costs_no_calls,
    an_encryption_key_outlives_api_keys,
);

async fn a_new_api_key_costs_no_calls(kind: Kind) {
    let (old, redis) = (courier().await, Server::start(kind, &[]).await);
    let tokens = old.emulator().clone();
    let running = replica(&old, &redis.url());
    token(&tokens, &running, "alice").await;
    eventually(async || redis.keys().await.len() == 1).await;
    let idle = replica(&old, &redis.url());

    // Courier knows the new key alone.
    let port = old.url().rsplit(':').next().unwrap().parse().unwrap();
    old.shutdown().await;
    let new = Emulator::with_api_key("pk_test_new")
        .serve(port)
        .await
        .unwrap();
    for replica in [&running, &idle] {
        replica.set_api_key("pk_test_new").unwrap();
        token(&tokens, replica, "alice").await;
    }
    let told = builder(&new)
        .previous_api_key("pk_test_canary")
        .shared_cache(RedisCache::new(redis.url()).unwrap())
        .build()
        .unwrap();
    token(&tokens, &told, "alice").await;
    assert_eq!(new.token_requests(), 0);

    let untold = replica(&new, &redis.url());
    token(&new, &untold, "alice").await;
    assert_eq!(new.token_requests(), 1);

    // Now there is one under the new key too, and it is found by whoever knows that one alone.
    eventually(async || redis.keys().await.len() == 2).await;
    token(&new, &replica(&new, &redis.url()), "alice").await;
    assert_eq!(new.token_requests(), 1);
}

async fn an_encryption_key_outlives_api_keys(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let with = |api_key: &str, byte: u8| {
        TokenProvider::builder(api_key)
            .base_url(courier.url())
            .encryption_key([byte; 32])
            .shared_cache(RedisCache::new(redis.url()).unwrap())
            .build()
            .unwrap()
    };
    token(&courier, &with("pk_test_canary", 1), "alice").await;
    eventually(async || redis.keys().await.len() == 1).await;
    // This one could not have a token issued.
    token(&courier, &with("pk_test_other", 1), "alice").await;
    assert_eq!(courier.token_requests(), 1);
    token(&courier, &with("pk_test_canary", 2), "alice").await;
    assert_eq!(courier.token_requests(), 2);
}
