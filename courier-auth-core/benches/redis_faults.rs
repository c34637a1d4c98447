//! How much longer a new user waits for a token because the shared cache is in trouble.
//!
//! Beside each other, for each fault: a provider that shares its tokens on Redis and one that does
//! not, which ask the same emulator of Courier for the same new users in turn. Until the breaker
//! opens a look costs as long as the provider waits for one, 50 ms; after that nothing, but for one
//! user at a time who tries whether it is over.
//!
//! `cargo bench --package courier-auth-core --features emulator,redis --bench redis_faults`, with
//! `redis-server` installed. It takes about a minute.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[expect(dead_code, reason = "what the tests need of it")]
#[path = "../tests/redis/control.rs"]
mod control;
#[expect(dead_code, reason = "what the tests need of it")]
#[path = "../tests/redis/proxy.rs"]
mod proxy;
#[expect(dead_code, reason = "what the tests need of it")]
#[path = "../tests/redis/server.rs"]
mod server;

use std::{fmt, time::Duration};

use courier_auth_core::{
    RedisCache, TokenProvider, TokenRequest,
    emulator::{Emulator, EmulatorServer},
};
use tokio::time::{Instant, sleep};

use self::{
    proxy::{Proxy, Way},
    server::{Kind, Server, free_port},
};

#[tokio::main]
async fn main() {
    for kind in [Kind::Redis, Kind::Valkey] {
        if kind.is_there() {
            table(kind).await;
        }
    }
}

async fn table(kind: Kind) {
    println!("\n{kind:?}: what a new user waits longer than without, in ms");
    println!(
        "{:<22} | {:>5} {:>7} {:>7} | {:>6} {:>7} {:>7} {:>7} {:>6}",
        "", "until", "it", "opens", "after", "that", "", "", ""
    );
    println!(
        "{:<22} | {:>5} {:>7} {:>7} | {:>6} {:>7} {:>7} {:>7} {:>6}",
        "fault", "users", "median", "max", "users", "median", "p99", "max", "tries"
    );
    for fault in FAULTS {
        let mut bench = Bench::new(kind, fault).await;
        bench.inflict().await;
        println!("{fault:<22} | {}", bench.measure().await);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Refused,
    BlackHole,
    Slow,
    Torn,
    Killed,
    Frozen,
    ClientPause,
    DebugSleep,
    OutOfMemory,
    ReadOnly,
    WrongPassword,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Refused => "refused",
            Self::BlackHole => "black hole",
            Self::Slow => "slow, 200 ms",
            Self::Torn => "killed mid-command",
            Self::Killed => "killed",
            Self::Frozen => "SIGSTOP",
            Self::ClientPause => "CLIENT PAUSE",
            Self::DebugSleep => "DEBUG SLEEP",
            Self::OutOfMemory => "OOM",
            Self::ReadOnly => "READONLY",
            Self::WrongPassword => "wrong password",
        })
    }
}

const FAULTS: [Fault; 12] = [
    Fault::None,
    Fault::Refused,
    Fault::BlackHole,
    Fault::Slow,
    Fault::Torn,
    Fault::Killed,
    Fault::Frozen,
    Fault::ClientPause,
    Fault::DebugSleep,
    Fault::OutOfMemory,
    Fault::ReadOnly,
    Fault::WrongPassword,
];

struct Bench {
    fault: Fault,
    courier: EmulatorServer,
    redis: Server,
    proxy: Proxy,
    with: TokenProvider,
    without: TokenProvider,
}

impl Bench {
    async fn new(kind: Kind, fault: Fault) -> Self {
        let courier = Emulator::start().await.unwrap();
        let settings: &[&str] = match fault {
            Fault::WrongPassword => &["--requirepass", "right"],
            _ => &[],
        };
        let redis = Server::start(kind, settings).await;
        let proxy = Proxy::before(&redis.address(), Way::Clear).await;
        let url = match fault {
            Fault::Refused => format!("redis://127.0.0.1:{}/", free_port()),
            Fault::WrongPassword => format!("redis://:wrong@{}/", redis.address()),
            Fault::BlackHole | Fault::Slow | Fault::Torn => proxy.url(),
            _ => redis.url(),
        };
        let builder = || TokenProvider::builder(courier.api_key()).base_url(courier.url());
        let cache = RedisCache::new(url).unwrap();
        let bench = Self {
            fault,
            with: builder().shared_cache(cache).build().unwrap(),
            without: builder().build().unwrap(),
            courier,
            redis,
            proxy,
        };
        // Connections are open, unless it never works.
        if !matches!(fault, Fault::Refused | Fault::WrongPassword) {
            for provider in [&bench.with, &bench.without] {
                wait_of(provider, "first").await;
            }
        }
        wait_of(&bench.without, "first").await;
        sleep(Duration::from_millis(100)).await;
        bench
    }

    async fn inflict(&mut self) {
        match self.fault {
            Fault::None | Fault::Refused | Fault::WrongPassword => {}
            Fault::BlackHole => self.proxy.set(Way::BlackHole),
            Fault::Slow => self.proxy.set(Way::Slow(Duration::from_millis(200))),
            Fault::Torn => self.proxy.set(Way::Torn),
            Fault::Killed => self.redis.kill(),
            Fault::Frozen => self.redis.freeze(),
            Fault::ClientPause => {
                let _ok: String = self.redis.ask(&["CLIENT", "PAUSE", "600000", "ALL"]).await;
            }
            Fault::DebugSleep => {
                let mut connection = self.redis.connect().await;
                tokio::spawn(async move {
                    let mut sleep = redis::cmd("DEBUG");
                    sleep.arg("SLEEP").arg(60);
                    let _late: redis::RedisResult<String> =
                        sleep.query_async(&mut connection).await;
                });
                sleep(Duration::from_millis(100)).await;
            }
            Fault::OutOfMemory => {
                let _ok: String = self.redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
            }
            Fault::ReadOnly => {
                let nobody = free_port().to_string();
                let _ok: String = self.redis.ask(&["REPLICAOF", "127.0.0.1", &nobody]).await;
            }
        }
    }

    async fn measure(&self) -> Row {
        let (mut usual, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let is_open = || self.with.status().shared_cache.unwrap().circuit_open;
        let errors = || self.with.status().shared_cache.unwrap().errors;
        let mut errors_when_open = None;
        let start = Instant::now();
        let mut user = 0;
        while start.elapsed() < TIME {
            user += 1;
            let user = format!("user-{user}");
            usual.push(wait_of(&self.without, &user).await);
            let open = is_open();
            if open {
                errors_when_open.get_or_insert_with(errors);
            }
            let waited = wait_of(&self.with, &user).await;
            // Once it was open, a probe may find it closed for a moment.
            if errors_when_open.is_some() {
                after.push(waited);
            } else {
                before.push(waited);
            }
            sleep(Duration::from_millis(2)).await;
        }
        assert!(self.courier.token_requests() >= 2 * user);
        usual.sort_unstable();
        let usual = usual[usual.len() / 2];
        for waits in [&mut before, &mut after] {
            waits.sort_unstable();
        }
        Row {
            usual,
            before,
            after,
            tries: errors() - errors_when_open.unwrap_or_else(errors),
        }
    }
}

/// How long a user waits who must get a token.
async fn wait_of(provider: &TokenProvider, user: &str) -> Duration {
    let request = TokenRequest::for_user(user);
    let start = Instant::now();
    provider.token(&request).await.unwrap();
    start.elapsed()
}

/// Waits, sorted, and what is usual without Redis.
struct Row {
    usual: Duration,
    before: Vec<Duration>,
    after: Vec<Duration>,
    tries: u64,
}

impl Row {
    fn added(&self, waits: &[Duration], share: f64) -> String {
        let Some(last) = waits.len().checked_sub(1) else {
            return "-".to_owned();
        };
        let wait = waits[(last as f64 * share).round() as usize];
        let added = wait.as_secs_f64() - self.usual.as_secs_f64();
        format!("{:.1}", 1e3 * added)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, .. } = self;
        write!(
            f,
            "{:>5} {:>7} {:>7} | {:>6} {:>7} {:>7} {:>7} {:>6}",
            before.len(),
            self.added(before, 0.5),
            self.added(before, 1.0),
            after.len(),
            self.added(after, 0.5),
            self.added(after, 0.99),
            self.added(after, 1.0),
            self.tries,
        )
    }
}

/// For each fault.
const TIME: Duration = Duration::from_secs(4);
