//! The connection, against a peer that speaks just enough of Redis's protocol and misbehaves to
//! order. On real sockets and the real clock. What real servers do is tested in `tests/redis`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use redis::RedisError;

use super::RedisCache;
use crate::{ErrorKind, cache::peers::FIND_LIMIT, error::chain, shared::SharedCache};

const CANARY: &str = "s3cretcanary";

/// What the peer does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    Answers,
    /// Answers the greeting and then nothing more, on connections that are open already.
    FallsSilent,
    /// Closes a connection at the next command.
    Closes,
    GreetsSlowly,
    GreetsNobody,
    /// Refuses the password, from far away.
    RefusesSlowly,
    /// Answers whatever it does not know with its arguments, as some proxies do.
    Quotes,
    WrongType,
    /// Answers reads and refuses writes.
    ReadOnly,
}

struct Fake {
    port: u16,
    peer: Arc<Mutex<Peer>>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start(peer: Peer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = Arc::new(Mutex::new(peer));
        let connections = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let (mood, count) = (Arc::clone(&peer), Arc::clone(&connections));
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(serve(socket, Arc::clone(&mood)));
            }
        });
        Self {
            port,
            peer,
            connections,
            _tasks: tasks,
        }
    }

    fn set(&self, peer: Peer) {
        *self.peer.lock().unwrap() = peer;
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn cache(&self) -> RedisCache {
        RedisCache::new(format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }
}

async fn serve(socket: TcpStream, peer: Arc<Mutex<Peer>>) {
    let mut socket = BufReader::new(socket);
    let born = *peer.lock().unwrap();
    while let Some(command) = read_command(&mut socket).await {
        let now = *peer.lock().unwrap();
        let greeting = command[0] == "CLIENT";
        let answer = match now {
            Peer::FallsSilent if born != Peer::FallsSilent => continue,
            Peer::Closes if born != Peer::Closes => return,
            Peer::GreetsNobody if born == Peer::GreetsNobody => continue,
            Peer::GreetsSlowly if greeting => {
                sleep(Duration::from_millis(300)).await;
                "+OK\r\n".into()
            }
            Peer::RefusesSlowly if command[0] == "AUTH" => {
                sleep(Duration::from_millis(150)).await;
                "-WRONGPASS invalid username-password pair or user is disabled.\r\n".into()
            }
            Peer::Quotes => format!(
                "-ERR unknown command '{}', with args '{}'\r\n",
                command[0],
                command[1..].join("' '")
            ),
            Peer::WrongType if !greeting => "-WRONGTYPE Operation against a key\r\n".into(),
            Peer::ReadOnly if command[0] == "SET" => {
                "-READONLY You can't write against a read only replica.\r\n".into()
            }
            _ if command[0] == "PTTL" => ":-1\r\n".into(),
            _ if command[0] == "GETRANGE" => "$5\r\nvalue\r\n".into(),
            _ => "+OK\r\n".to_owned(),
        };
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An array of bulk strings.
async fn read_command(socket: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let length = async |socket: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok()?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let mut command = Vec::new();
    for _ in 0..length(socket).await? {
        let mut part = vec![0; length(socket).await? + 2];
        socket.read_exact(&mut part).await.ok()?;
        command.push(String::from_utf8_lossy(&part[..part.len() - 2]).into_owned());
    }
    Some(command)
}

async fn get(cache: &RedisCache) -> Option<Vec<u8>> {
    cache.get("key").await.unwrap()
}

/// As the provider asks.
async fn get_soon(cache: &RedisCache) -> bool {
    let answer = timeout(Duration::from_millis(50), cache.get("key")).await;
    matches!(answer, Ok(Ok(Some(_))))
}

#[test]
fn urls_are_checked_and_never_shown() {
    for good in [
        "redis://localhost".to_owned(),
        format!("redis://user:{CANARY}@localhost:7000/3"),
        format!("rediss://:{CANARY}@redis.example"),
        format!("unix:///run/redis.sock?db=1&pass={CANARY}"),
        format!("valkey://:{CANARY}@[::1]"),
    ] {
        let cache = RedisCache::new(&good).unwrap();
        assert!(
            !format!("{cache:?}{cache:#?}").contains(CANARY),
            "{cache:?}"
        );
    }
    for bad in [
        CANARY.to_owned(),
        String::new(),
        format!("http://:{CANARY}@localhost"),
        format!("redis://:{CANARY}@localhost:port"),
        format!("redis://:{CANARY}@localhost/{CANARY}"),
        format!("redis://:{CANARY}@localhost?protocol={CANARY}"),
        format!("rediss://:{CANARY}@localhost#insecure"),
        format!("rediss://:{CANARY}@localhost#{CANARY}"),
        format!("redis://:%ff{CANARY}@localhost"),
    ] {
        let error = RedisCache::new(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let shown = format!("{error}{error:?}{error:#?}");
        assert!(!shown.contains(CANARY), "{shown}");
    }
    for quoted in [
        format!("\"redis://:{CANARY}@localhost\""),
        format!("'redis://:{CANARY}@localhost"),
    ] {
        let error = RedisCache::new(&quoted).unwrap_err().to_string();
        assert!(error.contains("quotes"), "{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn certificates_are_checked() {
    let redis = || RedisCache::new("rediss://localhost").unwrap();
    for bad in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
    ] {
        let error = redis().only_root_certificate_pem(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{bad}");
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    let cache = redis()
        .prefix("shop")
        .only_root_certificate_pem(certificate.pem())
        .unwrap();
    assert!(format!("{cache:?}").contains("shop"), "the prefix stays");
    let plain = RedisCache::new("redis://localhost").unwrap();
    assert!(
        plain.only_root_certificate_pem(certificate.pem()).is_err(),
        "it would do nothing"
    );
}

#[cfg(feature = "redis-cluster")]
#[test]
fn clusters_are_checked_and_never_shown() {
    let urls = ["a", "b"].map(|host| format!("redis://:{CANARY}@{host}:7000"));
    let cache = RedisCache::cluster(&urls).unwrap();
    let shown = format!("{cache:?}");
    assert!(
        shown.contains("a:7000, b:7000") && !shown.contains(CANARY),
        "{shown}"
    );
    for bad in [
        vec![],
        vec![format!("http://:{CANARY}@a")],
        vec![urls[0].clone(), format!("redis://:other{CANARY}@b")],
        vec![format!("unix:///run/redis.sock?pass={CANARY}")],
    ] {
        let error = RedisCache::cluster(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(!format!("{error:?}").contains(CANARY));
    }
}

#[tokio::test]
async fn what_a_server_quotes_is_not_repeated() {
    let fake = Fake::start(Peer::Quotes).await;
    let url = format!("redis://user:{CANARY}@127.0.0.1:{}", fake.port);
    let cache = RedisCache::new(url).unwrap();
    let error = cache.get("key").await.unwrap_err();
    let shown = format!("{error}{error:?}{}", chain(&error));
    assert!(shown.contains("127.0.0.1"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");

    let describe = |detail: String| {
        let error = RedisError::from((redis::ErrorKind::Client, "refused", detail));
        cache.links.source().describe(&error).to_string()
    };
    let error = describe(format!("for\r\n 'user' '{CANARY}'"));
    assert!(error.contains("'user' '[the password]'"), "{error}");
    assert!(!error.contains(['\r', '\n']), "one line");

    // Redis quotes 128 bytes of them, which is only a part of some passwords.
    let part = &CANARY[..CANARY.len() - 1];
    let error = describe(format!(
        "unknown command 'AUTH', with args beginning with: 'user' '{part}"
    ));
    assert!(error.contains("unknown command 'AUTH'"), "{error}");
    assert!(!error.contains(part), "{error}");
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let cache = RedisCache::new(format!("redis://127.0.0.1:{port}")).unwrap();
    for _ in 0..3 {
        let answer = timeout(Duration::from_millis(500), cache.get("key")).await;
        assert!(answer.unwrap().is_err());
    }
}

#[tokio::test]
async fn all_commands_share_one_connection() {
    let fake = Fake::start(Peer::Answers).await;
    let cache = fake.cache();
    assert_eq!(fake.connections(), 0, "nothing before it is needed");
    let all = (0..500).map(|_| get(&cache));
    for value in futures_util::future::join_all(all).await {
        assert_eq!(value.unwrap(), b"value");
    }
    assert_eq!(fake.connections(), 1);
}

/// A server closes idle connections, or is restarted: that costs nobody an error.
#[tokio::test]
async fn a_closed_connection_is_made_again_at_once() {
    let fake = Fake::start(Peer::Answers).await;
    let cache = fake.cache();
    get(&cache).await.unwrap();
    fake.set(Peer::Closes);
    assert_eq!(get(&cache).await.unwrap(), b"value");
    assert_eq!(fake.connections(), 2);
}

/// A machine that has vanished closes nothing.
#[tokio::test]
async fn a_connection_that_falls_silent_is_replaced() {
    let fake = Fake::start(Peer::Answers).await;
    let cache = fake.cache();
    get(&cache).await.unwrap();
    fake.set(Peer::FallsSilent);
    let mut attempts = 0;
    while !get_soon(&cache).await {
        attempts += 1;
        assert!(attempts < 40, "it is waited for for ever");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(attempts >= 3, "one slow answer is no reason");
    assert_eq!(fake.connections(), 2);
}

/// Callers wait 50 ms; a connection that takes longer is made all the same.
#[tokio::test]
async fn connecting_goes_on_when_callers_have_gone() {
    let fake = Fake::start(Peer::GreetsSlowly).await;
    let cache = fake.cache();
    assert!(!get_soon(&cache).await);
    assert!(!get_soon(&cache).await);
    sleep(Duration::from_millis(600)).await;
    assert!(get_soon(&cache).await);
    assert_eq!(fake.connections(), 1);
}

/// An attempt to connect that failed when nobody was waiting is no reason to fail the next command.
#[tokio::test]
async fn who_comes_after_a_failed_attempt_begins_another() {
    let fake = Fake::start(Peer::GreetsNobody).await;
    let cache = fake.cache();
    assert!(!get_soon(&cache).await);
    // Longer than connecting may take.
    sleep(Duration::from_millis(3300)).await;
    fake.set(Peer::Answers);
    assert!(get_soon(&cache).await);
    assert_eq!(fake.connections(), 2);
}

/// By the time it was known nobody waited for it any more, and whoever came next began another attempt
/// and did not wait for that either: all that operators ever read was that there is no answer.
#[tokio::test]
async fn why_connecting_fails_is_told_even_if_it_takes_longer_than_callers_wait() {
    let fake = Fake::start(Peer::RefusesSlowly).await;
    let cache = RedisCache::new(format!("redis://:{CANARY}@127.0.0.1:{}", fake.port)).unwrap();
    assert!(!get_soon(&cache).await);
    // More than once, for a machine that is busy.
    for _ in 0..30 {
        sleep(Duration::from_millis(300)).await;
        if let Ok(answer) = timeout(FIND_LIMIT, cache.get("key")).await {
            let told = answer.unwrap_err().to_string();
            assert!(told.contains("authentication"), "{told}");
            return;
        }
    }
    panic!("no answer in time");
}

/// As under actix-web, whose workers have a runtime each.
#[test]
fn a_runtime_that_is_gone_takes_no_cache_with_it() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let servers = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let fake = servers.block_on(Fake::start(Peer::Answers));
    let cache = fake.cache();
    for _ in 0..3 {
        runtime().block_on(async {
            let value = timeout(Duration::from_secs(5), cache.get("key")).await;
            assert!(value.unwrap().unwrap().is_some());
        });
    }
    // One that stands still as well.
    let stuck = runtime();
    stuck.block_on(get(&cache)).unwrap();
    runtime().block_on(get(&cache)).unwrap();
    assert_eq!(fake.connections(), 5);
}

/// Somebody else's list under our key is a value that is not ours, not a failure of Redis.
#[tokio::test]
async fn another_type_under_our_key_is_no_error() {
    let fake = Fake::start(Peer::WrongType).await;
    let cache = fake.cache();
    assert_eq!(get(&cache).await.unwrap(), b"");
    assert!(
        cache
            .set("key", b"x", Duration::from_secs(1))
            .await
            .is_err()
    );
}

/// After a failover the name stands for another machine; the old one still answers.
#[tokio::test]
async fn a_primary_that_has_become_a_replica_is_left() {
    let fake = Fake::start(Peer::Answers).await;
    let cache = fake.cache();
    cache
        .set("key", b"x", Duration::from_secs(1))
        .await
        .unwrap();
    fake.set(Peer::ReadOnly);
    // Looks at once whether the name means another machine now.
    assert!(
        cache
            .set("key", b"x", Duration::from_secs(1))
            .await
            .is_err()
    );
    assert_eq!(fake.connections(), 2);
    fake.set(Peer::Answers);
    cache
        .set("key", b"x", Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(fake.connections(), 3);
}
