//! Runtimes that go away or stand still under a flight, as actix-web's workers may: on real
//! threads and the real clock.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Handle, Runtime};

use super::{Courier, Mood};
use crate::cache::{
    TokenCache, Wish,
    clock::{Clock, ManualClock},
};
use crate::request::{Grant, Terms, TokenRequest};
use crate::scope::{Scope, Scopes};
use crate::token::TokenId;

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) fn cache(runtime: Option<Handle>) -> (TokenCache, Courier) {
    let clock = ManualClock::new();
    let courier = Courier::new(clock.clone());
    let cache = TokenCache::new(
        Arc::new(courier.clone()),
        None,
        100,
        runtime,
        Clock::Manual(clock),
    );
    (cache, courier)
}

fn grant() -> Grant {
    grant_of("alice")
}

pub(super) fn grant_of(user: &str) -> Grant {
    let defaults = Terms {
        scopes: Scopes::new(Scope::MINIMAL).unwrap(),
        lifetime: Duration::from_secs(3600),
    };
    TokenRequest::for_user(user).grant(&defaults).unwrap()
}

/// Asks on this runtime and hangs up soon.
fn ask_briefly(runtime: &Runtime, cache: &TokenCache) {
    runtime.block_on(async {
        let grant = grant();
        let asked = cache.get(&grant, Wish::Any);
        let outcome = tokio::time::timeout(Duration::from_millis(50), asked).await;
        assert!(outcome.is_err(), "Courier hangs");
    });
}

/// Asks on a runtime of its own, with a watchdog.
pub(super) fn ask(cache: &TokenCache) -> Result<crate::Token, crate::Error> {
    ask_for(cache, Wish::Any)
}

fn ask_for(cache: &TokenCache, wish: Wish) -> Result<crate::Token, crate::Error> {
    runtime().block_on(async {
        tokio::time::timeout(Duration::from_secs(30), cache.get(&grant(), wish))
            .await
            .expect("nothing hangs")
    })
}

#[test]
fn a_runtime_that_is_gone_is_replaced_by_the_next_callers() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let first = runtime();
    ask_briefly(&first, &cache);
    drop(first);
    courier.set_mood(Mood::Ok);
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 2);
    assert_eq!(cache.status().calls_in_flight, 0);
    // Cached, wherever it is asked for.
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 2);
}

#[test]
fn those_who_wait_for_a_runtime_that_goes_away_get_their_token() {
    let simply = |first: Runtime| drop(first);
    // What was under way is not what panicked.
    let with_a_panic = |first: Runtime| {
        let thread = thread::spawn(move || {
            let _first = first;
            panic!("in a thread with a runtime of its own");
        });
        assert!(thread.join().is_err());
    };
    for goes in [simply, with_a_panic] {
        let (cache, courier) = cache(None);
        courier.set_mood(Mood::Hang);
        let first = runtime();
        ask_briefly(&first, &cache);
        let (waiting, waits) = mpsc::channel();
        let follower = {
            let cache = cache.clone();
            thread::spawn(move || {
                runtime().block_on(async {
                    let grant = grant();
                    let mut asked = pin!(cache.get(&grant, Wish::Any));
                    assert!(asked.as_mut().now_or_never().is_none());
                    waiting.send(()).unwrap();
                    tokio::time::timeout(Duration::from_secs(30), asked)
                        .await
                        .expect("nothing hangs")
                })
            })
        };
        waits.recv().unwrap();
        courier.set_mood(Mood::Ok);
        goes(first);
        follower.join().unwrap().unwrap();
        assert_eq!(cache.status().calls_in_flight, 0);
        assert!(courier.reconnections() <= 1);
    }
}

#[test]
fn a_runtime_that_stands_still_is_relieved() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly(&frozen, &cache);
    assert_eq!(cache.status().calls_in_flight, 1);
    courier.set_mood(Mood::Ok);
    ask(&cache).unwrap();
    assert_eq!(
        courier.reconnections(),
        1,
        "its connections are not trusted"
    );
    assert_eq!(cache.status().calls_in_flight, 0, "its permit came back");
    // What the frozen one brings when it wakes up changes nothing.
    let token = ask(&cache).unwrap();
    frozen.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    drop(frozen);
    assert_eq!(ask(&cache).unwrap().id(), token.id());
}

#[test]
fn a_runtime_that_was_never_polled_is_relieved() {
    let frozen = runtime();
    let (cache, courier) = cache(Some(frozen.handle().clone()));
    ask(&cache).unwrap();
    assert_eq!(courier.reconnections(), 1);
    assert_eq!(courier.calls(), 1);
    assert_eq!(cache.status().calls_in_flight, 0);
    drop(frozen);
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 1);
}

#[test]
fn a_runtime_that_was_gone_before_the_first_call() {
    let gone = runtime();
    let (cache, courier) = cache(Some(gone.handle().clone()));
    drop(gone);
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 1);
    assert_eq!(cache.status().calls_in_flight, 0);
}

/// It has nothing left to call with: its permit went to who took its flight over, and with many
/// such flights Courier would be called by more than sixteen at once.
#[test]
fn a_flight_that_was_taken_over_does_not_call_when_its_runtime_wakes_up() {
    let frozen = runtime();
    let (cache, courier) = cache(Some(frozen.handle().clone()));
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 1);
    frozen.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    assert_eq!(courier.calls(), 1);
    let status = cache.status();
    assert_eq!(status.calls_in_flight, 0);
    assert!(status.last_error.is_none(), "nothing went wrong");
}

/// Nor does it go on calling, and what it makes of its own standstill says nothing of Courier.
#[test]
fn a_flight_that_was_taken_over_does_not_try_again_when_its_runtime_wakes_up() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly(&frozen, &cache);
    courier.set_mood(Mood::Ok);
    ask(&cache).unwrap();
    assert_eq!(courier.calls(), 2);
    courier.set_mood(Mood::Hang);
    // The two seconds of its try are over by now.
    frozen.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    assert_eq!(courier.calls(), 2);
    assert!(cache.status().last_error.is_none(), "nothing went wrong");
}

/// Nor does an answer that waited for it, which may have been about another key long ago.
#[test]
fn what_a_flight_that_was_taken_over_failed_with_says_nothing() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::WantsKey("another", Duration::from_secs(1)));
    let frozen = runtime();
    ask_briefly(&frozen, &cache);
    courier.set_mood(Mood::Ok);
    ask(&cache).unwrap();
    frozen.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    assert_eq!(courier.calls(), 2);
    let status = cache.status();
    assert!(!status.api_key_refused && status.last_error.is_none());
}

/// Whoever waits takes over in a slot that knows nothing of the old flight.
#[test]
fn a_stranded_flight_of_a_user_who_was_invalidated_gives_its_permit_back() {
    let frozen = runtime();
    let (cache, courier) = cache(Some(frozen.handle().clone()));
    let caller = {
        let cache = cache.clone();
        thread::spawn(move || ask(&cache))
    };
    while cache.status().calls_in_flight == 0 {
        thread::yield_now();
    }
    cache.invalidate("alice");
    caller.join().unwrap().unwrap();
    assert_eq!(courier.calls(), 1);
    assert_eq!(cache.status().calls_in_flight, 0);
}

/// The provider has a runtime, the caller has none: a thread pool, or another executor.
#[test]
fn a_caller_without_a_runtime_gets_its_token() {
    let home = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (cache, courier) = cache(Some(home.handle().clone()));
    courier.set_mood(Mood::Slow(Duration::from_millis(50)));
    let grant = grant();
    let token = futures_executor::block_on(cache.get(&grant, Wish::Any)).unwrap();
    let again = futures_executor::block_on(cache.get(&grant, Wish::Any)).unwrap();
    assert_eq!(token.id(), again.id());

    let (nowhere, _) = super::runtimes::cache(None);
    let error = futures_executor::block_on(nowhere.get(&grant, Wish::Any)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Runtime);
}

/// actix-web's shape: workers with a runtime each share one cache, and one of them ends.
#[test]
fn two_runtimes_share_one_cache_and_one_goes() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Slow(Duration::from_millis(200)));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let cache = cache.clone();
            thread::spawn(move || ask(&cache))
        })
        .collect();
    for worker in workers {
        worker.join().unwrap().unwrap();
    }
    assert!(courier.calls() <= 2);
    assert_eq!(cache.status().calls_in_flight, 0);
}

/// A flight that was taken over and finishes late, while its successor is under way.
#[test]
fn a_late_landing_does_not_undo_the_successor() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Hang);
    let frozen = runtime();
    ask_briefly(&frozen, &cache);
    courier.set_mood(Mood::Slow(Duration::from_millis(1500)));
    let asker = {
        let cache = cache.clone();
        thread::spawn(move || ask(&cache))
    };
    while courier.calls() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    drop(frozen);
    ask(&cache).unwrap();
    asker.join().unwrap().unwrap();
    assert_eq!(courier.calls(), 2, "the last caller joined the successor");
    assert_eq!(cache.status().calls_in_flight, 0);
}

/// A caller looks a slot up, the user is invalidated, and only then does it get the slot's lock. Who
/// reports a refused token comes to it another way.
#[test]
fn a_slot_that_left_the_map_is_not_used() {
    for wish in [Wish::Any, Wish::Other(TokenId::of("an older one"))] {
        let (cache, courier) = cache(None);
        ask(&cache).unwrap();
        let slot = Arc::clone(&cache.shared.users.slot(&grant().user_id));
        let mut state = slot.lock();
        let caller = {
            let cache = cache.clone();
            thread::spawn(move || ask_for(&cache, wish))
        };
        let invalidation = {
            // Long enough for the caller to have looked up the slot.
            thread::sleep(Duration::from_millis(200));
            let cache = cache.clone();
            thread::spawn(move || cache.invalidate("alice"))
        };
        while cache.shared.users.get(&grant().user_id).is_some() {
            thread::sleep(Duration::from_millis(5));
        }
        state.detached = true;
        drop(state);
        let token = caller.join().unwrap().unwrap();
        invalidation.join().unwrap();
        assert_eq!(courier.number_of(&token), 2, "not the forgotten token");
        assert_eq!(ask(&cache).unwrap().id(), token.id(), "and it is cached");
        assert_eq!(courier.calls(), 2);
    }
}

/// Or whoever has looked it up would be given what is in it, after the sign-out.
#[test]
fn a_slot_of_an_invalidated_user_is_out_of_use() {
    let (cache, _courier) = cache(None);
    ask(&cache).unwrap();
    let slot = Arc::clone(&cache.shared.users.slot(&grant().user_id));
    cache.invalidate("alice");
    assert!(slot.lock().detached);
}

/// Nor is one that has made room for the bare token: what is put into it is lost.
#[test]
fn a_slot_that_is_no_more_than_a_token_is_out_of_use() {
    let (cache, courier) = cache(None);
    courier.set_mood(Mood::Slow(Duration::from_millis(200)));
    let home = runtime();
    ask_briefly(&home, &cache);
    let slot = Arc::clone(&cache.shared.users.slot(&grant().user_id));
    assert!(!slot.lock().detached);
    home.block_on(cache.get(&grant(), Wish::Any)).unwrap();
    assert!(slot.lock().detached);
}

/// Looking runs on the provider's runtime like the call itself, and is taken over like it.
#[cfg(feature = "shared-cache")]
#[test]
fn a_runtime_that_stands_still_keeps_nobody_from_the_store() {
    use super::store::{Store, StoreMood, sharing_cache};

    let clock = ManualClock::new();
    let (courier, store) = (Courier::new(clock.clone()), Store::new());
    let token = ask(&sharing_cache(&clock, &courier, &store, None)).unwrap();
    assert_eq!(store.names(":t").len(), 1);

    let frozen = runtime();
    let cache = sharing_cache(&clock, &courier, &store, Some(frozen.handle().clone()));
    store.set_mood(StoreMood::Hang);
    ask_briefly(&frozen, &cache);
    store.set_mood(StoreMood::Ok);
    assert_eq!(ask(&cache).unwrap().id(), token.id());
    assert_eq!(courier.calls(), 1);
    // What the frozen one was admitted with came back: there is room for as many looks as ever.
    assert_eq!(cache.status().calls_in_flight, 0);
    drop(frozen);
    cache.invalidate("alice");
    let status = cache.status().shared_cache.unwrap();
    assert_eq!((status.hits, status.poisoned), (1, 0));
}

/// What became of the look is nothing to whoever still waits for it.
#[cfg(feature = "shared-cache")]
#[test]
fn who_waits_for_a_look_that_was_taken_over_joins_its_successor() {
    use super::store::{Store, StoreMood, sharing_cache};

    let clock = ManualClock::new();
    let (courier, store) = (Courier::new(clock.clone()), Store::new());
    let frozen = runtime();
    let cache = sharing_cache(&clock, &courier, &store, Some(frozen.handle().clone()));
    store.set_mood(StoreMood::Hang);
    let grant = grant();
    let mut asked = Box::pin(cache.get(&grant, Wish::Any));
    frozen.block_on(async {
        let outcome = tokio::time::timeout(Duration::from_millis(50), &mut asked).await;
        assert!(outcome.is_err(), "the store hangs");
    });
    store.set_mood(StoreMood::Ok);
    courier.set_mood(Mood::Slow(Duration::from_millis(1500)));
    let successor = {
        let cache = cache.clone();
        thread::spawn(move || ask(&cache))
    };
    while courier.calls() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let token = frozen.block_on(asked).unwrap();
    assert_eq!(successor.join().unwrap().unwrap().id(), token.id());
    assert_eq!(courier.calls(), 1);
}

/// Every background refresh started on the runtime that had gone, until somebody had no token.
#[test]
fn a_runtime_that_has_gone_is_left_by_refreshes_too() {
    let (cache, courier) = cache(None);
    let home = runtime();
    home.block_on(cache.get(&grant(), Wish::Any)).unwrap();
    drop(home);
    let Clock::Manual(clock) = &cache.shared.clock else {
        unreachable!("it is made with one")
    };
    clock.sleep(Duration::from_secs(50 * 60));
    // The first refresh finds it gone.
    runtime().block_on(cache.get(&grant(), Wish::Any)).unwrap();
    let next = runtime();
    let old = next.block_on(cache.get(&grant(), Wish::Any)).unwrap();
    let renewed = async {
        while cache.get(&grant(), Wish::Any).await.unwrap().id() == old.id() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = async { tokio::time::timeout(Duration::from_secs(10), renewed).await };
    next.block_on(in_time).unwrap();
    assert_eq!(courier.calls(), 2);
}
