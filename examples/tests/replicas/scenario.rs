use std::collections::HashSet;

use courier_auth_core::emulator::{Emulator, EmulatorServer};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use crate::{
    calls::{Calls, PERIOD, Period, Recorder},
    driver::{Driver, LIFETIME, now},
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
    let recorder = Recorder::begin(&courier);
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
    // So that the periods that began in it end before Redis does.
    driver.rounds_for(PERIOD).await;
    phases.push(("a rolling deploy", begin));

    let down_since = now();
    redis.kill();
    driver.period().await;

    redis.restart().await;
    let all_back = tokio::spawn(all_back(redis.address(), replicas.len()));
    while !all_back.is_finished() {
        driver.round().await;
        assert!(start.elapsed() < 4 * LIMIT, "a replica never came back");
    }
    all_back.await.unwrap();

    let down_until = now();
    driver.period().await;
    phases.push(("Redis is back", down_until));

    let periods = recorder.periods();
    println!(
        "{USERS} users, {} answers in {:.0?}, {} retries, {} calls to Courier",
        driver.answers(),
        start.elapsed(),
        driver.retries(),
        courier.token_requests(),
    );
    let (down, up): (Vec<&Period>, Vec<&Period>) = periods
        .iter()
        .partition(|period| (down_since - PERIOD + 1..=down_until).contains(&period.begin));
    let ends = phases.iter().skip(1).map(|(_, begin)| *begin);
    for ((name, begin), end) in phases.iter().zip(ends.chain([i64::MAX])) {
        let began = up.iter().copied();
        let began = began.filter(|period| (*begin..end).contains(&period.begin));
        println!("up, {name}: {}", Calls::of(began));
    }
    let (up, down) = (Calls::of(up), Calls::of(down));
    println!("up: {up}");
    println!("down: {down}");
    for replica in replicas {
        let log = replica.example.terminate().await.1;
        for line in log.iter().filter(|line| line.contains("shared cache")) {
            println!("{line}");
        }
        let warnings = log
            .iter()
            .filter(|line| line.contains("the shared cache is in trouble"));
        // On a machine that stands still now and then, Redis is late without an outage, too.
        let (late, away): (Vec<_>, Vec<_>) =
            warnings.partition(|line| line.contains("no answer within"));
        assert!((1..=20).contains(&(late.len() + away.len())), "{log:#?}");
        assert!(away.len() <= 2, "{log:#?}");
        assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
    }
    assert!(up.per_period() <= 1.05, "{up}");
    assert!(down.per_period() <= 3.0, "{down}");
    assert!(down.per_period() > 1.05, "Redis was not missed: {down}");
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
        // +1700000000.1 [0 127.0.0.1:1] "GETRANGE" "key" "0" "24576"
        let line = lines.next_line().await.unwrap().unwrap();
        let Some((client, command)) = line.split_once("] ") else {
            continue;
        };
        let client = client.rsplit(' ').next().unwrap().to_owned();
        if command.starts_with("\"GETRANGE\"") {
            readers.insert(client);
        } else if command.starts_with("\"SET\"") {
            writers.insert(client);
        }
    }
}

const USERS: usize = 2000;
