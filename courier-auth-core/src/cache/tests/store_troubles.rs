//! A store that is slow, down, full or wrong: users get tokens as if there were none.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Mood, World, settle,
    store::{Store, StoreMood},
};

const HOUR: Duration = Duration::from_secs(3600);
const READ: Duration = Duration::from_millis(50);

fn moods() -> [StoreMood; 7] {
    [
        StoreMood::Down,
        StoreMood::Slow(Duration::from_millis(200)),
        StoreMood::Hang,
        StoreMood::Full,
        StoreMood::Garbage,
        StoreMood::Foreign,
        StoreMood::Panic,
    ]
}

/// How long a caller waits.
async fn timed(world: &World, user: &str) -> Duration {
    let start = Instant::now();
    let token = world.get(user).await.unwrap();
    assert_eq!(token.user_id(), user);
    start.elapsed()
}

/// Every user gets a token, from one call each, and nobody waits longer for the store than its
/// deadline.
#[tokio::test(start_paused = true)]
async fn whatever_the_store_does_users_get_their_tokens() {
    for mood in moods() {
        let (first, store) = World::with_store(HOUR);
        first.get("somebody").await.unwrap();
        settle().await;
        store.set_mood(mood.clone());
        let replica = first.replica(&store);
        for user in 0..20 {
            let waited = timed(&replica, &format!("user-{user}")).await;
            assert!(
                waited <= READ + Duration::from_millis(1),
                "{mood:?}: {waited:?}"
            );
            settle().await;
        }
        assert_eq!(first.courier.calls(), 21, "{mood:?}");
        // And what is cached here stays.
        for user in 0..20 {
            assert_eq!(
                timed(&replica, &format!("user-{user}")).await,
                Duration::ZERO
            );
        }
        assert_eq!(first.courier.calls(), 21, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refreshing_goes_on_without_the_store() {
    for mood in moods() {
        let (first, store) = World::with_store(HOUR);
        let old = first.get("alice").await.unwrap();
        settle().await;
        store.set_mood(mood.clone());
        tokio::time::sleep(Duration::from_secs(46 * 60)).await;
        assert_eq!(timed(&first, "alice").await, Duration::ZERO, "{mood:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let new = first.get("alice").await.unwrap();
        assert_ne!(new.id(), old.id(), "{mood:?}");
        assert_eq!(first.courier.calls(), 2, "{mood:?}");
    }
}

/// After five failures nobody waits for it any more, until one call finds it well again.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_left_alone() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Hang);
    for user in 0..5 {
        assert!(timed(&world, &format!("first-{user}")).await >= READ);
    }
    assert!(world.store_status().circuit_open);
    // The writes, which nobody waits for, find out for themselves.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (commands, bypassed) = (store.commands(), world.store_status().bypassed);
    for user in 0..50 {
        let waited = timed(&world, &format!("second-{user}")).await;
        assert_eq!(waited, Duration::ZERO);
    }
    assert_eq!(store.count("get"), 10, "five pairs of reads");
    assert_eq!(store.commands(), commands);
    // Each time a read and, when Courier had answered, a write.
    assert_eq!(world.store_status().bypassed, bypassed + 2 * 50);

    // One at a time tries, after longer and longer pauses.
    let before = store.count("get");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(600) {
        world
            .get(&format!("at-{:?}", start.elapsed()))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let probes = (store.count("get") - before) / 2;
    assert!(
        (20..=35).contains(&probes),
        "{probes} probes in ten minutes"
    );

    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(40)).await;
    world.get("alice").await.unwrap();
    settle().await;
    // The write has a breaker and a probe of its own.
    assert!(!world.store_status().circuit_open);
    let replica = world.replica(&store);
    replica.get("alice").await.unwrap();
    assert_eq!(replica.store_status().hits, 1);
}

/// Many at once: the store costs all of them 50 ms once, and not one after the other.
#[tokio::test(start_paused = true)]
async fn a_crowd_waits_once() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Hang);
    let start = Instant::now();
    let users: Vec<_> = (0..200).map(|user| format!("user-{user}")).collect();
    let all = users.iter().map(|user| world.get(user));
    for token in futures_util::future::join_all(all).await {
        token.unwrap();
    }
    assert!(start.elapsed() <= READ + Duration::from_millis(5));
    assert_eq!(world.courier.calls(), 200);
}

/// Full: what is there is still read.
#[tokio::test(start_paused = true)]
async fn a_store_that_takes_no_writes_is_still_read() {
    let (first, store) = World::with_store(HOUR);
    let users: Vec<_> = (0..20).map(|user| format!("user-{user}")).collect();
    for user in &users {
        first.get(user).await.unwrap();
    }
    settle().await;
    store.set_mood(StoreMood::Full);
    let second = first.replica(&store);
    for user in 0..20 {
        second.get(&format!("new-{user}")).await.unwrap();
        settle().await;
    }
    assert!(second.store_status().circuit_open);
    assert_eq!(second.store_status().errors, 5);
    for user in &users {
        second.get(user).await.unwrap();
    }
    assert_eq!(second.store_status().hits, 20);
}

/// From the 1025th on they went to Courier without a look, and those for whom it had no room got an
/// error, with all tokens there.
#[tokio::test(start_paused = true)]
async fn a_crowd_at_a_new_replica_finds_what_is_there() {
    let (first, store) = World::with_store(HOUR);
    let users: Vec<_> = (0..5000).map(|n| format!("user-{n}")).collect();
    for user in &users {
        first.get(user).await.unwrap();
        settle().await;
    }
    store.set_mood(StoreMood::Slow(Duration::from_millis(2)));
    let (calls, second) = (first.courier.calls(), first.replica(&store));
    let all = join_all(users.iter().map(|user| second.get(user))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(first.courier.calls(), calls);
}

/// With a store that hangs they ask Courier in the end, as far as it has room.
#[tokio::test(start_paused = true)]
async fn a_crowd_does_not_wait_for_a_store_in_trouble() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Hang);
    let users: Vec<_> = (0..2000).map(|n| format!("user-{n}")).collect();
    let start = Instant::now();
    let all = join_all(users.iter().map(|user| world.get(user))).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert!(all.iter().filter(|one| one.is_ok()).count() >= 256);
}

/// For some there was no time to look, and nothing counted them.
#[tokio::test(start_paused = true)]
async fn whoever_asks_courier_without_a_look_is_counted() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Slow(Duration::from_millis(40)));
    // Nothing is written that could be left out.
    world.courier.set_mood(Mood::Status(400, None));
    let users: Vec<_> = (0..9000).map(|n| format!("user-{n}")).collect();
    join_all(users.iter().map(|user| world.get(user))).await;
    let status = world.store_status();
    assert_ne!(status.bypassed, 0);
    assert_eq!(status.misses + status.bypassed, users.len() as u64);
}

/// Sign-outs that pile up are written some at a time, and nobody waits for them.
#[tokio::test(start_paused = true)]
async fn writes_are_bounded() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Hang);
    for user in 0..1000 {
        world.cache.invalidate(&format!("user-{user}"));
    }
    settle().await;
    assert_eq!(store.count("get"), 64);
    assert_eq!(world.store_status().bypassed, 0);
}

/// What is not ours is thrown away: one who writes into the store cannot make anybody somebody
/// else, nor anything fail.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_ours_is_removed_and_counted() {
    let (first, store) = World::with_store(HOUR);
    let alice = first.get("alice").await.unwrap();
    first.get("bob").await.unwrap();
    settle().await;
    let names = store.names(":t");
    let [one, two] = &names[..] else {
        panic!("two users, not {names:?}");
    };
    let value = store.value(one).unwrap();
    let flipped = |at: usize| {
        let mut value = value.clone();
        value[at] ^= 1;
        value
    };
    let forgeries = [
        Vec::new(),
        b"garbage".to_vec(),
        vec![0; 1 << 20],
        value[..value.len() - 1].to_vec(),
        value[..30].to_vec(),
        flipped(0),
        flipped(1),
        flipped(20),
        flipped(value.len() - 1),
        [&value[..], b"x"].concat(),
        // The other user's.
        store.value(two).unwrap(),
    ];
    for (at, forgery) in forgeries.into_iter().enumerate() {
        store.put(one, forgery);
        store.put(two, b"x".to_vec());
        let replica = first.replica(&store);
        for user in ["alice", "bob"] {
            let token = replica.get(user).await.unwrap();
            assert_eq!(token.user_id(), user);
            assert_ne!(token.id(), alice.id());
        }
        assert_eq!(replica.store_status().poisoned, 2, "{at}");
        assert_eq!(replica.store_status().errors, 0, "{at}");
    }
    // Also when Courier has no new one to put in its place.
    store.put(one, b"garbage".to_vec());
    store.put(two, b"garbage".to_vec());
    first.courier.set_mood(Mood::Status(503, None));
    let replica = first.replica(&store);
    assert!(replica.get("alice").await.is_err());
    assert!(replica.get("bob").await.is_err());
    settle().await;
    assert_eq!(store.names(":t"), [""; 0]);
}

/// An entry that expired in the store, or was evicted, is issued again.
#[tokio::test(start_paused = true)]
async fn a_store_that_loses_everything_is_filled_again() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    store.lose_everything();
    let second = first.replica(&store);
    let token = second.get("alice").await.unwrap();
    settle().await;
    assert_eq!(
        first.replica(&store).get("alice").await.unwrap().id(),
        token.id()
    );
    assert_eq!(first.courier.calls(), 2);
}

/// Neither a user's id nor any part of the token is to be read in the store.
#[tokio::test(start_paused = true)]
async fn the_store_sees_neither_users_nor_tokens() {
    let (world, store) = World::with_store(HOUR);
    let token = world.get("alice").await.unwrap();
    settle().await;
    world.cache.invalidate("alice");
    settle().await;
    let contains =
        |text: &[u8], part: &str| text.windows(part.len()).any(|it| it == part.as_bytes());
    let names = store.names("");
    assert_eq!(names.len(), 2);
    for name in names {
        let value = store.value(&name).unwrap();
        for part in token
            .as_str()
            .split('.')
            .chain(["alice", "token", "user_id"])
        {
            assert!(!contains(&value, part), "{part}");
            assert!(!contains(name.as_bytes(), part), "{part}");
        }
    }
}

/// A lock that its holder did not give back, because it died, ends by itself.
#[tokio::test(start_paused = true)]
async fn a_lock_of_a_replica_that_died_does_not_stop_the_others() {
    let (first, store) = World::with_store(HOUR);
    let old = first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    second.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    let name = store.names(":t")[0].replace(":t", ":l");
    take_lock(&store, &name).await;
    let start = Instant::now();
    while second.get("alice").await.unwrap().id() == old.id() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(start.elapsed() < Duration::from_secs(15));
    }
    assert!(start.elapsed() > Duration::from_secs(11));
    assert_eq!(first.courier.calls(), 2);
}

async fn take_lock(store: &Store, name: &str) {
    use crate::shared::SharedCache;
    let taken = store.try_lock(name, "dead", Duration::from_secs(12)).await;
    assert!(taken.unwrap());
}
