//! What a refusal says of the API key, and what only of one user.

use std::time::Duration;

use super::{Mood, World, gate::ask, settle};
use crate::{
    cache::{admission::Urgency, upstream::Gate},
    error::{Error, ErrorKind},
};

const HOUR: Duration = Duration::from_secs(3600);

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

/// Or one that is forbidden would do when the key is tried again, and nobody else's turn would come.
#[tokio::test(start_paused = true)]
async fn refusals_from_before_a_pause_do_not_count_after_it() {
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
    let gate = Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let refused = Error::new(ErrorKind::ApiKeyRefused, "no").with_status(401);
    let early = gate.admit(Urgency::Foreground, now()).unwrap();
    gate.key_changed();
    gate.record(Err(&refused), "1", early.epochs, now());
    assert!(!gate.is_key_refused());
    gate.admit(Urgency::Foreground, now()).unwrap();
}

/// It was taken for the first of the two that are enough.
#[tokio::test(start_paused = true)]
async fn a_late_403_of_the_old_key_does_not_count_for_the_new_one() {
    let gate = Gate::new(crate::client::Region::Us);
    let now = tokio::time::Instant::now;
    let forbidden = Error::new(ErrorKind::ApiKeyRefused, "no").with_status(403);
    let early = gate.admit(Urgency::Foreground, now()).unwrap();
    gate.key_changed();
    gate.record(Err(&forbidden), "1", early.epochs, now());
    let new = gate.admit(Urgency::Foreground, now()).unwrap();
    gate.record(Err(&forbidden), "2", new.epochs, now());
    assert!(!gate.is_key_refused());
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
