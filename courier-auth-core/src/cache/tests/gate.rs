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

fn ask(world: &World, user: &str) -> JoinHandle<Result<Token, Error>> {
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

/// Who was the first to hear that the key is refused was told to come back at once.
#[tokio::test(start_paused = true)]
async fn the_first_one_too_hears_when_to_come_back() {
    for (status, users) in [(401, 1), (503, 5)] {
        let world = World::new(HOUR, 100);
        world.courier.set_mood(Mood::Status(status, None));
        let mut last = None;
        for user in 0..users {
            last = Some(world.get(&format!("u{user}")).await.unwrap_err());
        }
        let first = last.and_then(|error| error.retry_after()).unwrap();
        let next = world.get("next").await.unwrap_err().retry_after().unwrap();
        assert!(first >= Duration::from_secs(3), "{status}: {first:?}");
        assert!(
            first.abs_diff(next) < Duration::from_millis(10),
            "{first:?} {next:?}"
        );
    }
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

/// Or one that is forbidden would do when the key is tried again, and nobody else's turn would come.
#[tokio::test(start_paused = true)]
async fn refusals_from_before_a_pause_do_not_count_after_it() {
    use crate::cache::{admission::Urgency, upstream::Gate};

    let gate = Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let forbidden = Error::new(ErrorKind::ApiKeyRefused, "no").with_status(403);
    let admit = || gate.admit(Urgency::Foreground, now());

    let early = admit().unwrap().epochs;
    for user in ["1", "2", "3", "4"] {
        gate.record(Err(&forbidden), user, early, now());
    }
    assert!(gate.is_key_refused());
    tokio::time::sleep(Duration::from_secs(15)).await;
    let probe = admit().unwrap();
    gate.record(Err(&forbidden), "1", probe.epochs, now());
    drop(probe);
    admit().unwrap();
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

/// A firewall dislikes one user's id: nobody else got a token for as long as that user came back.
#[tokio::test(start_paused = true)]
async fn one_users_403_is_not_everybodys() {
    let world = World::new(HOUR, 1000);
    for n in 0..100 {
        world.courier.set_mood(Mood::Status(403, None));
        let error = world.get("'or'1'='1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiKeyRefused);
        world.courier.set_mood(Mood::Ok);
        world.get(&format!("new{n}")).await.unwrap();
        assert!(!world.cache.status().api_key_refused);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // And it has a backoff of its own: 100 for the others, one every 8 to 15 seconds.
    assert!(world.courier.calls() < 125, "{}", world.courier.calls());
}

/// A firewall dislikes two users' ids, and everybody else gets tokens meanwhile.
#[tokio::test(start_paused = true)]
async fn two_users_403_is_not_the_keys_while_others_get_tokens() {
    let world = World::new(HOUR, 1000);
    for (forbidden, other) in [("'or'1'='1", "bob"), ("<script>", "dave")] {
        world.courier.set_mood(Mood::Status(403, None));
        world.get(forbidden).await.unwrap_err();
        assert!(!world.cache.status().api_key_refused, "{forbidden}");
        world.courier.set_mood(Mood::Ok);
        world.get(other).await.unwrap();
    }
}

/// A call that was made with the old key ends well after the new one was refused.
#[tokio::test(start_paused = true)]
async fn what_the_old_key_may_do_says_nothing_of_the_new_one() {
    let world = World::new(HOUR, 1000);
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    let early = ask(&world, "alice");
    settle().await;
    world.cache.set_api_key("mistyped".into()).unwrap();
    world.courier.set_mood(Mood::Status(401, None));
    world.get("bob").await.unwrap_err();
    early.await.unwrap().unwrap();
    assert!(world.cache.status().api_key_refused);
    world.get("carol").await.unwrap_err();
    assert_eq!(world.courier.calls(), 2, "nobody else is tried");
}

/// Nor does what it may not do: the new one is there to be tried at once.
#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_the_old_key_does_not_stop_the_new_one() {
    use crate::cache::{admission::Urgency, upstream::Gate};

    let gate = Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let refused = Error::new(ErrorKind::ApiKeyRefused, "no").with_status(401);
    let early = gate.admit(Urgency::Foreground, now()).unwrap();
    gate.key_changed();
    gate.record(Err(&refused), "1", early.epochs, now());
    assert!(!gate.is_key_refused());
    gate.admit(Urgency::Foreground, now()).unwrap();
}

/// A key that may do nothing: the second user hears it from Courier, the third does not ask.
#[tokio::test(start_paused = true)]
async fn two_users_403_is_the_keys() {
    let world = World::new(HOUR, 1000);
    world.courier.set_mood(Mood::Status(403, None));
    for user in ["alice", "alice", "bob", "carol", "dave"] {
        let error = world.get(user).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiKeyRefused);
    }
    assert_eq!(world.courier.calls(), 2);
    assert!(world.cache.status().api_key_refused);
    // It stays so while one of them tries, and the pauses grow with the next two.
    tokio::time::sleep(Duration::from_secs(15)).await;
    for user in ["erin", "frank", "grace"] {
        world.get(user).await.unwrap_err();
        assert!(world.cache.status().api_key_refused);
    }
    assert_eq!(world.courier.calls(), 4);
    world.cache.set_api_key("another".into()).unwrap();
    world.courier.set_mood(Mood::Ok);
    world.get("grace").await.unwrap();
    assert!(!world.cache.status().api_key_refused);
}
