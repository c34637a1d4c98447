//! What callers are given that did not get a fresh token at once, and what is counted of them.

use std::time::Duration;

use super::{Mood, World, settle};
use crate::{
    cache::{Caller, Wish},
    error::ErrorKind,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A laptop slept while the answer was on its way, and who waited was given a token that was over.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_on_arrival_is_not_handed_out() {
    let world = World::new(HOUR, 10);
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(500)));
    let (cache, grant) = (world.cache.clone(), world.grant("alice"));
    let caller = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    settle().await;
    assert_eq!(world.courier.calls(), 1);
    world.clock.sleep(2 * HOUR);
    let token = caller.await.unwrap().unwrap();
    assert_eq!(world.courier.calls(), 2);
    assert!(token.remaining(world.clock.now()) > HOUR / 2);
}

/// It waited a moment for a better token, and then for any.
#[tokio::test(start_paused = true)]
async fn whoever_loses_its_token_while_it_waits_does_not_begin_to_wait_anew() {
    let world = World::new(HOUR, 10);
    world.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(56 * 60)).await;
    world.courier.set_mood(Mood::Hang);
    let (cache, grant) = (world.cache.clone(), world.grant("alice"));
    let start = tokio::time::Instant::now();
    let caller = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    settle().await;
    world.clock.sleep(HOUR);
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(start.elapsed() < Duration::from_millis(5100));
}

/// Each report counted as replaced, though Courier was not asked.
#[tokio::test(start_paused = true)]
async fn a_refused_token_counts_as_replaced_when_courier_is_asked_for_another() {
    let world = World::new(HOUR, 10);
    let held = world.get("alice").await.unwrap();
    let report = async |id| {
        let mut caller = Caller::new(Wish::Other(id));
        let grant = world.grant("alice");
        world
            .cache
            .look_and_wait(&grant, &mut caller)
            .await
            .unwrap();
        caller.replaced
    };
    // It is too new.
    assert_eq!(report(held.id()).await, Some(false));
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.courier.set_mood(Mood::Status(401, None));
    world.get("bob").await.unwrap_err();
    assert_eq!(report(held.id()).await, Some(false));
    world.courier.set_mood(Mood::Ok);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(report(held.id()).await, Some(true));
    // The one before: there is another already.
    assert_eq!(report(held.id()).await, None);
    assert_eq!(world.courier.calls(), 3);
}
