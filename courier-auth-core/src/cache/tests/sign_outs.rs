//! What `invalidate` does to the cache that replicas share: nobody takes a token of before.

use std::{sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::spawn_blocking,
    time::{Instant, advance, sleep},
};

use super::{
    Mood, World, settle,
    store::{KEY, Store, StoreMood, rings, shared_tokens, sharing_cache},
};
use crate::{
    cache::{
        TokenCache, Wish,
        clock::{Clock, ManualClock, Moment},
        peers::{Found, Held, Lock, Peers},
    },
    request::Grant,
    shared::{SharedCacheStatus, SharedTokens},
    token::{Token, TokenId},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Whether a replica that starts now takes this token.
async fn is_taken(world: &World, store: &Store, user: &str, token: &Token) -> bool {
    world.replica(store).get(user).await.unwrap().id() == token.id()
}

/// Who asked while `invalidate` was under way found the token of before in the store, where nothing
/// spoke against it yet, and this replica kept it.
#[test]
fn who_asks_meanwhile_does_not_bring_the_token_back() {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (world, store) = World::with_store(HOUR);
        let peers = Slow(shared_tokens(&store, rings(KEY), HOUR, &world.clock));
        let cache = TokenCache::new(
            Arc::new(world.courier.clone()),
            Some(Arc::new(peers)),
            1000,
            Some(Handle::current()),
            Clock::Manual(Arc::clone(&world.clock)),
        );
        let grant = world.grant("alice");
        let old = cache.get(&grant, Wish::Any).await.unwrap();
        while store.names(":t").is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        let signing_out = {
            let cache = cache.clone();
            spawn_blocking(move || cache.invalidate("alice"))
        };
        sleep(Duration::from_millis(20)).await;
        cache.get(&grant, Wish::Any).await.unwrap();
        signing_out.await.unwrap();
        let new = cache.get(&grant, Wish::Any).await.unwrap();
        assert_ne!(new.id(), old.id());
    });
}

/// From the 257th on they were dropped, although the store was well.
#[tokio::test(start_paused = true)]
async fn everybody_can_be_signed_out_at_once() {
    let (world, store) = World::with_store(HOUR);
    let users: Vec<_> = (0..2000).map(|n| format!("user-{n}")).collect();
    let mut old = Vec::new();
    for user in &users {
        old.push(world.get(user).await.unwrap().id());
        settle().await;
    }
    for user in &users {
        world.cache.invalidate(user);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(store.names(":i").len(), users.len());
    for replica in [&world.replica(&store), &world] {
        for (user, old) in users.iter().zip(&old) {
            assert_ne!(replica.get(user).await.unwrap().id(), *old, "{user}");
        }
    }
    assert_eq!(world.store_status().bypassed, 0);
}

/// A tombstone that failed was never tried again.
#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_hears_of_it_later() {
    for mood in [
        StoreMood::Down,
        StoreMood::Hang,
        StoreMood::Full,
        StoreMood::Panic,
    ] {
        let (world, store) = World::with_store(HOUR);
        let old = world.get("alice").await.unwrap();
        settle().await;
        store.set_mood(mood.clone());
        for n in 0..100 {
            world.cache.invalidate(&format!("user-{n}"));
        }
        world.cache.invalidate("alice");
        sleep(Duration::from_secs(600)).await;
        let tries = world.store_status().errors;
        assert!(tries < 200, "{mood:?}: {tries} in ten minutes");
        store.set_mood(StoreMood::Ok);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(store.names(":i").len(), 101, "{mood:?}");
        assert!(!is_taken(&world, &store, "alice", &old).await, "{mood:?}");
    }
}

/// An app that lets go of its provider as it stops has signed out the last user before.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_dropped_leaves_its_sign_outs() {
    let (world, store) = World::with_store(HOUR);
    for n in 0..100 {
        world.cache.invalidate(&format!("user-{n}"));
    }
    drop(world);
    settle().await;
    assert_eq!(store.names(":i").len(), 100);
}

/// Who signs in again is not signed out by a note of before that is late.
#[tokio::test(start_paused = true)]
async fn a_late_tombstone_takes_nothing_back() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    world.cache.invalidate("alice");
    sleep(Duration::from_secs(5)).await;
    store.set_mood(StoreMood::Ok);
    let other = world.replica(&store);
    let between = other.get("alice").await.unwrap();
    settle().await;
    sleep(Duration::from_millis(1)).await;
    other.cache.invalidate("alice");
    settle().await;
    // The first one writes its own, which is older.
    sleep(Duration::from_secs(60)).await;
    assert!(!is_taken(&world, &store, "alice", &between).await);

    let new = world.get("alice").await.unwrap();
    settle().await;
    assert!(is_taken(&world, &store, "alice", &new).await);
}

/// A replica that was stopped after it had looked wrote what it had come to a minute ago.
#[tokio::test(start_paused = true)]
async fn a_replica_that_was_stopped_takes_nothing_back() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::SlowAnswers(Duration::from_millis(1)));
    world.cache.invalidate("alice");
    settle().await;
    store.set_mood(StoreMood::Ok);
    // Time that passes for the others.
    let second = Duration::from_secs(1);
    world.clock.set_forward(second);
    let other = world.replica(&store);
    let between = other.get("alice").await.unwrap();
    settle().await;
    world.clock.set_forward(second);
    other.cache.invalidate("alice");
    settle().await;
    // The first one finds the answer and that it is late at once.
    advance(2 * second).await;
    sleep(Duration::from_secs(5)).await;
    assert!(!is_taken(&world, &store, "alice", &between).await);
}

/// The token of a replica whose clock was five minutes ahead was taken for one from after a sign-out that
/// came four minutes later, for the rest of its life.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_outlasts_no_sign_out() {
    let (world, store) = World::with_store(HOUR);
    let clock = ManualClock::new();
    clock.set_forward(Duration::from_secs(5 * 60));
    let ahead = world.replica_with_clock(&store, clock);
    let old = ahead.get("alice").await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(is_taken(&world, &store, "alice", &old).await);
    world.cache.invalidate("alice");
    settle().await;
    assert!(!is_taken(&world, &store, "alice", &old).await);
}

/// A replica that knows of shorter lives only shortened the tombstone of one that knows of longer
/// ones.
#[tokio::test(start_paused = true)]
async fn the_longest_life_counts() {
    let (world, store) = World::with_store(HOUR);
    let mut grant = world.grant("alice");
    Arc::make_mut(&mut grant.terms).lifetime = 24 * HOUR;
    let old = world.cache.get(&grant, Wish::Any).await.unwrap();
    settle().await;
    world.cache.invalidate("alice");
    sleep(Duration::from_secs(1)).await;
    let other = world.replica(&store);
    other.cache.invalidate("alice");
    sleep(2 * HOUR).await;
    let new = world.replica(&store).cache.get(&grant, Wish::Any).await;
    assert_ne!(new.unwrap().id(), old.id());
}

fn runtime() -> Runtime {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap()
}

/// The note went down with the runtime that it was to be written on.
#[test]
fn a_runtime_that_has_gone_or_stands_still_is_done_without() {
    for gone in [true, false] {
        runtime().block_on(async {
            let (world, store) = World::with_store(HOUR);
            let old = world.get("alice").await.unwrap();
            settle().await;
            let other = runtime();
            let home = Some(other.handle().clone());
            let cache = sharing_cache(&world.clock, &world.courier, &store, home);
            let other = if gone {
                other.shutdown_background();
                None
            } else {
                Some(other)
            };
            for n in 0..300 {
                cache.invalidate(&format!("user-{n}"));
            }
            cache.invalidate("alice");
            sleep(Duration::from_secs(10)).await;
            // Whichever flight comes next sees to it.
            cache.get(&world.grant("bob"), Wish::Any).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            assert_eq!(store.names(":i").len(), 301, "gone: {gone}");
            assert!(
                !is_taken(&world, &store, "alice", &old).await,
                "gone: {gone}"
            );
            assert_eq!(store.names(":t").len(), 2, "bob's is written too");
            if let Some(other) = other {
                other.shutdown_background();
            }
        });
    }
}

/// Where `invalidate` is called there need not be a runtime, nor have been one.
#[test]
fn outside_of_a_runtime_it_waits_for_one() {
    let runtime = runtime();
    let (world, store, old) = runtime.block_on(async {
        let (world, store) = World::with_store(HOUR);
        let old = world.get("alice").await.unwrap();
        settle().await;
        (world, store, old)
    });
    let cache = {
        let _entered = runtime.enter();
        sharing_cache(&world.clock, &world.courier, &store, None)
    };
    cache.invalidate("alice");
    runtime.block_on(async {
        cache.get(&world.grant("bob"), Wish::Any).await.unwrap();
        settle().await;
        assert!(!is_taken(&world, &store, "alice", &old).await);
    });
}

/// A flight from before the sign-out that finished after the next sign-in took the place of its token,
/// which no replica could find then.
#[tokio::test(start_paused = true)]
async fn a_flight_of_before_does_not_replace_what_came_after() {
    let (world, store) = World::with_store(HOUR);
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(1500)));
    let (cache, grant) = (world.cache.clone(), world.grant("alice"));
    let asked = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    sleep(Duration::from_millis(100)).await;
    world.cache.invalidate("alice");
    sleep(Duration::from_millis(10)).await;
    world.courier.set_mood(Mood::Ok);
    let new = world.get("alice").await.unwrap();
    settle().await;
    asked.await.unwrap().unwrap();
    settle().await;
    assert!(is_taken(&world, &store, "alice", &new).await);
}

/// A page that waited for the next token got the other replica's "I am asking" as an error.
#[tokio::test(start_paused = true)]
async fn who_is_forgotten_while_another_replica_asks_gets_a_token() {
    let (world, store, old) = World::refreshed_elsewhere("alice").await;
    store.set_mood(StoreMood::SlowLocks(Duration::from_millis(30)));
    let (cache, grant) = (world.cache.clone(), world.grant("alice"));
    let waiting = tokio::spawn(async move { cache.get(&grant, Wish::Newer(old.id())).await });
    sleep(Duration::from_millis(10)).await;
    let started = Instant::now();
    world.cache.invalidate("alice");
    waiting.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
}

/// The same, on a machine that takes the thread away in between.
#[derive(Debug)]
struct Slow(Arc<SharedTokens>);

#[async_trait]
impl Peers for Slow {
    fn admits_look(&self, now: Instant) -> bool {
        self.0.admits_look(now)
    }

    fn note_look_left_out(&self) {
        self.0.note_look_left_out();
    }

    async fn find(&self, grant: &Grant, avoid: Option<TokenId>) -> Found {
        self.0.find(grant, avoid).await
    }

    fn looked(&self, hit: bool) {
        self.0.looked(hit);
    }

    async fn lock(&self, grant: &Grant) -> Lock {
        self.0.lock(grant).await
    }

    async fn unlock(&self, lock: Held) {
        self.0.unlock(lock).await;
    }

    async fn tell(&self, grant: &Grant, token: &Token, sent: Moment) {
        self.0.tell(grant, token, sent).await;
    }

    fn forget(&self, user: Arc<str>, runtime: Option<&Handle>) {
        thread::sleep(Duration::from_millis(60));
        self.0.forget(user, runtime);
    }

    fn set_api_key(&self, api_key: String) {
        self.0.set_api_key(api_key);
    }

    fn is_bypassed(&self) -> bool {
        self.0.is_bypassed()
    }

    fn status(&self) -> SharedCacheStatus {
        self.0.status()
    }
}
