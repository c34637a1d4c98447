//! The API key and the tokens show nowhere but where they must: everything that the crate prints,
//! logs or answers while every error path is driven is searched for them.
//!
//! A test binary of its own, because it reads all that is logged in the process.

#![expect(clippy::unwrap_used, reason = "tests")]

mod events;

use std::{
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use courier_auth_core::{
    CourierClient, Error, Scope, TokenProvider, TokenRequest,
    emulator::{Emulator, ErrorBody, Fault},
    endpoint::{Endpoint, Reply},
};
use futures_util::future::join_all;
use tracing_subscriber::{
    Layer, filter::LevelFilter, fmt::layer, layer::SubscriberExt, util::SubscriberInitExt,
};

use self::events::Events;

const KEY: &str = "pk_canary_5ecre7";
/// A user's id, which is for DEBUG and below.
const USER: &str = "user_canary_1d";
/// A password of Redis, an encryption key, a previous API key.
const OTHER: &str = "0ther_canary_5ecre7";

/// All that was printed or logged.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<u8>>>);

impl Record {
    fn show(&self, value: &impl Debug) {
        let mut text = String::new();
        write!(text, "{value:?}\n{value:#?}\n").unwrap();
        self.note(&text);
    }

    fn show_error(&self, error: &Error) {
        self.show(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            self.note(&format!("{error}\n{error:?}\n"));
            cause = error.source();
        }
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_printed_logged_or_answered() {
    let record = Record::default();
    let above_debug = Record::default();
    let writer = record.clone();
    let writer_above_debug = above_debug.clone();
    let events = Events::default();
    tracing_subscriber::registry()
        .with(events.clone())
        .with(layer().with_ansi(false).with_writer(move || writer.clone()))
        .with(
            layer()
                .with_ansi(false)
                .with_writer(move || writer_above_debug.clone())
                .with_filter(LevelFilter::INFO),
        )
        .init();

    let mut tokens = Vec::new();
    for fault in faults() {
        tokens.extend(drive(&record, fault).await);
    }
    one_hash_for_the_user(&above_debug.text());
    construction(&record);
    outage(&record).await;
    crowd().await;
    #[cfg(feature = "redis")]
    tokens.extend(shared_cache(&record).await);
    #[cfg(feature = "redis-cluster")]
    cluster_that_quotes(&record).await;

    let mut unseen = events.check_against_the_guide();
    unseen.retain(|message| !SHARED_CACHE_ONLY.contains(&message.as_str()));
    assert_eq!(unseen, TAKES_TIME);
    let text = above_debug.text();
    assert!(
        text.contains("courier.user_hash") && text.contains("[the user]"),
        "the log was read, and Courier quoted the user"
    );
    // Of three requests: a page that comes back filled the log, and the line named nobody.
    let malformed: Vec<_> = text
        .lines()
        .filter(|line| line.contains("no token can be asked for"))
        .collect();
    assert_eq!(malformed.len(), 1, "{malformed:#?}");
    assert!(malformed[0].contains("courier.user_hash="), "{malformed:?}");
    assert!(
        !text.contains(USER),
        "a user shows in\n{}",
        around(&text, USER)
    );
    let text = record.text();
    assert!(
        text.contains(&format!("courier.user_id={USER}")),
        "at DEBUG"
    );
    assert!(
        text.contains("no new token from Courier"),
        "the log was read"
    );
    assert!(text.contains("[the API key]"), "Courier quoted the key");
    assert!(
        !text.contains(KEY),
        "the API key shows in\n{}",
        around(&text, KEY)
    );
    assert!(
        !text.contains(OTHER),
        "a secret shows in\n{}",
        around(&text, OTHER)
    );
    if cfg!(feature = "redis") {
        // Of 40 failures.
        let warnings = text.matches("the shared cache is in trouble").count();
        assert_eq!(warnings, 1, "one warning a minute");
    }
    assert!(tokens.len() > 5);
    for token in tokens {
        let signature = token.rsplit('.').next().unwrap();
        for part in [token.as_str(), signature] {
            assert!(
                !text.contains(part),
                "a token shows in\n{}",
                around(&text, part)
            );
        }
    }
}

/// All that happens to the user can be put together.
fn one_hash_for_the_user(text: &str) {
    let hash = |line: &str| {
        let (_, rest) = line.split_once("no new token from Courier")?;
        let (_, hash) = rest.split_once("courier.user_hash=")?;
        Some(hash.split(' ').next()?.to_owned())
    };
    let mut hashes: Vec<_> = text.lines().filter_map(hash).collect();
    assert!(hashes.len() > 10, "one for each fault");
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

fn faults() -> Vec<Option<Fault>> {
    let quotes_the_key = |status| Fault::Status {
        status,
        headers: Vec::new(),
        body: ErrorBody::Message(format!("no: Bearer {KEY} is not valid for user_id:{USER}")),
    };
    let mut faults: Vec<_> = [400, 401, 403, 429, 503].map(quotes_the_key).into();
    faults.extend([
        Fault::Reset,
        Fault::TruncatedHead,
        Fault::TruncatedBody,
        Fault::Html,
        Fault::OversizedToken,
        Fault::WrongUser("alice".into()),
        Fault::ShortLife(Duration::from_secs(1)),
        Fault::Opaque,
        Fault::NoExpiry,
        Fault::Redirect("http://127.0.0.1:9/".into()),
    ]);
    std::iter::once(None)
        .chain(faults.into_iter().map(Some))
        .collect()
}

/// Drives everything public through one fault; gives back the tokens that were handed out.
async fn drive(record: &Record, fault: Option<Fault>) -> Vec<String> {
    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    if let Some(fault) = fault {
        courier.fail(fault);
    }
    let builder = TokenProvider::builder(KEY).base_url(courier.url());
    record.show(&builder);
    let provider = builder.build().unwrap();
    // There is no inbox at this address, which is an error too.
    let client = CourierClient::builder(KEY)
        .base_url(courier.url())
        .inbox_url(courier.url())
        .build()
        .unwrap();
    let endpoint = Endpoint::new(provider.clone());
    let request = TokenRequest::for_user(USER);

    let mut tokens = Vec::new();
    for outcome in [
        client.issue_token(&request).await,
        provider.token(&request).await,
    ] {
        match outcome {
            Ok(token) => {
                record.show(&token);
                record.show(&token.id());
                tokens.push(token.as_str().to_owned());
            }
            Err(error) => record.show_error(&error),
        }
    }
    for outcome in [
        client.mark_read(USER, "1-a").await,
        client.archive_request("1-a").await,
        client.probe().await.map(|probe| record.show(&probe)),
    ] {
        if let Err(error) = outcome {
            record.show_error(&error);
        }
    }
    for method in ["GET", "HEAD", "POST", "PUT"] {
        let reply = match endpoint.accept(method, None, []) {
            Ok(call) => {
                record.show(&call);
                endpoint.reply(&call, Some(request.clone())).await
            }
            Err(reply) => reply,
        };
        record.show(&reply);
        if reply.status() != 200 {
            record.note(reply.body());
        }
    }
    record.show(&provider);
    record.show(&client);
    record.show(&endpoint);
    record.show(&provider.status());
    record.show(&courier);
    record.show(&courier.emulator().calls());
    tokens
}

/// Settings that are refused.
fn construction(record: &Record) {
    let with_key = |key: &str| CourierClient::builder(key);
    for builder in [
        with_key(&format!("{KEY} ")),
        with_key(&format!("{KEY}\n")),
        with_key(&format!("{KEY}\u{7f}")),
        with_key(KEY).base_url(format!("https://{KEY}@api.courier.com")),
        with_key(KEY).base_url(format!("https://api.courier.com?key={KEY}")),
        with_key(KEY).base_url(format!("{KEY}://")),
        with_key(KEY).root_certificate_pem("x"),
    ] {
        record.show(&builder);
        record.show_error(&builder.build().unwrap_err());
    }
    let provider = TokenProvider::builder(KEY).build().unwrap();
    record.show_error(&provider.set_api_key(format!("{KEY} {KEY}")).unwrap_err());
    provider.set_api_key(format!("{KEY}2")).unwrap();
}

/// Courier fails for several users, and an app has forgotten something.
async fn outage(record: &Record) {
    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    courier.fail(Fault::status(503));
    let provider = TokenProvider::builder(KEY).base_url(courier.url());
    let provider = provider.build().unwrap();
    for user in 0..6 {
        let user = format!("{USER}-{user}");
        let error = provider.token(&TokenRequest::for_user(user)).await;
        record.show_error(&error.unwrap_err());
    }
    record.show(&provider.status());
    let endpoint = Endpoint::new(provider);
    let call = endpoint.accept("GET", None, []).unwrap();
    let smuggled = TokenRequest::for_user(format!("bob user_id:{USER}"));
    for _ in 0..3 {
        record.show(&endpoint.reply(&call, Some(smuggled.clone())).await);
    }
    record.show(&Reply::not_configured("add the layer"));
}

/// More new users at once than may wait.
async fn crowd() {
    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    let provider = TokenProvider::builder(KEY)
        .base_url(courier.url())
        .scopes([Scope::new("inbox:read:message").unwrap()])
        .build()
        .unwrap();
    let users: Vec<_> = (0..400)
        .map(|n| TokenRequest::for_user(format!("{USER}-{n}")))
        .collect();
    let outcomes = join_all(users.iter().map(|user| provider.token(user))).await;
    assert!(outcomes.iter().any(Result::is_err));
}

/// A shared cache that cannot be reached, with secrets wherever there may be one.
#[cfg(feature = "redis")]
async fn shared_cache(record: &Record) -> Vec<String> {
    use courier_auth_core::RedisCache;

    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    let mut encryption_key = [0; 32];
    encryption_key[..OTHER.len()].copy_from_slice(OTHER.as_bytes());
    // Nobody listens there.
    let redis = RedisCache::new(format!("redis://user:{OTHER}@127.0.0.1:1/0")).unwrap();
    record.show(&redis);
    let builder = TokenProvider::builder(KEY)
        .base_url(courier.url())
        .shared_cache(redis)
        .encryption_key(encryption_key)
        .previous_api_key(OTHER);
    record.show(&builder);
    // As the array would be printed.
    let digits = format!("{:?}", OTHER.as_bytes());
    assert!(!record.text().contains(digits.trim_matches(['[', ']'])));
    let provider = builder.build().unwrap();
    let mut tokens = Vec::new();
    for user in 0..20 {
        let request = TokenRequest::for_user(user);
        tokens.push(provider.token(&request).await.unwrap().as_str().to_owned());
        provider.invalidate(user.to_string());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    provider.set_api_key(format!("{OTHER}2")).unwrap();
    record.show(&provider);
    record.show(&provider.status());
    let shared = provider.status().shared_cache.unwrap();
    assert!(shared.errors > 1 && shared.circuit_open && shared.last_error.is_some());

    let malformed = TokenProvider::builder(KEY).previous_api_key(format!("{OTHER} {OTHER}"));
    record.show(&malformed);
    record.show_error(&malformed.build().unwrap_err());
    for url in [OTHER.to_owned(), format!("redis://:{OTHER}@localhost:x")] {
        record.show_error(&RedisCache::new(url).unwrap_err());
    }
    tokens
}

/// Nodes, or a proxy before them, that do not know `AUTH` or `HELLO` and say with what they were called.
#[cfg(feature = "redis-cluster")]
async fn cluster_that_quotes(record: &Record) {
    use courier_auth_core::RedisCache;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let quotes = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..length]);
                // One line for each command.
                let commands = text.matches('*').count();
                let text = text.replace("\r\n", " ");
                let answer = format!("-ERR unknown command, with args beginning with: {text}\r\n");
                let answer = answer.repeat(commands);
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    for protocol in ["resp2", "resp3"] {
        let url = format!("redis://user:{OTHER}@{address}/?protocol={protocol}");
        let redis = RedisCache::cluster([url]).unwrap();
        let builder = TokenProvider::builder(KEY).base_url(courier.url());
        let provider = builder.shared_cache(redis).build().unwrap();
        for user in 0..3 {
            provider.token(&TokenRequest::for_user(user)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        record.show(&provider.status());
        assert!(provider.status().shared_cache.unwrap().errors > 0);
    }
    assert!(record.text().contains("WARN redis::"), "redis logs it");
    quotes.abort();
}

/// What is logged when something is over, some seconds later.
const TAKES_TIME: [&str; 2] = ["Courier answers again", "Courier accepts the API key again"];
const SHARED_CACHE_ONLY: [&str; 6] = [
    "did not ask Courier for a token",
    "the shared cache is in trouble and left alone: …",
    "the shared cache works again",
    "an operation of the shared cache has failed",
    "a value in the shared cache was thrown away: …",
    "a token in the shared cache is not taken",
];

fn around(text: &str, what: &str) -> String {
    text.lines()
        .filter(|line| line.contains(what))
        .take(3)
        .collect::<Vec<_>>()
        .join("\n")
}
