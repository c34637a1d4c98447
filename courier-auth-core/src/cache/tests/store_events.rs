//! What operators are told of the store that replicas share.

use std::time::Duration;

use super::{
    World,
    events::{HOUR, listen, said},
    settle,
    store::StoreMood,
};

#[tokio::test(start_paused = true)]
async fn a_store_that_works_again_is_told_once() {
    listen();
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    for user in 0..10 {
        world.get(&format!("down-{user}")).await.unwrap();
        settle().await;
    }
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("WARN courier_auth::shared_cache the shared cache is in trouble"),
        "{told:?}"
    );
    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(2)).await;
    for user in 0..10 {
        world.get(&format!("up-{user}")).await.unwrap();
        settle().await;
    }
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("INFO courier_auth::shared_cache"),
        "{told:?}"
    );
    assert!(told[0].contains("the shared cache works again"), "{told:?}");
}

/// It is read again, and takes no writes, as a replica of Redis or a full one: that is no end of the
/// trouble.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_only_read_again_does_not_work_again() {
    listen();
    let (world, store) = World::with_store(HOUR);
    let work = async |name: &str| {
        for user in 0..10 {
            world.get(&format!("{name}-{user}")).await.unwrap();
            settle().await;
        }
    };
    store.set_mood(StoreMood::Down);
    work("down").await;
    assert_eq!(said().len(), 1);
    store.set_mood(StoreMood::Full);
    for n in 0..5 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        work(&format!("full-{n}")).await;
    }
    assert!(
        world.store_status().hits + world.store_status().misses > 0,
        "it is read"
    );
    assert_eq!(said(), [""; 0]);
    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(40)).await;
    work("up").await;
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the shared cache works again"), "{told:?}");
}

/// A WARN that nothing ended, though Redis was well: one look had taken too long.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_once_is_not_in_trouble() {
    listen();
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Slow(Duration::from_millis(200)));
    world.get("slow").await.unwrap();
    store.set_mood(StoreMood::Ok);
    for user in 0..10 {
        world.get(&format!("well-{user}")).await.unwrap();
        settle().await;
    }
    assert_eq!(world.store_status().errors, 1);
    assert_eq!(said(), [""; 0]);
}

/// Of the second nothing was said, and the last line was that it works.
#[tokio::test(start_paused = true)]
async fn two_outages_of_the_store_within_a_minute_are_both_told() {
    listen();
    let (world, store) = World::with_store(HOUR);
    for outage in ["first", "second"] {
        store.set_mood(StoreMood::Down);
        for user in 0..10 {
            world.get(&format!("{outage}-{user}")).await.unwrap();
            settle().await;
        }
        let told = said();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("is in trouble and left alone"), "{told:?}");
        assert!(told[0].ends_with(" \"read\""), "no numbers: {told:?}");
        store.set_mood(StoreMood::Ok);
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.get(&format!("after-{outage}")).await.unwrap();
        settle().await;
        let told = said();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("works again"), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_is_told_once_a_minute() {
    listen();
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    for second in 0..600 {
        world.get(&format!("user-{second}")).await.unwrap();
        settle().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let told = said();
    assert!((7..=10).contains(&told.len()), "{told:?}");
    let trouble = |line: &String| line.contains("is in trouble and left alone");
    assert!(told.iter().all(trouble), "{told:?}");
}

/// It stood in the line about a store that cannot be reached, with the advice for that.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_ours_is_told_as_what_it_is() {
    listen();
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Garbage);
    for user in 0..10 {
        world.get(&format!("user-{user}")).await.unwrap();
        settle().await;
    }
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with(
            "WARN courier_auth::shared_cache a value in the shared cache was thrown away"
        ),
        "{told:?}"
    );
    assert!(world.store_status().poisoned > 1);
}
