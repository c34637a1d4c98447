//! Bugs of other token caches and single-flight libraries, each repeated here under its name.
//!
//! The name is the project and the number of its issue or pull request. The steps are explained in
//! `scenarios.rs`.

use std::{sync::Arc, time::Duration};

use super::{Mood, World, scenarios::run, settle};
use crate::{cache::Wish, cache::policy::Windows, error::ErrorKind};

macro_rules! regressions {
    ($($(#[doc = $doc:literal])* $name:ident: $steps:literal)*) => {$(
        $(#[doc = $doc])*
        #[tokio::test(start_paused = true)]
        async fn $name() {
            run($steps).await;
        }
    )*};
}

// Poisoned or permanently dead caches.
regressions! {
    /// Retries exhausted, and the client was dead until rebuilt.
    gcp_rust_4541_no_failure_is_final: r#"[
        {"courier": {"status": 503}}, {"get": "alice", "error": "Unavailable"}, {"advance": "16s"}, {"get": "alice", "error": "Unavailable"},
        {"advance": "16s"}, {"get": "alice", "error": "Unavailable"}, {"courier": "ok", "advance": "16s"}, {"get": "alice", "token": 1}]"#
    /// One failure that was taken for permanent ended all refreshing.
    gcp_rust_5864_a_permanent_error_does_not_end_refreshing: r#"[
        {"get": "alice", "token": 1}, {"advance": "46m"}, {"courier": {"status": 404}}, {"get": "alice", "token": 1, "calls": 1},
        {"courier": "ok", "advance": "6s"}, {"get": "alice", "token": 1, "calls": 1}, {"get": "alice", "token": 2}]"#
    /// A failed background refresh put an error in the place of a good token.
    gcp_rust_5809_failed_refresh_keeps_good_token: r#"[
        {"get": "alice", "token": 1}, {"advance": "46m"}, {"courier": {"status": 503}}, {"get": "alice", "token": 1}, {"advance": "10s"}, {"get": "alice", "token": 1},
        {"advance": "1m"}, {"get": "alice", "token": 1}, {"advance": "10m"}, {"get": "alice", "token": 1}]"#
    /// The issuer answered for another identity, and that was cached for an hour.
    object_store_805_wrong_identity_is_not_cached: r#"[
        {"courier": "wrong_user"}, {"get": "alice", "error": "InvalidResponse"}, {"courier": "ok", "advance": "1.1s"}, {"get": "alice", "token": 2}]"#
    /// The error of a proactive refresh was shown although the token was good.
    azure_rust_2611_proactive_error_is_not_shown: r#"[
        {"get": "alice", "token": 1}, {"advance": "57m"}, {"courier": {"status": 400}}, {"get": "alice", "token": 1}]"#
    /// No expiry meant valid for ever.
    golang_oauth2_738_no_expiry_is_not_for_ever: r#"[
        {"courier": "no_exp", "get": "alice", "token": 1}, {"advance": "61m"}, {"get": "alice", "token": 2}]"#
    /// A cached error outlived its cause.
    msal_js_1338_errors_do_not_outlive_their_cause: r#"[
        {"courier": {"status": 400}}, {"get": "alice", "error": "RequestRefused"}, {"courier": "ok", "advance": "15s"}, {"get": "alice", "token": 1}]"#
}

/// The expiry check was off while the time difference to the server was unknown.
#[tokio::test(start_paused = true)]
async fn ably_java_470_unknown_server_time_does_not_switch_expiry_off() {
    let world = World::new(Duration::from_secs(3600), 10);
    world.courier.send_no_date();
    let first = world.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_ne!(world.get("alice").await.unwrap().id(), first.id());
}

/// One slot for all resources.
#[tokio::test(start_paused = true)]
async fn azure_rust_1225_what_differs_in_the_grant_differs_in_the_cache() {
    let world = World::new(Duration::from_secs(3600), 10);
    let inbox = world.grant("alice");
    let mut day = inbox.clone();
    Arc::make_mut(&mut day.terms).lifetime = Duration::from_secs(86400);
    let inbox_token = world.cache.get(&inbox, Wish::Any).await.unwrap();
    let day_token = world.cache.get(&day, Wish::Any).await.unwrap();
    assert_ne!(inbox_token.id(), day_token.id());
    assert!(day_token.expires_in() > Duration::from_secs(80_000));
}

/// Nor is what another grant left in its place an answer to who waits in vain.
#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_gets_no_token_of_another_grant() {
    let world = World::new(Duration::from_secs(3600), 10);
    let inbox = world.grant("alice");
    let mut day = inbox.clone();
    Arc::make_mut(&mut day.terms).lifetime = Duration::from_secs(86400);
    world.courier.set_mood(Mood::Hang);
    let cache = world.cache.clone();
    let waits = tokio::spawn(async move { cache.get(&inbox, Wish::Any).await });
    // During the last try, shortly before the caller gives up.
    tokio::time::sleep(Duration::from_millis(4900)).await;
    world.cache.invalidate("alice");
    world.courier.set_mood(Mood::Ok);
    world.cache.get(&day, Wish::Any).await.unwrap();
    let waited = waits.await.unwrap();
    assert_eq!(
        waited.map_err(|error| error.kind()).err(),
        Some(ErrorKind::Timeout)
    );
}

// Herds, convoys and storms.
regressions! {
    /// No second look after the lock: N waiters, N calls.
    gcp_auth_41_a_herd_is_one_call: r#"[
        {"courier": {"slow": "1s"}, "start": "alice", "callers": 500, "calls": 1}, {"join": "alice", "token": 1, "calls": 0}]"#
    /// The issuer hands out the same token again and is asked every millisecond.
    object_store_41_same_token_again_is_not_a_loop: r#"[
        {"get": "alice", "token": 1}, {"advance": "56m"}, {"courier": "same_exp", "get": "alice", "token": 1, "calls": 1}, {"get": "alice", "token": 1, "calls": 0},
        {"get": "alice", "token": 1, "calls": 0}, {"advance": "1s"}, {"get": "alice", "token": 1, "calls": 0}]"#
    /// A refresh in the path of a request.
    object_store_649_an_aging_token_is_served_at_once: r#"[
        {"get": "alice", "token": 1}, {"advance": "46m"}, {"courier": {"slow": "1.9s"}, "get": "alice", "token": 1, "took": "0s"}]"#
    /// 50 parallel requests, 50 refreshes.
    nextjs_auth0_959_parallel_requests_share_a_refresh: r#"[
        {"get": "alice", "token": 1}, {"advance": "60m"}, {"courier": {"slow": "1s"}, "start": "alice", "callers": 50, "calls": 1}, {"join": "alice", "token": 2, "calls": 0}]"#
    /// Five outer and five inner retries were 25 calls.
    posthog_64180_one_retry_layer: r#"[
        {"courier": {"status": 503}}, {"get": "alice", "error": "Unavailable", "calls": 3}]"#
    /// Retries prolonged the very limit that they ran into.
    aidevops_5300_a_limit_is_not_hammered: r#"[
        {"courier": {"status_retry_after": [429, "20s"]}}, {"get": "alice", "error": "RateLimited", "calls": 1}, {"get": "alice", "error": "RateLimited", "calls": 0},
        {"advance": "19s"}, {"get": "alice", "error": "RateLimited", "calls": 0}]"#
    /// A 429 without `Retry-After` handed to every caller to retry by itself.
    langalpha_379_a_limit_is_shared_by_all_callers: r#"[
        {"courier": {"status_retry_after": [429, "10s"]}, "start": "alice", "callers": 40, "calls": 1}, {"join": "alice", "error": "RateLimited", "calls": 0}]"#
}

/// A window as long as the life of the token meant a refresh on every call.
#[tokio::test(start_paused = true)]
async fn botocore_2189_short_tokens_do_not_storm() {
    for lifetime in [10, 30, 60, 300, 900] {
        let world = World::new(Duration::from_secs(lifetime), 10);
        for _ in 0..lifetime * 10 {
            world.get("alice").await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // One to begin with, one after two thirds or more of a life.
        assert!(
            world.courier.calls() <= 3,
            "{lifetime} s: {}",
            world.courier.calls()
        );
    }
}

/// The machine's clock is ahead and nothing says what time it is at Courier: to it each new token was
/// about to end, and the next one was asked for at once.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_is_no_storm() {
    for (lifetime, ahead) in [(300, 230), (900, 700), (3600, 50 * 60)] {
        let world = World::new(Duration::from_secs(lifetime), 10);
        world.courier.send_no_date();
        world.clock.set_forward(Duration::from_secs(ahead));
        for _ in 0..lifetime - ahead {
            world.get("alice").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // One to begin with, one after two thirds or more of what is left.
        let calls = world.courier.calls();
        assert!(calls <= 2, "{lifetime} s: {calls}");
        let status = world.cache.status();
        assert!(status.last_error.is_none(), "{status:?}");
    }
}

/// Jitter cancelled the buffer that it was added to.
#[test]
fn smithy_3402_jitter_never_delays_a_refresh() {
    let lifetime = Duration::from_secs(3600);
    let plain = Windows::new(lifetime, 0.0).aging;
    for step in 0..1000 {
        let aging = Windows::new(lifetime, f64::from(step) / 1000.0).aging;
        assert!(aging >= plain && aging < lifetime / 2);
    }
}

/// All clients refreshed in the same moment.
#[tokio::test(start_paused = true)]
async fn google_cloud_swift_834_refreshes_are_spread() {
    fastrand::seed(3);
    let world = World::new(Duration::from_secs(3600), 1000);
    for n in 0..100 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(40 * 60)).await;
    let mut most = 0;
    for _ in 0..300 {
        let before = world.courier.calls();
        for n in 0..100 {
            world.get(&format!("u{n}")).await.unwrap();
        }
        settle().await;
        most = most.max(world.courier.calls() - before);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(
        world.courier.calls(),
        200,
        "each was refreshed once within five minutes"
    );
    assert!(most <= 8, "{most} at once");
}

/// Thousands of readers stood in line for a mutex.
#[tokio::test(start_paused = true)]
async fn object_store_541_a_hit_takes_no_async_lock() {
    use futures_util::FutureExt;
    let world = World::new(Duration::from_secs(3600), 10);
    world.get("alice").await.unwrap();
    for _ in 0..1000 {
        world
            .get("alice")
            .now_or_never()
            .expect("ready at the first poll")
            .unwrap();
    }
}

/// 3,338 failures in a row without a change of state.
#[tokio::test(start_paused = true)]
async fn hermes_103663_an_outage_is_noticed() {
    let world = World::new(Duration::from_secs(3600), 10_000);
    world.courier.set_mood(Mood::Status(503, None));
    for n in 0..3_338 {
        world.get(&format!("u{n}")).await.unwrap_err();
    }
    assert!(
        world.courier.calls() <= 5 * 3 + 3,
        "{}",
        world.courier.calls()
    );
    assert!(world.cache.status().circuit_open);
}

/// A full cache was cleared, and every key missed at once.
#[tokio::test(start_paused = true)]
async fn litellm_31275_a_full_cache_evicts_one_by_one() {
    let world = World::new(Duration::from_secs(3600), 100);
    for n in 0..150 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    assert!(
        world.cache.status().users >= 90,
        "{}",
        world.cache.status().users
    );
}

// Cancellation and leaks.
regressions! {
    /// The server aborts the handler that began the load, and all that wait panic.
    moka_59_an_aborted_first_caller_harms_nobody: r#"[
        {"courier": {"slow": "1s"}, "start": "alice", "calls": 1}, {"drop": "alice"}, {"get": "alice", "token": 1, "calls": 0}]"#
    /// Callers less patient than the load is slow: the cache never fills.
    moka_240_impatient_callers_fill_the_cache: r#"[
        {"courier": {"slow": "1.9s"}, "start": "alice", "calls": 1}, {"drop": "alice"}, {"advance": "1s"}, {"start": "alice"}, {"drop": "alice"}, {"advance": "1s"}, {"get": "alice", "token": 1, "took": "0s", "calls": 0}]"#
    /// The marker of a load was removed on the happy path alone: after a panic its key hung for ever.
    pingora_931_a_panic_clears_the_marker: r#"[
        {"courier": "panic"}, {"get": "alice", "error": "Runtime"}, {"courier": "ok", "advance": "1.1s"}, {"get": "alice", "token": 1}]"#
    /// Those who joined a failed run were told that it had succeeded, with nothing.
    rueidis_1014_joiners_get_the_error_of_their_run: r#"[
        {"courier": {"status": 400}, "start": "alice", "callers": 10}, {"join": "alice", "error": "RequestRefused"}]"#
    /// A new run began beside the old one when somebody cancelled.
    cockroach_91038_a_cancelled_caller_starts_no_second_run: r#"[
        {"courier": {"slow": "1s"}, "start": "alice", "callers": 3, "calls": 1}, {"drop": "alice"}, {"start": "alice", "callers": 3, "calls": 0}, {"join": "alice", "token": 1, "calls": 0}]"#
}

/// 200 aborted attempts in a row made the 201st caller panic.
#[tokio::test(start_paused = true)]
async fn web3_proxy_217_hundreds_of_aborts_are_no_panic() {
    let world = World::new(Duration::from_secs(3600), 10);
    world.courier.set_mood(Mood::Hang);
    for _ in 0..500 {
        let cache = world.cache.clone();
        let grant = world.grant("alice");
        let caller = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
        settle().await;
        caller.abort();
    }
    world.courier.set_mood(Mood::Ok);
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.get("alice").await.unwrap();
}

/// A refresh task per credential that never ended.
#[tokio::test(start_paused = true)]
async fn restate_5154_no_task_stays_behind() {
    let world = World::new(Duration::from_secs(3600), 1000);
    for n in 0..500 {
        world.get(&format!("u{n}")).await.unwrap();
    }
    settle().await;
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}

// Clocks.
regressions! {
    /// The monotonic clock stands still while a laptop sleeps.
    pizauth_47_a_token_does_not_survive_a_long_sleep: r#"[
        {"get": "alice", "token": 1}, {"sleep": "8h"}, {"get": "alice", "token": 2}]"#
    /// The wall clock steps back, and an expired token is kept.
    hexclave_2025_a_clock_set_back_prolongs_nothing: r#"[
        {"get": "alice", "token": 1}, {"set_clock": "-8h"}, {"advance": "61m"}, {"get": "alice", "token": 2}]"#
    /// Skew with the wrong sign: ten minutes of expired tokens.
    angular_oauth2_oidc_1225_skew_never_prolongs: r#"[
        {"set_clock": "-10m"}, {"get": "alice", "token": 1}, {"advance": "59.51m"}, {"get": "alice", "token": 2}]"#
}

// Forced refresh.
regressions! {
    /// Ten clients invalidate, and the new token is thrown away nine times.
    azure_cpp_6151_only_the_refused_token_is_replaced: r#"[
        {"get": "alice", "token": 1}, {"advance": "11s"}, {"reject": "alice", "held": 1, "token": 2, "calls": 1}, {"advance": "31s"}, {"reject": "alice", "held": 1, "token": 2, "calls": 0}]"#
    /// A client that holds a token wants a newer one, and is told when there is none.
    liveblocks_1132_newer_is_not_the_same_as_any: r#"[
        {"get": "alice", "token": 1}, {"refresh": "alice", "held": 1, "token": 1, "calls": 0}, {"advance": "50m"}, {"refresh": "alice", "held": 1, "token": 2, "calls": 1}]"#
    /// The issuer hands out tokens that are refused, and the client asks for ever.
    ably_js_no_retry_counter_refused_tokens_are_not_replaced_for_ever: r#"[
        {"get": "alice", "token": 1}, {"advance": "31s"}, {"reject": "alice", "held": 1, "token": 2}, {"advance": "31s"}, {"reject": "alice", "held": 2, "token": 3},
        {"advance": "31s"}, {"reject": "alice", "held": 3, "token": 4}, {"advance": "31s"}, {"reject": "alice", "held": 4, "token": 4, "calls": 0}, {"advance": "31s"}, {"reject": "alice", "held": 4, "token": 4, "calls": 0}]"#
}
