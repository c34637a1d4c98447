use std::{collections::HashSet, fmt};

use courier_auth_core::emulator::{Emulator, EmulatorServer};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use crate::{
    driver::{Driver, LIFETIME, PERIOD, Period, User, now},
    process::Example,
    server::{Kind, LIMIT, Server, free_port},
};

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures")]
async fn three_replicas_share_one_redis() {
    if !Kind::Redis.is_there() {
        return;
    }
    let courier = Emulator::with_api_key("pk_test").serve(0).await.unwrap();
    let mut redis = Server::start(Kind::Redis, &[]).await;
    let mut replicas = Vec::new();
    for binary in [
        env!("CARGO_BIN_EXE_axum-app"),
        env!("CARGO_BIN_EXE_actix-app"),
        env!("CARGO_BIN_EXE_axum-jwt"),
    ] {
        replicas.push(Replica::start(binary, &courier, &redis).await);
    }
    let urls = replicas.iter().map(|replica| replica.example.url.clone());
    let mut driver = Driver::new(courier.emulator().clone(), urls.collect(), USERS);
    let start = Instant::now();
    let mut phases = Vec::new();

    let mut begin = now();
    driver.round().await;
    phases.push(("the first tokens", begin));

    begin = now();
    let deploy = async {
        for replica in &mut replicas {
            replica.restart(&courier, &redis).await;
        }
    };
    tokio::join!(driver.period(), deploy);
    phases.push(("a rolling deploy", begin));

    begin = now();
    let down_since = begin;
    redis.kill();
    driver.period().await;
    phases.push(("Redis is down", begin));

    begin = now();
    redis.restart().await;
    let all_back = tokio::spawn(all_back(redis.address(), replicas.len()));
    while !all_back.is_finished() {
        driver.round().await;
        assert!(start.elapsed() < 4 * LIMIT, "a replica never came back");
    }
    all_back.await.unwrap();
    phases.push(("Redis is back, not all have noticed", begin));

    begin = now();
    let down_until = begin;
    driver.period().await;
    // What is being issued in the background is seen by then.
    driver.round().await;
    phases.push(("Redis is back", begin));

    let periods: Vec<_> = driver.users.iter().flat_map(User::periods).collect();
    let seen: usize = periods.iter().map(|period| period.tokens).sum();
    let unseen = courier.issued() - seen;
    println!(
        "{USERS} users, {} answers in {:.0?}, {} retries, {} calls to Courier ({unseen} not seen)",
        driver.answers(),
        start.elapsed(),
        driver.retries(),
        courier.issued(),
    );
    let ends = phases.iter().skip(1).map(|(_, begin)| *begin);
    for ((name, begin), end) in phases.iter().zip(ends.chain([i64::MAX])) {
        let began = periods
            .iter()
            .filter(|period| (*begin..end).contains(&period.begin));
        println!("{name}: {}", Calls::of(began));
    }
    let (down, up): (Vec<_>, Vec<_>) = periods
        .iter()
        .partition(|period| (down_since - PERIOD + 1..=down_until).contains(&period.begin));
    let (mut up, down) = (Calls::of(up), Calls::of(down));
    up.calls += unseen;
    println!("up: {up}");
    println!("down: {down}");
    assert!(up.per_period() <= 1.05, "{up}");
    assert!(down.per_period() <= 3.0, "{down}");
    assert!(down.per_period() > 1.05, "Redis was not missed: {down}");

    for replica in replicas {
        let log = replica.example.terminate().await.1;
        let warnings = log
            .iter()
            .filter(|line| line.contains("the shared cache is in trouble"));
        assert!((1..=2).contains(&warnings.count()), "{log:#?}");
        assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
    }
}

/// An example on a port that it keeps.
struct Replica {
    binary: &'static str,
    port: String,
    example: Example,
}

impl Replica {
    async fn start(binary: &'static str, courier: &EmulatorServer, redis: &Server) -> Self {
        let port = free_port().to_string();
        let example = start(binary, &port, courier, redis).await;
        Self {
            binary,
            port,
            example,
        }
    }

    async fn restart(&mut self, courier: &EmulatorServer, redis: &Server) {
        self.example.end().await;
        self.example = start(self.binary, &self.port, courier, redis).await;
    }
}

async fn start(binary: &str, port: &str, courier: &EmulatorServer, redis: &Server) -> Example {
    let lifetime = LIFETIME.as_secs().to_string();
    let environment = [
        ("COURIER_API_KEY", courier.api_key()),
        ("COURIER_BASE_URL", courier.url()),
        ("PORT", port),
        ("REDIS_URL", &redis.url()),
        ("TOKEN_LIFETIME", &lifetime),
    ];
    Example::start(binary, &environment).await
}

/// Returns once so many clients have read and written.
async fn all_back(redis: String, clients: usize) {
    let mut stream = TcpStream::connect(redis).await.unwrap();
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut readers, mut writers) = <(HashSet<String>, HashSet<String>)>::default();
    while readers.intersection(&writers).count() < clients {
        // +1700000000.1 [0 127.0.0.1:1] "GET" "key"
        let line = lines.next_line().await.unwrap().unwrap();
        let Some((client, command)) = line.split_once("] ") else {
            continue;
        };
        let client = client.rsplit(' ').next().unwrap().to_owned();
        if command.starts_with("\"GET\"") {
            readers.insert(client);
        } else if command.starts_with("\"SET\"") {
            writers.insert(client);
        }
    }
}

/// Calls to Courier, and the users' refresh periods in which they were made.
#[derive(Clone, Copy, Debug)]
struct Calls {
    calls: usize,
    periods: usize,
}

impl Calls {
    fn of<'a>(periods: impl IntoIterator<Item = &'a Period>) -> Self {
        let mut sum = Self {
            calls: 0,
            periods: 0,
        };
        for period in periods {
            sum.calls += period.tokens;
            sum.periods += 1;
        }
        sum
    }

    fn per_period(self) -> f64 {
        self.calls as f64 / self.periods as f64
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, periods } = self;
        write!(
            f,
            "{calls} calls in {periods} periods, {:.3} each",
            self.per_period()
        )
    }
}

const USERS: usize = 2000;
