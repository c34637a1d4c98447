//! Bugs of other caches that are shared between machines, each repeated here under its name: the
//! project and the number of its issue or pull request.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Mood, World, settle,
    store::{KEY, StoreMood, rings},
};
use crate::{cache::Wish, scope::Scope, scope::Scopes};

const HOUR: Duration = Duration::from_secs(3600);

/// `a:b` + `c` and `a` + `b:c` were one key, and one user got the other's token.
#[tokio::test(start_paused = true)]
async fn litellm_31474_what_differs_has_different_keys() {
    let (world, store) = World::with_store(HOUR);
    let scopes = |names: &[&str]| {
        let scopes: Vec<_> = names
            .iter()
            .map(|name| Scope::new(*name).unwrap())
            .collect();
        Scopes::new(scopes).unwrap()
    };
    let mut grants = Vec::new();
    for (user, names) in [
        ("a", &["b:c"][..]),
        ("a:b", &["c"]),
        ("a:b:c", &["d"]),
        ("a", &["b", "c"]),
        ("a", &["b,c"]),
        ("a", &["b:c", "d"]),
        ("a1", &["b:c"]),
    ] {
        for lifetime in [HOUR, Duration::from_secs(360), Duration::from_secs(36_000)] {
            let mut grant = world.grant(user);
            let terms = Arc::make_mut(&mut grant.terms);
            terms.scopes = scopes(names);
            terms.lifetime = lifetime;
            grants.push(grant);
        }
    }
    for grant in &grants {
        world.cache.get(grant, Wish::Any).await.unwrap();
        settle().await;
    }
    assert_eq!(store.names(":t").len(), grants.len());
    let replica = world.replica(&store);
    for grant in &grants {
        let token = replica.cache.get(grant, Wish::Any).await.unwrap();
        assert_eq!(token.scope(), grant.scope_string());
    }
    assert_eq!(world.courier.calls(), grants.len());
}

/// A lock that was released without a look at whose it is ended that of the next holder.
#[tokio::test(start_paused = true)]
async fn litellm_31493_a_lock_is_released_by_its_owner_alone() {
    use crate::shared::SharedCache;
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    first.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    first.get("alice").await.unwrap();
    settle().await;
    let [name] = &store.names(":l")[..] else {
        panic!("no lock")
    };
    // It ran out, and somebody else has it now.
    store.delete(name).await.unwrap();
    assert!(store.try_lock(name, "next", HOUR).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(store.value(name).unwrap(), b"next");
}

/// A lock of ten seconds over a call that takes longer: two holders.
#[tokio::test(start_paused = true)]
async fn infusionsoft_220_a_lock_outlasts_the_call() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    second.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    first.courier.set_mood(Mood::Hang);
    first.get("alice").await.unwrap();
    settle().await;
    let start = Instant::now();
    // Three tries of two seconds.
    while start.elapsed() < Duration::from_secs(6) {
        second.get("alice").await.unwrap();
        settle().await;
        assert!(first.courier.running() <= 1, "two replicas ask");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(first.courier.calls(), 1 + 3);
    assert!(second.store_status().yielded >= 3);
    // And whatever a call does until its deadline.
    let lock = store.lifetimes(":l")[0];
    assert!(lock >= Duration::from_secs(12), "{lock:?}");
}

/// A hit in memory waited for the distributed cache.
#[tokio::test(start_paused = true)]
async fn id_web_1788_a_hit_in_memory_does_not_wait_for_the_store() {
    let (world, store) = World::with_store(HOUR);
    world.get("alice").await.unwrap();
    settle().await;
    store.set_mood(StoreMood::Hang);
    let (start, commands) = (Instant::now(), store.commands());
    world.get("alice").await.unwrap();
    // Nor does one that ages, while its refresh does.
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    world.get("alice").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(46 * 60));
    assert_eq!(store.commands(), commands);
}

/// Redis was down, and so was the app.
#[tokio::test(start_paused = true)]
async fn id_web_1040_a_store_that_is_down_is_a_miss() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    world.get("alice").await.unwrap();
    world.cache.invalidate("alice");
    world.get("alice").await.unwrap();
}

/// The distributed cache failed in silence.
#[tokio::test(start_paused = true)]
async fn id_web_2086_a_failing_store_is_to_be_seen() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    world.get("alice").await.unwrap();
    settle().await;
    let status = world.store_status();
    assert_eq!((status.errors, status.misses), (2, 0));
    assert_eq!(status.last_error.as_deref(), Some("connection refused"));
}

/// The other instances kept handing out the token that was refused.
#[tokio::test(start_paused = true)]
async fn id_web_1388_other_replicas_get_over_a_refused_token() {
    let (first, store) = World::with_store(HOUR);
    let refused = first.get("alice").await.unwrap();
    settle().await;
    let second = first.replica(&store);
    second.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let reject = async |world: &World| {
        let grant = world.grant("alice");
        let token = world.cache.get(&grant, Wish::Other(refused.id())).await;
        settle().await;
        token.unwrap()
    };
    let new = reject(&first).await;
    assert_ne!(new.id(), refused.id());
    assert_eq!(reject(&second).await.id(), new.id());
    assert_eq!(first.courier.calls(), 2);
}

/// After a failover nothing connected again.
#[tokio::test(start_paused = true)]
async fn id_web_1640_a_store_that_comes_back_is_used_again() {
    let (first, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    for user in 0..50 {
        first.get(&format!("user-{user}")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(31)).await;
    for user in ["probe", "alice"] {
        first.get(user).await.unwrap();
        settle().await;
    }
    let calls = first.courier.calls();
    first.replica(&store).get("alice").await.unwrap();
    assert_eq!(first.courier.calls(), calls);
    assert!(!first.store_status().circuit_open);
}

/// A timeout of Redis was an exception of the app's.
#[tokio::test(start_paused = true)]
async fn duende_32_a_timeout_of_the_store_is_a_miss() {
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Slow(Duration::from_secs(5)));
    let start = Instant::now();
    world.get("alice").await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(60));
}

/// Entries without an end filled Redis.
#[tokio::test(start_paused = true)]
async fn octokit_app_21_nothing_is_kept_for_ever() {
    let (world, store) = World::with_store(HOUR);
    world.get("alice").await.unwrap();
    world.cache.invalidate("alice");
    tokio::time::sleep(Duration::from_secs(46 * 60)).await;
    world.get("bob").await.unwrap();
    settle().await;
    assert!(!store.names("").is_empty());
    // A token no longer than it can be handed out.
    let grace = Duration::from_secs(30);
    assert!(store.lifetimes(":t").iter().all(|ttl| *ttl <= HOUR - grace));
    tokio::time::sleep(HOUR).await;
    assert_eq!(store.names(""), [""; 0]);
}

/// A reply that came late was taken for that to the next command: another user's token.
#[tokio::test(start_paused = true)]
async fn redis_rs_1252_a_value_of_another_key_is_nobodys() {
    let (first, store) = World::with_store(HOUR);
    for user in ["alice", "bob"] {
        first.get(user).await.unwrap();
        settle().await;
    }
    store.set_mood(StoreMood::Foreign);
    let second = first.replica(&store);
    for user in ["alice", "bob"] {
        assert_eq!(second.get(user).await.unwrap().user_id(), user);
    }
    assert!(second.store_status().poisoned >= 2);
    assert_eq!(first.courier.calls(), 4);
}

/// Two API keys, two workspaces, one Redis: each has its own.
#[tokio::test(start_paused = true)]
async fn object_store_805_workspaces_do_not_share() {
    let (first, store) = World::with_store(HOUR);
    let token = first.get("alice").await.unwrap();
    settle().await;
    let other = first.replica_with(&store, rings("pk_other"));
    assert_ne!(other.get("alice").await.unwrap().id(), token.id());
    let same = first.replica_with(&store, rings(KEY));
    assert_eq!(same.get("alice").await.unwrap().id(), token.id());
}
