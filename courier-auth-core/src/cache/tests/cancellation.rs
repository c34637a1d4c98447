//! Callers that hang up, after every number of polls, as the first and as a follower.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::{Mood, World, settle};
use crate::cache::Wish;

/// Polls a future `polls` times, with time passing in between, and drops it.
async fn hang_up_after<F: Future>(polls: usize, step: Duration, future: F) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return;
        }
        tokio::time::sleep(step).await;
    }
}

const STEP: Duration = Duration::from_millis(300);
const MOODS: [Mood; 3] = [
    Mood::Ok,
    Mood::Slow(Duration::from_millis(1000)),
    Mood::Status(503, None),
];

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_whenever_the_next_one_gets_a_token() {
    for mood in MOODS {
        // No token, one that ages, one that is about to end, one that has.
        for age in [None, Some(46), Some(56), Some(60)] {
            for polls in 0..8 {
                for wish in 0..3 {
                    for followers in [0, 1] {
                        let case = format!(
                            "{mood:?}, age {age:?}, {polls} polls, wish {wish}, {followers} before"
                        );
                        let world = World::new(Duration::from_secs(3600), 100);
                        let grant = world.grant("alice");
                        let mut held = crate::TokenId::of("none");
                        if let Some(age) = age {
                            held = world.get("alice").await.unwrap().id();
                            tokio::time::sleep(Duration::from_secs(60 * age)).await;
                        }
                        world.courier.set_mood(mood.clone());
                        let before = (followers == 1).then(|| {
                            let cache = world.cache.clone();
                            let grant = grant.clone();
                            tokio::spawn(async move { cache.get(&grant, Wish::Any).await })
                        });
                        settle().await;
                        let wish = [Wish::Any, Wish::Newer(held), Wish::Other(held)][wish];
                        hang_up_after(polls, STEP, world.cache.get(&grant, wish)).await;
                        world.courier.set_mood(Mood::Ok);
                        // Backoff of a failure included.
                        tokio::time::sleep(Duration::from_secs(30)).await;
                        let calls = world.courier.calls();
                        let token = world.get("alice").await;
                        assert!(token.is_ok(), "{case}: {token:?}");
                        if polls > 0 && mood != Mood::Status(503, None) {
                            let more = world.courier.calls() - calls;
                            assert_eq!(more, 0, "{case}: the call went on without its caller");
                        }
                        if let Some(before) = before
                            && mood != Mood::Status(503, None)
                        {
                            before.await.unwrap().unwrap();
                        }
                        settle().await;
                        assert_eq!(world.courier.running(), 0, "{case}");
                        assert_eq!(world.cache.status().calls_in_flight, 0, "{case}");
                        assert_eq!(world.cache.status().queued, 0, "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_aborted_in_the_queue_leaves_its_place() {
    let world = World::new(Duration::from_secs(3600), 1000);
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(1500)));
    let callers: Vec<_> = (0..100)
        .map(|n| {
            let cache = world.cache.clone();
            let grant = world.grant(&format!("u{n}"));
            tokio::spawn(async move { cache.get(&grant, Wish::Any).await })
        })
        .collect();
    settle().await;
    assert_eq!(world.cache.status().queued, 84);
    for caller in &callers {
        caller.abort();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.cache.status().queued, 0);
    assert_eq!(world.cache.status().calls_in_flight, 0);
    // All flights finished although nobody waited.
    assert_eq!(world.courier.calls(), 100);
    world.get("u99").await.unwrap();
    assert_eq!(world.courier.calls(), 100);
}
