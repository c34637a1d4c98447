//! How many calls run at once, and whose go first.

use std::{future::poll_fn, time::Duration};

use tokio::task::JoinHandle;

use super::{Mood, World, settle};
use crate::{
    cache::Wish,
    error::{Error, ErrorKind},
    request::{Grant, Terms, TokenRequest},
    scope::{Scope, Scopes},
    token::Token,
};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn ask(world: &World, user: &str) -> JoinHandle<Result<Token, Error>> {
    let cache = world.cache.clone();
    let grant = world.grant(user);
    tokio::spawn(async move { cache.get(&grant, Wish::Any).await })
}

/// One of any number of tokens of one user.
fn alices(n: usize) -> Grant {
    let defaults = Terms {
        scopes: Scopes::new(Scope::MINIMAL).unwrap(),
        lifetime: HOUR,
    };
    let scopes = [Scope::new(format!("read:{n}")).unwrap()];
    let request = TokenRequest::for_user("alice").scopes(scopes);
    request.grant(&defaults).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sixteen_calls_at_once_and_256_in_the_queue() {
    let world = World::new(HOUR, 1000);
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(100)));
    let callers: Vec<_> = (0..300).map(|n| ask(&world, &format!("u{n}"))).collect();
    settle().await;
    let status = world.cache.status();
    assert_eq!((status.calls_in_flight, status.queued), (16, 256));

    let mut refused = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded);
                assert!(error.retry_after().is_some());
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 300 - 16 - 256);
    assert_eq!(world.courier.most_running(), 16);
    let status = world.cache.status();
    assert_eq!((status.calls_in_flight, status.queued), (0, 0));
    // Too many callers are no failure of the user's: no backoff.
    world.get("u299").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn background_refreshes_leave_room_for_callers_that_wait() {
    let world = World::new(HOUR, 1000);
    for n in 0..30 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    for n in 0..30 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    settle().await;
    assert_eq!(world.courier.running(), 12, "the others did not queue");
    assert_eq!(world.cache.status().queued, 0);

    // Somebody new does not wait behind them.
    let start = tokio::time::Instant::now();
    world.get("new").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// What Courier refuses is of no use until then, even if it is due for a refresh anyway.
#[tokio::test(start_paused = true)]
async fn who_reports_a_refused_token_is_no_background_refresh() {
    let world = World::new(HOUR, 1000);
    let refused = world.get("alice").await.unwrap();
    for n in 0..12 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    for n in 0..12 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    settle().await;
    assert_eq!(world.courier.running(), 12);
    let (grant, wish) = (world.grant("alice"), Wish::Other(refused.id()));
    let token = world.cache.get(&grant, wish).await.unwrap();
    assert_ne!(token.id(), refused.id());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_skipped_is_made_up_for() {
    let world = World::new(HOUR, 1000);
    for n in 0..30 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    for _ in 0..3 {
        for n in 0..30 {
            world.get(&format!("u{n}")).await.unwrap();
        }
        settle().await;
    }
    assert_eq!(world.courier.calls(), 60);
}

/// Those who wait in the queue when Courier goes down are not each tried.
#[tokio::test(start_paused = true)]
async fn an_outage_empties_the_queue() {
    // Jitter decides how many fail in the same moment.
    fastrand::seed(7);
    let world = World::new(HOUR, 1000);
    world.courier.set_mood(Mood::Hang);
    let callers: Vec<_> = (0..200).map(|n| ask(&world, &format!("u{n}"))).collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_err());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Sixteen under way, and those that took the place of the first four to fail.
    assert_eq!(world.courier.calls(), (16 + 4) * 3);
    let status = world.cache.status();
    assert_eq!((status.calls_in_flight, status.queued), (0, 0));
    assert!(status.circuit_open);
    assert!(status.last_error.is_some() && status.last_error_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_flights_are_not_evicted() {
    let world = World::new(HOUR, 50);
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    let caller = ask(&world, "pinned");
    settle().await;
    world.courier.set_mood(Mood::Ok);
    for n in 0..1000 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    let calls = world.courier.calls();
    caller.await.unwrap().unwrap();
    world.get("pinned").await.unwrap();
    assert_eq!(
        world.courier.calls(),
        calls,
        "its flight finished in the map"
    );
    assert!(
        world.cache.status().users <= 60,
        "{}",
        world.cache.status().users
    );
}

/// Every slot of the map has a flight, and yet another user comes: on a single thread, where
/// whoever looked again and again for a place would keep the flights from finishing.
#[tokio::test(start_paused = true)]
async fn a_map_full_of_flights_takes_another_user() {
    for max_users in [1, 10, 100] {
        let world = World::new(HOUR, max_users);
        world
            .courier
            .set_mood(Mood::Slow(Duration::from_millis(100)));
        let callers: Vec<_> = (0..250).map(|n| ask(&world, &format!("u{n}"))).collect();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        for n in 0..1000 {
            world.get(&format!("v{n}")).await.unwrap();
        }
        let users = world.cache.status().users;
        assert!(users <= max_users + 20, "{users} of {max_users}");
    }
}

/// A caller in the queue that is the probe is not refused because of itself.
#[tokio::test(start_paused = true)]
async fn a_probe_that_queued_is_let_through() {
    let world = World::new(HOUR, 1000);
    world.courier.set_mood(Mood::Status(503, None));
    for n in 0..5 {
        world.get(&format!("u{n}")).await.unwrap_err();
    }
    // All permits are taken by flights from before the outage was noticed.
    let gate = crate::cache::upstream::Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let urgency = crate::cache::admission::Urgency::Foreground;
    let full: Vec<_> = (0..16)
        .map(|_| gate.admit(urgency, now()).unwrap())
        .collect();
    let down = Error::new(ErrorKind::Unavailable, "down");
    let epochs = full[0].epochs;
    for user in ["1", "2", "1", "1", "1"] {
        gate.record(Err(&down), user, epochs, now());
    }
    assert!(gate.is_open());
    tokio::time::sleep(Duration::from_secs(7)).await;
    let mut probe = gate.admit(urgency, now()).unwrap();
    assert!(probe.is_queued());
    drop(full);
    let permit = poll_fn(|cx| probe.poll_permit(cx)).await.unwrap();
    gate.leave_queue(&mut probe, permit).unwrap();
    gate.record(Ok(()), "1", probe.epochs, now());
    assert!(!gate.is_open());
}

/// They are no failures in a row with what happens now.
#[tokio::test(start_paused = true)]
async fn failures_from_before_an_outage_do_not_count_after_it() {
    use crate::cache::{admission::Urgency, upstream::Gate};

    let gate = Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let down = Error::new(ErrorKind::Unavailable, "down");
    let fail = |epochs, times: usize| {
        for user in ["1", "2"].into_iter().cycle().take(times) {
            gate.record(Err(&down), user, epochs, now());
        }
    };
    let admit = || gate.admit(Urgency::Foreground, now()).unwrap();

    let mut full: Vec<_> = (0..16).map(|_| admit()).collect();
    let mut queued = admit();
    let early = full[0].epochs;
    fail(early, 5);
    assert!(gate.is_open());
    gate.record(Ok(()), "1", early, now());
    assert!(!gate.is_open());
    fail(early, 10);
    // It asks after the outage, though it came before.
    full.pop();
    let permit = poll_fn(|cx| queued.poll_permit(cx)).await.unwrap();
    let new = gate.leave_queue(&mut queued, permit).unwrap();
    fail(new, 4);
    assert!(!gate.is_open());
    fail(new, 1);
    assert!(gate.is_open());
}

/// The probe is refused, which proves that Courier is there.
#[tokio::test(start_paused = true)]
async fn a_refusal_ends_an_outage() {
    for status in [400, 401] {
        let world = World::new(HOUR, 1000);
        world.courier.set_mood(Mood::Status(503, None));
        for n in 0..5 {
            world.get(&format!("u{n}")).await.unwrap_err();
        }
        assert!(world.cache.status().circuit_open);
        tokio::time::sleep(Duration::from_secs(7)).await;
        world.courier.set_mood(Mood::Status(status, None));
        world.get("probe").await.unwrap_err();
        assert!(!world.cache.status().circuit_open, "{status}");
    }
}

/// Whose scopes differ in every request, such as those of tenants named in a path.
#[tokio::test(start_paused = true)]
async fn one_user_with_many_scopes_does_not_fill_the_queue() {
    let world = World::new(HOUR, 1000);
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    let callers: Vec<_> = (0..300)
        .map(|n| {
            let cache = world.cache.clone();
            let grant = alices(n);
            tokio::spawn(async move { cache.get(&grant, Wish::Any).await })
        })
        .collect();
    settle().await;
    let status = world.cache.status();
    assert_eq!((status.calls_in_flight, status.queued), (16, 0));

    let start = tokio::time::Instant::now();
    world.get("bob").await.unwrap();
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(2),
        "the next free call"
    );
    let mut refused = 0;
    for caller in callers {
        if let Err(error) = caller.await.unwrap() {
            assert_eq!(error.kind(), ErrorKind::Overloaded);
            assert!(error.retry_after().is_some());
            refused += 1;
        }
    }
    assert_eq!(refused, 300 - 16);
    // Which is no failure, and no backoff.
    let token = world.cache.get(&alices(299), Wish::Any).await.unwrap();
    assert_eq!(token.scope(), "user_id:alice read:299");
}

#[tokio::test(start_paused = true)]
async fn scopes_that_differ_in_every_request_do_not_fill_the_memory() {
    let world = World::new(HOUR, 50);
    let grant = alices;
    for n in 0..100 {
        let token = world.cache.get(&grant(n), Wish::Any).await.unwrap();
        assert_eq!(token.scope(), format!("user_id:alice read:{n}"));
    }
    assert_eq!(world.courier.calls(), 100);
    // The last 32 are there, the first is not.
    for n in 68..100 {
        world.cache.get(&grant(n), Wish::Any).await.unwrap();
    }
    assert_eq!(world.courier.calls(), 100);
    world.cache.get(&grant(0), Wish::Any).await.unwrap();
    assert_eq!(world.courier.calls(), 101);
    // It took the place of the one that was not asked for longest.
    world.cache.get(&grant(69), Wish::Any).await.unwrap();
    assert_eq!(world.courier.calls(), 101);
    world.cache.get(&grant(68), Wish::Any).await.unwrap();
    assert_eq!(world.courier.calls(), 102);

    // Those that are worth nothing go before those that are.
    world.courier.set_mood(Mood::Status(400, None));
    for n in 200..203 {
        world.cache.get(&grant(n), Wish::Any).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let calls = world.courier.calls();
    world.cache.get(&grant(73), Wish::Any).await.unwrap();
    assert_eq!(world.courier.calls(), calls);
}
