//! One user's life, as `redis-cli MONITOR` shows it.

use std::time::Duration;

use courier_auth_core::RedisCache;
use tokio::time::{Instant, sleep_until};

use crate::{
    control::{Monitor, eventually},
    for_each_server,
    replica::{builder, courier, token},
    server::{Kind, Server},
};

for_each_server!(commands_of_a_users_life);

#[expect(clippy::print_stdout, reason = "to look at")]
async fn commands_of_a_users_life(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = || {
        builder(&courier)
            .lifetime(Duration::from_secs(20))
            .shared_cache(RedisCache::new(redis.url()).unwrap())
            .build()
            .unwrap()
    };
    let (one, two) = (replica(), replica());
    let mut monitor = Monitor::of(&redis).await;
    let mut seen = async |what: &str| {
        let commands = monitor.commands().await;
        println!("{what}");
        for command in &commands {
            println!("    {}", command.join(" "));
        }
        shapes(&commands)
    };

    let old = token(&courier, &one, "alice").await;
    let aging = Instant::now() + Duration::from_millis(15_100);
    eventually(async || redis.keys().await.len() == 1).await;
    assert_eq!(
        seen("issued by the first replica").await,
        [
            "GETRANGE token 0 24576",
            "PTTL token",
            "GETRANGE tombstone 0 24576",
            "SET token value PX ms"
        ]
    );
    token(&courier, &one, "alice").await;
    assert_eq!(seen("a hit there").await, <[&str; 0]>::default());
    assert_eq!(token(&courier, &two, "alice").await.id(), old.id());
    assert_eq!(
        seen("a hit on the second replica").await,
        [
            "GETRANGE token 0 24576",
            "PTTL token",
            "GETRANGE tombstone 0 24576"
        ]
    );
    token(&courier, &two, "alice").await;
    assert_eq!(seen("another there").await, <[&str; 0]>::default());

    sleep_until(aging).await;
    let refreshed = async |replica| {
        eventually(async || token(&courier, replica, "alice").await.id() != old.id()).await;
    };
    refreshed(&one).await;
    // The lock is gone.
    eventually(async || redis.keys().await.len() == 1).await;
    assert_eq!(
        seen("refreshed by the first replica").await,
        [
            "GETRANGE token 0 24576",
            "PTTL token",
            "GETRANGE tombstone 0 24576",
            "SET lock owner NX PX 12000",
            // Somebody may have been done with it just before.
            "GETRANGE token 0 24576",
            "PTTL token",
            "GETRANGE tombstone 0 24576",
            "SET token value PX ms",
            "EVAL script 1 lock owner",
            // The script's own.
            "GET lock",
            "DEL lock"
        ]
    );
    refreshed(&two).await;
    assert_eq!(
        seen("adopted by the second").await,
        [
            "GETRANGE token 0 24576",
            "PTTL token",
            "GETRANGE tombstone 0 24576"
        ]
    );
    assert_eq!(courier.token_requests(), 2);

    one.invalidate("alice");
    eventually(async || redis.keys().await.len() == 2).await;
    assert_eq!(
        seen("invalidated").await,
        [
            // Another replica's may be later, or last longer.
            "GETRANGE tombstone 0 24576",
            "SET tombstone value PX ms"
        ]
    );
}

/// What each command does, without names and values, and without those of the connection and of
/// this test.
fn shapes(commands: &[Vec<String>]) -> Vec<String> {
    let ours = commands
        .iter()
        .filter(|command| !matches!(command[0].as_str(), "CLIENT" | "KEYS"));
    ours.map(|command| shape(command)).collect()
}

fn shape(command: &[String]) -> String {
    let words = command.iter().enumerate().map(|(position, word)| {
        let name = match word
            .rsplit_once(":1:{")
            .map(|(_, rest)| rest.rsplit(':').next())
        {
            Some(Some("t")) => Some("token"),
            Some(Some("l")) => Some("lock"),
            Some(Some("i")) => Some("tombstone"),
            _ => None,
        };
        name.unwrap_or(match (command[0].as_str(), position) {
            ("SET", 2) if command[1].ends_with(":l") => "owner",
            ("SET", 2) => "value",
            ("SET", 4) if command[3] == "PX" => "ms",
            ("EVAL", 1) => "script",
            ("EVAL", 4) => "owner",
            _ => word,
        })
    });
    words.collect::<Vec<_>>().join(" ")
}
