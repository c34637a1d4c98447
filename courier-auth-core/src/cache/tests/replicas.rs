//! Several replicas and one store that works.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Mood, World, settle,
    store::{KEY, StoreMood, rings},
};
use crate::{
    cache::{Wish, clock::ManualClock},
    shared::Rings,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn one_replica_asks_and_all_have_it() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    settle().await;
    for _ in 0..5 {
        let replica = first.replica(&store);
        assert_eq!(replica.get("alice").await.unwrap().id(), token.id());
        assert_eq!(replica.store_status().hits, 1);
    }
    assert_eq!(first.courier.calls(), 1);
    assert_eq!(first.store_status().misses, 1);
}

/// Four reads and two writes for the first token on two replicas, then nothing.
#[tokio::test(start_paused = true)]
async fn a_fresh_hit_sends_no_command() {
    let (first, store) = World::with_store(HOUR);
    let second = first.replica(&store);
    let token = first.get("alice").await.unwrap();
    settle().await;
    second.get("alice").await.unwrap();
    settle().await;
    assert_eq!((store.count("get"), store.count("set")), (4, 1));
    let commands = store.commands();
    for _ in 0..1000 {
        for world in [&first, &second] {
            world.get("alice").await.unwrap();
            let grant = world.grant("alice");
            let newer = world.cache.get(&grant, Wish::Newer(token.id())).await;
            assert_eq!(newer.unwrap().id(), token.id());
        }
    }
    settle().await;
    assert_eq!(store.commands(), commands);
}

#[tokio::test(start_paused = true)]
async fn users_and_grants_do_not_share() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    let bob = second.get("bob").await.unwrap();
    assert_eq!(bob.user_id(), "bob");
    let mut day = second.grant("alice");
    Arc::make_mut(&mut day.terms).lifetime = Duration::from_secs(86_400);
    let day = second.cache.get(&day, Wish::Any).await.unwrap();
    assert!(day.expires_in() > HOUR);
    assert_eq!(first.courier.calls(), 3);
}

/// The one that is at it holds the lock; the others serve, look again, and find its token.
#[tokio::test(start_paused = true)]
async fn one_replica_refreshes_and_the_others_look_again() {
    let (first, store) = World::with_store(HOUR);
    let old = first.get("alice").await.unwrap();
    settle().await;
    let replicas: Vec<_> = (0..10).map(|_| first.replica(&store)).collect();
    for replica in &replicas {
        replica.get("alice").await.unwrap();
    }
    minutes(46).await;
    first
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(500)));
    for replica in &replicas {
        assert_eq!(replica.get("alice").await.unwrap().id(), old.id());
    }
    settle().await;
    assert_eq!(first.courier.calls(), 2);
    let looks = store.count("get");
    for replica in &replicas {
        assert_eq!(replica.get("alice").await.unwrap().id(), old.id());
    }
    settle().await;
    assert_eq!(store.count("get"), looks, "nobody looks again at once");

    tokio::time::sleep(Duration::from_secs(2)).await;
    for replica in &replicas {
        replica.get("alice").await.unwrap();
    }
    settle().await;
    let new = replicas[0].get("alice").await.unwrap();
    assert_ne!(new.id(), old.id());
    for replica in &replicas {
        assert_eq!(replica.get("alice").await.unwrap().id(), new.id());
    }
    assert_eq!(first.courier.calls(), 2);
    let yielded: u64 = replicas.iter().map(|it| it.store_status().yielded).sum();
    assert_eq!(yielded, 9);
    // Whoever refreshed, and whoever waited and found the token.
    assert!(replicas.iter().all(|it| it.keeps_a_token_alone("alice")));
    assert_eq!(store.names(":l"), [""; 0], "the lock was given back");
}

/// Another replica may get its token and give the lock back between our look and our lock.
#[tokio::test(start_paused = true)]
async fn who_gets_the_lock_looks_again() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    second.get("alice").await.unwrap();
    minutes(46).await;
    store.set_mood(StoreMood::SlowLocks(Duration::from_millis(30)));
    first.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    second.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(second.store_status().yielded, 0);
    assert_eq!(first.courier.calls(), 2);
    let new = first.get("alice").await.unwrap();
    assert_eq!(second.get("alice").await.unwrap().id(), new.id());
}

/// Fifty users, ten replicas: one call per user and period, whoever asks.
#[tokio::test(start_paused = true)]
async fn replicas_together_ask_once_per_user_and_period() {
    let (first, store) = World::with_store(HOUR);
    let replicas: Vec<_> = (0..10).map(|_| first.replica(&store)).collect();
    let users: Vec<_> = (0..50).map(|user| format!("user-{user}")).collect();
    // A browser comes every two minutes, to another replica each time, for four hours.
    let visits = 4 * 30;
    for visit in 0..visits {
        for (at, user) in users.iter().enumerate() {
            let token = replicas[(visit + at) % 10].get(user).await.unwrap();
            assert_eq!(token.user_id(), user);
        }
        minutes(2).await;
    }
    // Refreshed after 40 to 45 minutes, so at most once in 40.
    let periods = visits * 2 / 40;
    assert!(first.courier.calls() <= users.len() * periods);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_courier_is_ridden_out_by_a_replica_that_starts_in_it() {
    let (first, store) = World::with_store(HOUR);
    for user in ["alice", "bob"] {
        first.get(user).await.unwrap();
    }
    settle().await;
    first.courier.set_mood(Mood::Status(503, None));
    let second = first.replica(&store);
    for user in 0..20 {
        assert!(second.get(&format!("new-{user}")).await.is_err());
    }
    assert!(second.cache.status().circuit_open);
    let calls = first.courier.calls();
    let token = second.get("alice").await.unwrap();
    assert_eq!(token.user_id(), "alice");

    let third = first.replica(&store);
    first.courier.set_mood(Mood::Status(401, None));
    assert!(third.get("new").await.is_err());
    assert!(third.cache.status().api_key_refused);
    third.get("bob").await.unwrap();
    assert_eq!(first.courier.calls(), calls + 1);
}

/// An answer from the store says nothing about Courier: neither does it close the breaker, nor
/// is it a success.
#[tokio::test(start_paused = true)]
async fn a_hit_is_no_sign_of_life_of_courier() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    first.courier.set_mood(Mood::Status(503, None));
    for user in 0..20 {
        assert!(second.get(&format!("new-{user}")).await.is_err());
    }
    second.get("alice").await.unwrap();
    let status = second.cache.status();
    assert!(status.circuit_open);
    assert_eq!(status.last_success_at, None);
    assert_eq!((status.calls_in_flight, status.queued), (0, 0));
}

/// While Courier may not be asked, a user without a token is looked up every second or two and no
/// more.
#[tokio::test(start_paused = true)]
async fn looking_in_vain_is_bounded() {
    let (first, store) = World::with_store(HOUR);
    first.courier.set_mood(Mood::Status(401, None));
    assert!(first.get("first").await.is_err());
    let commands = store.commands();
    for _ in 0..100 {
        assert!(first.get("alice").await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let looks = (store.commands() - commands) / 3;
    assert!((3..=5).contains(&looks), "{looks} looks in 5 seconds");
}

/// A token that ages is no reason not to ask, but better than none when Courier has none.
#[tokio::test(start_paused = true)]
async fn an_aging_token_is_taken_for_the_time_being() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    minutes(50).await;
    let second = first.replica(&store);
    first.courier.set_mood(Mood::Hang);
    let start = Instant::now();
    let grant = second.grant("alice");
    let cache = second.cache.clone();
    let waiter = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    settle().await;
    // Whoever comes later does not wait.
    assert_eq!(second.get("alice").await.unwrap().id(), token.id());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(waiter.await.unwrap().unwrap().id(), token.id());

    first.courier.set_mood(Mood::Ok);
    let third = first.replica(&store);
    let new = third.get("alice").await.unwrap();
    assert_ne!(new.id(), token.id(), "an aging one is not adopted");
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_user_gets_no_token_of_before() {
    let (first, store) = World::with_store(HOUR);
    let old = first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    second.cache.invalidate("alice");
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Known at once where it happened, without the store.
    let new = second.get("alice").await.unwrap();
    assert_ne!(new.id(), old.id());
    settle().await;
    // And to the others by the store, which has the new one now.
    let third = first.replica(&store);
    assert_eq!(third.get("alice").await.unwrap().id(), new.id());
    assert_eq!(first.courier.calls(), 2);

    second.cache.invalidate("alice");
    settle().await;
    let fourth = first.replica(&store);
    assert_ne!(fourth.get("alice").await.unwrap().id(), new.id());
    assert_eq!(store.lifetimes(":i"), [HOUR, HOUR]);
}

/// A token on its way while its user signs out is not left in the store for the next one.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_asked_for_before_the_sign_out_is_not_adopted() {
    let (first, store) = World::with_store(HOUR);
    first.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    let (cache, grant) = (first.cache.clone(), first.grant("alice"));
    let asked = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    settle().await;
    let second = first.replica(&store);
    second.cache.invalidate("alice");
    let old = asked.await.unwrap().unwrap();
    settle().await;
    let third = first.replica(&store);
    assert_ne!(third.get("alice").await.unwrap().id(), old.id());
}

/// Also a replica that has nothing in its cache does not hand the refused token back.
#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_found_again() {
    let (first, store) = World::with_store(HOUR);
    let refused = first.get("alice").await.unwrap();
    minutes(1).await;
    let reject = async |world: &World| {
        let grant = world.grant("alice");
        world.cache.get(&grant, Wish::Other(refused.id())).await
    };
    let second = first.replica(&store);
    let new = reject(&second).await.unwrap();
    assert_ne!(new.id(), refused.id());
    assert_eq!(first.courier.calls(), 2);
    settle().await;
    // The first replica looks at the store before it asks.
    assert_eq!(reject(&first).await.unwrap().id(), new.id());
    let third = first.replica(&store);
    assert_eq!(reject(&third).await.unwrap().id(), new.id());
    assert_eq!(first.courier.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_api_key_is_no_storm() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    settle().await;
    // Told at run time.
    let second = first.replica(&store);
    second.cache.set_api_key("pk_new".into()).unwrap();
    second.cache.set_api_key("pk_new".into()).unwrap();
    assert_eq!(second.get("alice").await.unwrap().id(), token.id());
    // Told at the start.
    let new = Rings::new(&"pk_new".into(), None, &["pk_older".into(), KEY.into()]);
    let third = first.replica_with(&store, new);
    assert_eq!(third.get("alice").await.unwrap().id(), token.id());
    assert_eq!(first.courier.calls(), 1);
    // New tokens are written with the new key, which those read that have it.
    let bob = third.get("bob").await.unwrap();
    settle().await;
    assert_eq!(second.get("bob").await.unwrap().id(), bob.id());
    assert_ne!(first.get("bob").await.unwrap().id(), bob.id());
    // A sign-out counts for those with the old key as well.
    let alice = first.replica(&store);
    third.cache.invalidate("alice");
    settle().await;
    assert_ne!(alice.get("alice").await.unwrap().id(), token.id());
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_apps_own_outlives_api_keys() {
    let (first, store) = World::with_store(HOUR);
    let of = |api_key: &str, key: [u8; 32]| Rings::new(&api_key.into(), Some(&key), &[]);
    let one = first.replica_with(&store, of("pk_1", [1; 32]));
    let token = one.get("alice").await.unwrap();
    settle().await;
    let two = first.replica_with(&store, of("pk_2", [1; 32]));
    assert_eq!(two.get("alice").await.unwrap().id(), token.id());
    two.cache.set_api_key("pk_3".into()).unwrap();
    let bob = two.get("bob").await.unwrap();
    settle().await;
    assert_eq!(one.get("bob").await.unwrap().id(), bob.id());
    assert_eq!(first.courier.calls(), 2);
    // And nobody without it sees anything.
    for rings in [of("pk_1", [2; 32]), rings("pk_1"), rings(KEY)] {
        let stranger = first.replica_with(&store, rings);
        assert_ne!(stranger.get("alice").await.unwrap().id(), token.id());
        assert_eq!(stranger.store_status().poisoned, 0);
    }
}

/// What is left of a token is judged on both clocks, and by the replica that was issued it.
#[tokio::test(start_paused = true)]
async fn an_adopted_token_ends_when_it_ends() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    minutes(30).await;
    let second = first.replica(&store);
    assert_eq!(second.get("alice").await.unwrap().id(), token.id());
    let left = second.get("alice").await.unwrap().expires_in();
    assert!(left.abs_diff(Duration::from_secs(30 * 60)) <= Duration::from_secs(1));
    // Suspended until it is over.
    second.clock.sleep(Duration::from_secs(31 * 60));
    assert_ne!(second.get("alice").await.unwrap().id(), token.id());
}

/// No `exp`, so that only the replica that was issued it knows.
#[tokio::test(start_paused = true)]
async fn an_adopted_token_that_is_no_jwt_ends_as_well() {
    let (first, store) = World::with_store(HOUR);
    first.courier.set_mood(Mood::Opaque);
    let token = first.get("alice").await.unwrap();
    minutes(30).await;
    let second = first.replica(&store);
    assert_eq!(second.get("alice").await.unwrap().id(), token.id());
    let left = second.get("alice").await.unwrap().expires_in();
    assert!(left.abs_diff(Duration::from_secs(30 * 60)) <= Duration::from_secs(1));
}

/// It took the token for younger than it was, and served it for twenty minutes after its end.
#[tokio::test(start_paused = true)]
async fn a_replica_whose_clock_is_behind_goes_by_the_stores() {
    for mood in [Mood::Ok, Mood::Opaque] {
        let (first, store) = World::with_store(HOUR);
        first.courier.set_mood(mood);
        let token = first.get("alice").await.unwrap();
        minutes(30).await;
        let clock = ManualClock::new();
        clock.set_back(Duration::from_secs(20 * 60));
        let second = first.replica_with_clock(&store, Arc::clone(&clock));
        let found = second.get("alice").await.unwrap();
        assert_eq!(found.id(), token.id());
        let left = found.remaining(clock.now());
        assert!(left.abs_diff(Duration::from_secs(30 * 60)) <= Duration::from_secs(1));
        minutes(30).await;
        assert_ne!(second.get("alice").await.unwrap().id(), token.id());
    }
}

/// So that it asks for one of its own too early, and not too late.
#[tokio::test(start_paused = true)]
async fn a_replica_whose_clock_is_ahead_goes_by_its_own() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    settle().await;
    let clock = ManualClock::new();
    clock.set_forward(Duration::from_secs(20 * 60));
    let second = first.replica_with_clock(&store, Arc::clone(&clock));
    let found = second.get("alice").await.unwrap();
    assert_eq!(found.id(), token.id());
    let left = found.remaining(clock.now());
    assert!(left.abs_diff(Duration::from_secs(40 * 60)) <= Duration::from_secs(1));
}

/// Whatever a store says, a token ends when it ends.
#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_what_it_has_for_ever_prolongs_nothing() {
    let (first, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::KeepsForEver);
    let token = first.get("alice").await.unwrap();
    minutes(30).await;
    let second = first.replica(&store);
    let found = second.get("alice").await.unwrap();
    assert_eq!(found.id(), token.id());
    assert!(found.remaining(second.clock.now()) <= Duration::from_secs(30 * 60));
}

/// The machine believes that the token was issued in the future: it cannot tell what is left.
#[tokio::test(start_paused = true)]
async fn a_replica_whose_clock_is_behind_adopts_nothing_from_a_store_that_tells_no_ttl() {
    let (first, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::TellsNoTtl);
    let token = first.get("alice").await.unwrap();
    settle().await;
    let clock = ManualClock::new();
    clock.set_back(Duration::from_secs(50));
    let a_little = first.replica_with_clock(&store, Arc::clone(&clock));
    assert_eq!(a_little.get("alice").await.unwrap().id(), token.id());
    clock.set_back(Duration::from_secs(20));
    let too_far = first.replica_with_clock(&store, clock);
    assert_ne!(too_far.get("alice").await.unwrap().id(), token.id());
    assert_eq!(too_far.store_status().poisoned, 1);
}

/// A deploy empties every cache at once.
#[tokio::test(start_paused = true)]
async fn a_deploy_is_no_storm() {
    let (first, store) = World::with_store(HOUR);
    let users: Vec<_> = (0..500).map(|user| format!("user-{user}")).collect();
    for user in &users {
        first.get(user).await.unwrap();
    }
    settle().await;
    assert_eq!(first.courier.calls(), users.len());
    let second = first.replica(&store);
    let all = users.iter().map(|user| second.get(user));
    for token in futures_util::future::join_all(all).await {
        token.unwrap();
    }
    assert_eq!(first.courier.calls(), users.len());
}

/// Flights that look to other replicas first count as of when they ask, also after an outage.
#[tokio::test(start_paused = true)]
async fn a_second_outage_is_noticed_as_well() {
    let (world, _store) = World::with_store(Duration::from_secs(3600));
    for outage in 0..2 {
        world.courier.set_mood(Mood::Status(503, None));
        for n in 0..5 {
            world.get(&format!("u{outage}-{n}")).await.unwrap_err();
        }
        assert!(world.cache.status().circuit_open, "{outage}");
        world.courier.set_mood(Mood::Ok);
        tokio::time::sleep(Duration::from_secs(70)).await;
        world.get(&format!("up{outage}")).await.unwrap();
        assert!(!world.cache.status().circuit_open);
    }
}
