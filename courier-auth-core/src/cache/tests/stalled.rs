//! Flights on a runtime that stands still, whose users do not come back: on real threads and the
//! real clock.

use std::{thread, time::Duration};

#[cfg(feature = "shared-cache")]
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::{
    Mood,
    runtimes::{ask, cache, grant_of, runtime},
};
use crate::cache::{TokenCache, Wish};

/// Asks for so many users on this runtime, and hangs up soon.
fn ask_briefly_for(users: usize, runtime: &Runtime, cache: &TokenCache) {
    runtime.block_on(async {
        let grants: Vec<_> = (0..users).map(|n| grant_of(&n.to_string())).collect();
        let asked = join_all(grants.iter().map(|grant| cache.get(grant, Wish::Any)));
        let outcome = tokio::time::timeout(Duration::from_millis(50), asked).await;
        assert!(outcome.is_err(), "Courier hangs");
    });
}

/// Their users do not come back, and nobody else would get a token until the runtime goes on.
#[test]
fn permits_do_not_stay_with_a_runtime_that_stands_still() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly_for(16, &frozen, &cache);
    assert_eq!(cache.status().calls_in_flight, 16);
    courier.set_mood(Mood::Ok);
    // Until they are overdue.
    thread::sleep(Duration::from_millis(3100));
    ask(&cache).unwrap();
    assert_eq!(cache.status().calls_in_flight, 0);
    // When it goes on they make no more calls, and leave their users to the next flight.
    frozen.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    assert_eq!(courier.calls(), 17);
    for user in 0..16 {
        let grant = grant_of(&user.to_string());
        let slot = cache.shared.users.slot(&grant.user_id);
        let mut state = slot.lock();
        assert!(state.known_variant(&grant).unwrap().flight.is_none());
    }
}

/// A permit that is given back goes to who is first in the queue, which must be able to use it.
#[test]
fn places_in_the_queue_do_not_stay_with_a_runtime_that_stands_still() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly_for(40, &frozen, &cache);
    assert_eq!(cache.status().queued, 24);
    courier.set_mood(Mood::Ok);
    let next = runtime();
    next.block_on(async {
        let grants: Vec<_> = (0..40).map(|n| grant_of(&n.to_string())).collect();
        for token in join_all(grants.iter().map(|grant| cache.get(grant, Wish::Any))).await {
            token.unwrap();
        }
    });
    let status = cache.status();
    assert_eq!((status.calls_in_flight, status.queued), (0, 0));
}

/// It queued behind them before they were overdue, and nobody else came who would have looked.
#[test]
fn who_queues_alone_gets_the_permits_of_a_runtime_that_stands_still() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly_for(16, &frozen, &cache);
    courier.set_mood(Mood::Ok);
    ask(&cache).unwrap();
    drop(frozen);
}

/// Their users do not come back, and nobody else would find what other replicas have until the
/// runtime goes on.
#[cfg(feature = "shared-cache")]
#[test]
fn looks_do_not_stay_with_a_runtime_that_stands_still() {
    use super::{
        Courier,
        store::{Store, sharing_cache},
    };
    use crate::cache::clock::ManualClock;

    let clock = ManualClock::new();
    let (courier, store) = (Courier::new(clock.clone()), Store::new());
    let token = ask(&sharing_cache(&clock, &courier, &store, None)).unwrap();
    assert_eq!(store.names(":t").len(), 1);

    let frozen = runtime();
    let cache = sharing_cache(&clock, &courier, &store, Some(frozen.handle().clone()));
    let callers = runtime();
    callers.block_on(async {
        // Some of them wait for their turn to look.
        for n in 0..1500 {
            let grant = grant_of(&n.to_string());
            let asked = cache.get(&grant, Wish::Any).now_or_never();
            assert!(asked.is_none(), "nobody is at it");
        }
    });
    // Until they are overdue.
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(ask(&cache).unwrap().id(), token.id());
    assert_eq!(courier.calls(), 1);
    drop(frozen);
}
