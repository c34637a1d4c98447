//! Tokens that Courier is said to have refused, where replicas share them.

use std::time::Duration;

use tokio::time::sleep;

use super::{World, settle, store::StoreMood};
use crate::cache::Wish;

const HOUR: Duration = Duration::from_secs(3600);

/// It counted as new from when it was found, and was handed back.
#[tokio::test(start_paused = true)]
async fn a_token_is_as_old_as_it_is_with_whoever_found_it() {
    let (world, store) = World::with_store(HOUR);
    let old = world.get("alice").await.unwrap();
    sleep(HOUR / 2).await;
    let replica = world.replica(&store);
    assert_eq!(replica.get("alice").await.unwrap().id(), old.id());
    sleep(Duration::from_secs(1)).await;
    let (grant, wish) = (replica.grant("alice"), Wish::Other(old.id()));
    let other = replica.cache.get(&grant, wish).await.unwrap();
    assert_ne!(other.id(), old.id());
}

/// Somebody else's look found the refused token, and who refused it got it with them.
#[tokio::test(start_paused = true)]
async fn who_joins_a_look_does_not_get_what_it_refused() {
    let (world, store) = World::with_store(HOUR);
    let old = world.get("alice").await.unwrap();
    sleep(HOUR / 2).await;
    store.set_mood(StoreMood::Slow(Duration::from_millis(5)));
    let replica = world.replica(&store);
    let grant = replica.grant("alice");
    let (any, other) = tokio::join!(
        replica.cache.get(&grant, Wish::Any),
        replica.cache.get(&grant, Wish::Other(old.id())),
    );
    assert_eq!(any.unwrap().id(), old.id());
    assert_ne!(other.unwrap().id(), old.id());
}

/// A refresh that left it to another replica was joined, and the refused token handed back.
#[tokio::test(start_paused = true)]
async fn who_joins_a_refresh_that_yields_gets_another_one() {
    let (world, store, old) = World::refreshed_elsewhere("alice").await;
    store.set_mood(StoreMood::SlowLocks(Duration::from_millis(30)));
    assert_eq!(world.get("alice").await.unwrap().id(), old.id());
    settle().await;
    let (grant, wish) = (world.grant("alice"), Wish::Other(old.id()));
    let other = world.cache.get(&grant, wish).await.unwrap();
    assert_eq!(world.store_status().yielded, 1);
    assert_ne!(other.id(), old.id());
}

/// It was answered with the refused token, because another replica was asking for the next one.
#[tokio::test(start_paused = true)]
async fn a_refused_token_that_ages_is_replaced_at_once() {
    let (world, _store, old) = World::refreshed_elsewhere("alice").await;
    // Yields to the other replica.
    world.get("alice").await.unwrap();
    settle().await;
    let (grant, wish) = (world.grant("alice"), Wish::Other(old.id()));
    let other = world.cache.get(&grant, wish).await.unwrap();
    assert_ne!(other.id(), old.id());
}
