//! What is counted and shown of the store that replicas share.

use std::time::Duration;

use ::metrics::set_default_local_recorder;
use futures_util::future::join_all;

use super::{World, recorder::Heard, settle, store::StoreMood};

const HOUR: Duration = Duration::from_secs(3600);
const OPERATIONS: &str = "courier_auth_shared_cache_operations_total";

/// The write that found the store well again came after the gauge had been set, which went on
/// showing 1 until the next call.
#[tokio::test(start_paused = true)]
async fn a_store_that_takes_writes_again_is_shown_at_once() {
    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Full);
    for user in 0..5 {
        world.get(&format!("full-{user}")).await.unwrap();
        settle().await;
    }
    assert!(world.store_status().circuit_open);

    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.get("well").await.unwrap();
    settle().await;
    let written = heard.last(&format!("{OPERATIONS} write ok"));
    assert!(written.is_some());
    assert!(written < heard.last("courier_auth_shared_cache_bypassed"));
    assert!(!world.store_status().circuit_open);
}

/// It was counted as a token that was not written.
#[tokio::test(start_paused = true)]
async fn what_is_not_removed_is_counted_as_that() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let name = &store.names(":t")[0];
    store.put(name, b"garbage".to_vec());
    let second = first.replica(&store);
    store.set_mood(StoreMood::Late(Duration::from_secs(1)));
    let users: Vec<_> = (0..256).map(|n| format!("user-{n}")).collect();
    join_all(users.iter().map(|user| second.get(user))).await;

    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
    second.get("alice").await.unwrap();
    let left_out = heard.last(&format!("{OPERATIONS} delete bypassed"));
    assert!(left_out.is_some());
}
