//! Redis is away, slow, full or not to be written: nobody notices.
//!
//! In each test cold users come while something is wrong. Each gets a token, by one call to
//! Courier, as if there were no Redis; Redis is left alone after a few failures; one warning says
//! so; and when it is over the cache is shared again. How long users wait is measured by
//! `benches/redis_faults.rs`; here waits are bounded only so that a test ends.

use std::time::Duration;

use courier_auth_core::{TokenProvider, emulator::EmulatorServer};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::{
    control::{ask, eventually},
    for_each_server,
    proxy::{Proxy, Way},
    replica::{Log, counts, courier, finds, replica, token, users},
    server::{Kind, Server, free_port},
};

for_each_server!(
    refused,
    killed,
    frozen,
    black_hole,
    black_hole_from_the_start,
    slow,
    torn_answers,
    client_pause,
    debug_sleep,
    out_of_memory,
    a_read_only_replica,
    a_wrong_password,
    no_password,
    no_rights,
    a_burst_while_it_is_away,
    many_warnings_are_one,
);

async fn refused(kind: Kind) {
    let (courier, _log) = (courier().await, Log::begin());
    let nobody = format!("redis://127.0.0.1:{}/", free_port());
    let replica = replica(&courier, &nobody);
    is_endured(&courier, &replica).await;
    assert!(kind.is_there());
}

async fn killed(kind: Kind) {
    let (courier, mut redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    redis.kill();
    is_endured(&courier, &replica).await;
    redis.restart().await;
    is_over(&courier, &replica, &redis).await;
}

/// Its connections stay open, and new ones come about in the kernel.
async fn frozen(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    redis.freeze();
    is_endured(&courier, &replica).await;
    redis.thaw();
    is_over(&courier, &replica, &redis).await;
}

async fn black_hole(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let proxy = Proxy::before(&redis.address(), Way::Clear).await;
    let replica = working(&courier, &redis, &proxy.url()).await;
    proxy.set(Way::BlackHole);
    is_endured(&courier, &replica).await;
    is_left_alone(&courier, &replica, &proxy).await;
    proxy.set(Way::Clear);
    is_over(&courier, &replica, &redis).await;
}

async fn black_hole_from_the_start(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let proxy = Proxy::before(&redis.address(), Way::BlackHole).await;
    let replica = replica(&courier, &proxy.url());
    is_endured(&courier, &replica).await;
    is_left_alone(&courier, &replica, &proxy).await;
    proxy.set(Way::Clear);
    is_over(&courier, &replica, &redis).await;
}

/// Too slow for reads, which may take 50 ms, and not for writes, which may take 250.
async fn slow(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let proxy = Proxy::before(&redis.address(), Way::Clear).await;
    let replica = working(&courier, &redis, &proxy.url()).await;
    proxy.set(Way::Slow(Duration::from_millis(120)));
    is_endured(&courier, &replica).await;
    is_left_alone(&courier, &replica, &proxy).await;
    proxy.set(Way::Clear);
    is_over(&courier, &replica, &redis).await;
}

async fn torn_answers(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let proxy = Proxy::before(&redis.address(), Way::Clear).await;
    let replica = working(&courier, &redis, &proxy.url()).await;
    proxy.set(Way::Torn);
    is_endured(&courier, &replica).await;
    is_left_alone(&courier, &replica, &proxy).await;
    proxy.set(Way::Clear);
    is_over(&courier, &replica, &redis).await;
}

async fn client_pause(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    // It also pauses whoever would end it.
    let _ok: String = redis.ask(&["CLIENT", "PAUSE", "5000", "ALL"]).await;
    is_endured(&courier, &replica).await;
    is_over(&courier, &replica, &redis).await;
}

async fn debug_sleep(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    let mut connection = redis.connect().await;
    let asleep = tokio::spawn(async move {
        let mut sleep = ::redis::cmd("DEBUG");
        sleep.arg("SLEEP").arg(3);
        // The client does not wait that long.
        let _late: ::redis::RedisResult<String> = sleep.query_async(&mut connection).await;
    });
    sleep(Duration::from_millis(100)).await;
    is_endured(&courier, &replica).await;
    asleep.await.unwrap();
    is_over(&courier, &replica, &redis).await;
}

/// Writes are refused, reads are answered.
async fn out_of_memory(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    let _ok: String = redis
        .ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        .await;
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    is_endured(&courier, &replica).await;
    says(&courier, &replica, "oom").await;
    is_read(&courier, &redis).await;
    let _ok: String = redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    is_over(&courier, &replica, &redis).await;
}

/// As after a failover that the address does not follow.
async fn a_read_only_replica(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    let master = Server::start(kind, &["--repl-diskless-sync-delay", "0"]).await;
    let (source, keys) = (
        redis.keys().await,
        redis.value(&redis.keys().await[0]).await,
    );
    let mut set = ::redis::cmd("SET");
    set.arg(&source[0]).arg(keys).arg("PX").arg(3_000_000);
    let _ok: String = set.query_async(&mut master.connect().await).await.unwrap();
    let port = master.port().to_string();
    let _ok: String = redis.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    redis.wait_for("master_link_status:up").await;
    is_endured(&courier, &replica).await;
    says(&courier, &replica, "read only").await;
    is_read(&courier, &redis).await;
    let _ok: String = redis.ask(&["REPLICAOF", "NO", "ONE"]).await;
    is_over(&courier, &replica, &redis).await;
}

async fn a_wrong_password(kind: Kind) {
    let courier = courier().await;
    let redis = Server::start(kind, &["--requirepass", "right"]).await;
    let url = format!("redis://:wr0ngpassw0rd@{}/", redis.address());
    let (log, replica) = (Log::begin(), replica(&courier, &url));
    is_endured(&courier, &replica).await;
    let said = format!("{:?} {:?}", counts(&replica), log.warnings());
    assert!(!said.contains("wr0ng"), "{said}");
}

async fn no_password(kind: Kind) {
    let courier = courier().await;
    let redis = Server::start(kind, &["--requirepass", "right"]).await;
    is_endured(&courier, &replica(&courier, &redis.url())).await;
}

async fn no_rights(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let rule = ["ACL", "SETUSER", "courier", "on", ">pass", "+ping"];
    let _ok: String = ask(&mut redis.connect().await, &rule).await;
    let url = format!("redis://courier:pass@{}/", redis.address());
    is_endured(&courier, &replica(&courier, &url)).await;
}

/// All at once, before anybody knows that Redis is away.
async fn a_burst_while_it_is_away(kind: Kind) {
    let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
    let proxy = Proxy::before(&redis.address(), Way::Clear).await;
    let replica = working(&courier, &redis, &proxy.url()).await;
    proxy.set(Way::BlackHole);
    let before = courier.token_requests();
    let users: Vec<_> = (0..200).map(|user| format!("burst-{user}")).collect();
    join_all(users.iter().map(|user| token(&courier, &replica, user))).await;
    assert_eq!(courier.token_requests(), before + users.len());
    let counts = counts(&replica);
    assert!(counts.circuit_open);
    let error = counts.last_error.unwrap_or_default();
    let url = proxy.url();
    let address = url.trim_start_matches("redis://").trim_end_matches('/');
    let begin = format!("Redis ({address}): no answer within");
    assert!(error.starts_with(&begin), "{error}");
}

async fn many_warnings_are_one(kind: Kind) {
    let (courier, mut redis) = (courier().await, Server::start(kind, &[]).await);
    let replica = working(&courier, &redis, &redis.url()).await;
    let log = Log::begin();
    redis.kill();
    for user in 0..200 {
        token(&courier, &replica, &format!("new-{user}")).await;
    }
    // Writes end when nobody waits any more.
    sleep(Duration::from_millis(500)).await;
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("the shared cache is in trouble"));
}

/// A replica whose connection is open and has been used.
async fn working(courier: &EmulatorServer, redis: &Server, url: &str) -> TokenProvider {
    let replica = replica(courier, url);
    token(courier, &replica, "first-0").await;
    eventually(async || redis.keys().await.len() == 1).await;
    replica
}

/// Cold users get their tokens as if there were no Redis, one after the other and many at once.
pub(crate) async fn is_endured(courier: &EmulatorServer, replica: &TokenProvider) {
    let log = Log::begin();
    let (issued, errors) = (courier.token_requests(), counts(replica).errors);
    for user in 0..20 {
        token(courier, replica, &format!("{issued}-one-{user}")).await;
    }
    let users: Vec<_> = (0..80)
        .map(|user| format!("{issued}-many-{user}"))
        .collect();
    join_all(users.iter().map(|user| token(courier, replica, user))).await;
    assert_eq!(courier.token_requests(), issued + 100);

    eventually(async || counts(replica).circuit_open).await;
    let counts = counts(replica);
    // Five in a row open a breaker, of which there are two, and then there is a probe at a time.
    // What was under way with them fails as well: as many as there are calls to Courier.
    let errors = counts.errors - errors;
    assert!((5..=50).contains(&errors), "{counts:?}");
    assert!(counts.last_error.is_some());
    let warnings = log.warnings();
    assert!(warnings.len() <= 1, "{warnings:#?}");
    assert_eq!(replica.status().last_error.map(|error| error.kind()), None);
}

/// While the breakers are open, nothing goes out but a probe now and then.
async fn is_left_alone(courier: &EmulatorServer, replica: &TokenProvider, proxy: &Proxy) {
    // Writes that were under way end in time.
    sleep(Duration::from_millis(500)).await;
    eventually(async || counts(replica).circuit_open).await;
    let (errors, connections) = (counts(replica).errors, proxy.connections());
    for user in 0..100 {
        token(courier, replica, &format!("alone-{errors}-{user}")).await;
    }
    assert!(
        counts(replica).errors <= errors + 4,
        "{:?}",
        counts(replica)
    );
    assert!(proxy.connections() <= connections + 4);
}

/// Tokens that are there are found, whether or not new ones can be written.
async fn is_read(courier: &EmulatorServer, redis: &Server) {
    finds(
        courier,
        || replica(courier, &redis.url()),
        &users("first", 1),
    )
    .await;
}

/// What one replica is issued, the other finds; and the other way round.
async fn is_over(courier: &EmulatorServer, replica: &TokenProvider, redis: &Server) {
    let mut user = 0;
    let mut next = move || {
        user += 1;
        format!("over-{user}")
    };
    eventually(async || {
        let user = next();
        token(courier, replica, &user).await;
        sleep(Duration::from_millis(50)).await;
        let other = crate::replica::replica(courier, &redis.url());
        token(courier, &other, &user).await;
        counts(&other).hits == 1
    })
    .await;
    let mut user = 0;
    eventually(async || {
        user += 1;
        let user = format!("back-{user}");
        let other = crate::replica::replica(courier, &redis.url());
        token(courier, &other, &user).await;
        sleep(Duration::from_millis(50)).await;
        let hits = counts(replica).hits;
        token(courier, replica, &user).await;
        counts(replica).hits == hits + 1
    })
    .await;
    eventually(async || !counts(replica).circuit_open).await;
}

/// The replica knows what is wrong, unless the machine was too busy to find out.
async fn says(courier: &EmulatorServer, replica: &TokenProvider, what: &str) {
    let mut user = 0;
    eventually(async || {
        user += 1;
        token(courier, replica, &format!("says-{user}")).await;
        let error = counts(replica).last_error;
        error.is_some_and(|error| error.to_lowercase().contains(what))
    })
    .await;
}
