//! What a backend does to messages that were sent: the bytes that leave, and what becomes of the
//! answers. The examples' tests have the inbox itself.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    env,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use courier_auth_core::{
    CourierClient, Error, ErrorKind, TokenProvider,
    emulator::{Emulator, EmulatorServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The REST API is behind a proxy and the inbox is not: its token went to the proxy, in the clear.
#[tokio::test]
async fn a_proxy_gets_nothing_for_an_inbox_on_this_machine() {
    const AGAIN: &str = "BEHIND_A_PROXY";
    // Which proxies there are is read from the environment, so this is run once more in another.
    if env::var_os(AGAIN).is_none() {
        let proxy = Script::new(&[(200, r#"{"token":"opaque"}"#)]).await;
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([
            "--exact",
            "a_proxy_gets_nothing_for_an_inbox_on_this_machine",
        ]);
        command.env(AGAIN, "").env("HTTP_PROXY", &proxy.url);
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        let run = tokio::task::spawn_blocking(move || command.output());
        let run = run.await.unwrap().unwrap();
        let seen = proxy.requests();
        assert!(run.status.success(), "{seen:?}");
        assert_eq!(seen.len(), 1, "{seen:?}");
        return;
    }
    let inbox = Script::new(&[(200, r#"{"data":{"read":true}}"#)]).await;
    let client = CourierClient::builder("pk_test")
        .base_url("http://courier.example")
        .danger_allow_http(true)
        .inbox_url(&inbox.url);
    let client = client.build().unwrap();
    client.mark_read("alice", "1-a").await.unwrap();
    assert_eq!(inbox.requests().len(), 1);
}

/// Answers what it was told to, and keeps what it was asked.
struct Script {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Statuses and bodies; the last one again and again. A status of 0 is no answer, and
    /// `{bearer}` in a body is what the client sent in its `Authorization`.
    async fn new(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()));
        let mut answers: VecDeque<_> = answers.collect();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                let bearer = header(&request, "authorization")
                    .unwrap_or_default()
                    .to_owned();
                seen.lock().unwrap().push(request);
                let (status, body) = match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.pop_front().unwrap(),
                };
                if status != 0 {
                    let body = body.replace("{bearer}", &bearer);
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let answer = format!("{head}{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self {
            url,
            requests,
            task,
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, head and body.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map(|length| length.parse().unwrap());
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
        assert!(length > 0, "the client went away");
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.split("\r\n").skip(1);
    let mut values = lines.filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    values.next()
}

fn client(courier: &EmulatorServer, inbox: &str) -> CourierClient {
    CourierClient::builder(courier.api_key())
        .base_url(courier.url())
        .inbox_url(inbox)
        .build()
        .unwrap()
}

async fn mark_read(answers: &[(u16, &str)]) -> (Result<(), Error>, usize) {
    let courier = Emulator::start().await.unwrap();
    let inbox = Script::new(answers).await;
    let client = client(&courier, &inbox.url);
    let done = tokio::time::timeout(LIMIT, client.mark_read("user-1", "1-a")).await;
    assert_eq!(
        courier.token_requests(),
        1,
        "one token, however often it is tried"
    );
    (done.unwrap(), inbox.requests().len())
}

#[tokio::test]
async fn marking_read_is_what_the_users_browser_would_send() {
    let courier = Emulator::start().await.unwrap();
    let inbox = Script::new(&[(200, r#"{"data":{"read":true}}"#)]).await;
    let client = client(&courier, &format!("{}/path/q", inbox.url));
    client.mark_read("user-1", r#"1-a"b\c:ü"#).await.unwrap();

    let issued = &courier.calls()[0];
    let scope = "user_id:user-1 inbox:write:events";
    assert_eq!(issued.scope.as_deref(), Some(scope));
    assert_eq!(issued.expires_in.as_deref(), Some("60 seconds"));

    let request = &inbox.requests()[0];
    assert!(
        request.starts_with("POST /path/q HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert_eq!(header(request, "x-courier-user-id"), Some("user-1"));
    let bearer = header(request, "authorization").unwrap();
    let claims = courier.verify(bearer.strip_prefix("Bearer ").unwrap());
    assert_eq!(claims.unwrap().scope, scope);
    assert!(!request.contains(courier.api_key()));
    let body = request.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(
        body,
        r#"{"query":"mutation TrackEvent { read(messageId: \"1-a\\\"b\\\\c:ü\") }"}"#
    );
}

#[tokio::test]
async fn what_the_inbox_answers() {
    use ErrorKind::{InvalidResponse, RateLimited, RequestRefused, Unavailable};
    let done = r#"{"data":{"read":true}}"#;
    for (answers, times) in [
        (vec![(200, done)], 1),
        // Scalars without a documented meaning; only a plain no is one.
        (vec![(200, r#"{"data":{"read":null}}"#)], 1),
        (vec![(0, ""), (503, ""), (200, done)], 3),
        (vec![(429, "{}"), (200, done)], 2),
    ] {
        let (outcome, tries) = mark_read(&answers).await;
        outcome.unwrap();
        assert_eq!(tries, times, "{answers:?}");
    }
    for (status, body, kind, tries, said) in [
        (
            200,
            r#"{"data":{"read":false}}"#,
            RequestRefused,
            1,
            "no such message",
        ),
        (
            200,
            r#"{"data":null,"errors":[{"message":"Forbidden"}]}"#,
            RequestRefused,
            1,
            "Forbidden",
        ),
        (
            200,
            r#"{"data":{"read":true},"errors":[{}]}"#,
            RequestRefused,
            1,
            "refused",
        ),
        (200, r#"{"data":null}"#, InvalidResponse, 1, "did not say"),
        (200, r#"{"data":{}}"#, InvalidResponse, 1, "did not say"),
        (200, "<html>", InvalidResponse, 1, "see whether the URL"),
        (200, "", InvalidResponse, 1, "see whether the URL"),
        (
            401,
            r#"{"message":"Unauthorized"}"#,
            RequestRefused,
            1,
            "accepts JWTs",
        ),
        (403, "", RequestRefused, 1, "accepts JWTs"),
        (404, "", RequestRefused, 1, "URL of the inbox"),
        (307, "", InvalidResponse, 1, "redirect"),
        (429, "", RateLimited, 3, "limits"),
        (500, "", Unavailable, 3, "cannot answer"),
        (0, "", Unavailable, 3, "broke off"),
    ] {
        let (outcome, times) = mark_read(&[(status, body)]).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert_eq!(times, tries, "{status} {body}");
        assert!(error.to_string().contains(said), "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn an_inbox_that_quotes_the_token_does_not_carry_it_into_logs() {
    let courier = Emulator::start().await.unwrap();
    for (status, body) in [
        (
            401,
            r#"{"message":"{bearer} is no good","type":"{bearer}"}"#,
        ),
        (
            200,
            r#"{"data":null,"errors":[{"message":"{bearer} is no good"}]}"#,
        ),
    ] {
        let inbox = Script::new(&[(status, body)]).await;
        let error = client(&courier, &inbox.url)
            .mark_read("user-1", "1-a")
            .await
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("Bearer [the token] is no good"), "{text}");
        let bearer = header(&inbox.requests()[0], "authorization")
            .unwrap()
            .to_owned();
        let token = bearer.strip_prefix("Bearer ").unwrap();
        assert!(courier.verify(token).is_ok() && !text.contains(token));
    }
}

#[tokio::test]
async fn archiving_puts_the_id_into_one_segment_of_the_path() {
    for (id, path) in [
        (
            "1-65b2f3a4-0123456789abcdef01234567",
            "/requests/1-65b2f3a4-0123456789abcdef01234567/archive",
        ),
        ("1-a:user@x", "/requests/1-a:user@x/archive"),
        ("../../users/bob", "/requests/..%2F..%2Fusers%2Fbob/archive"),
        ("a?b#c%2Fd\\e", "/requests/a%3Fb%23c%252Fd%5Ce/archive"),
        ("ü", "/requests/%C3%BC/archive"),
        ("...", "/requests/.../archive"),
    ] {
        let courier = Script::new(&[(202, "")]).await;
        let client = CourierClient::builder("pk_test").base_url(format!("{}/base/", courier.url));
        let client = client.build().unwrap();
        client.archive_request(id).await.unwrap();
        let request = &courier.requests()[0];
        let line = format!("PUT /base{path} HTTP/1.1\r\n");
        assert!(request.starts_with(&line), "{request}");
        assert_eq!(header(request, "authorization"), Some("Bearer pk_test"));
    }
}

#[tokio::test]
async fn archiving_is_repeated_and_refused_as_issuing_is() {
    use ErrorKind::{ApiKeyRefused, RequestRefused, Unavailable};
    for (answers, outcome, tries) in [
        (&[(204, "")][..], Ok(()), 1),
        (&[(202, "{}")], Ok(()), 1),
        (&[(409, ""), (500, ""), (204, "")], Ok(()), 3),
        (&[(503, "")], Err(Unavailable), 3),
        (&[(401, "")], Err(ApiKeyRefused), 1),
        (&[(403, "")], Err(ApiKeyRefused), 1),
        (&[(404, "")], Err(RequestRefused), 1),
    ] {
        let courier = Script::new(answers).await;
        let client = CourierClient::builder("pk_test").base_url(&courier.url);
        let done = client.build().unwrap().archive_request("1-a").await;
        assert_eq!(done.map_err(|error| error.kind()), outcome, "{answers:?}");
        assert_eq!(courier.requests().len(), tries, "{answers:?}");
    }
    // And by the emulator, which knows its key.
    let courier = Emulator::start().await.unwrap();
    let client = client(&courier, courier.url());
    client.archive_request("1-a").await.unwrap();
    let call = &courier.calls()[0];
    assert_eq!(
        (call.path.as_str(), call.status),
        ("/requests/1-a/archive", Some(204))
    );
}

#[tokio::test]
async fn an_id_that_cannot_be_sent_is_refused_before_a_byte_leaves() {
    let courier = Emulator::start().await.unwrap();
    let inbox = Script::new(&[(200, "{}")]).await;
    let client = client(&courier, &inbox.url);
    let long = "x".repeat(513);
    for id in [
        "",
        " ",
        "1-a ",
        "1-a\n",
        "1\u{0}",
        "1\u{2028}2",
        "1\u{feff}",
        ".",
        "..",
        &long,
    ] {
        let error = client.archive_request(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        assert!(error.to_string().starts_with("the request id "), "{error}");
        let error = client.mark_read("user-1", id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        assert!(error.to_string().starts_with("the message id "), "{error}");
    }
    let error = client
        .mark_read("bob user_id:alice", "1-a")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(courier.calls().len() + inbox.requests().len(), 0);
}

/// No token of an emulator goes to Courier, and none of Courier's to an emulator.
#[tokio::test]
async fn where_the_inbox_is() {
    let courier = Emulator::start().await.unwrap();
    let unknown = CourierClient::builder(courier.api_key()).base_url(courier.url());
    let error = unknown
        .build()
        .unwrap()
        .mark_read(1, "1-a")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`inbox_url`"), "{error}");
    assert_eq!(courier.calls().len(), 0, "nothing was issued in vain");

    for refused in [
        "http://inbox.courier.com/q",
        "inbox.courier.com",
        "https://x@y/q",
        "https://y?q",
    ] {
        let error = CourierClient::builder("pk_test")
            .inbox_url(refused)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{refused}");
        assert!(error.to_string().contains("inbox"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_lends_its_client() {
    let courier = Emulator::start().await.unwrap();
    let inbox = Script::new(&[(200, r#"{"data":{"read":true}}"#)]).await;
    let provider = TokenProvider::builder("pk_old")
        .base_url(courier.url())
        .inbox_url(&inbox.url)
        .build()
        .unwrap();
    let error = provider.client().mark_read(1, "1-a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApiKeyRefused);
    provider.set_api_key(courier.api_key()).unwrap();
    provider.client().mark_read(1, "1-a").await.unwrap();
    assert_eq!(provider.status().users, 0, "its token is not cached");
}

#[tokio::test]
async fn a_probe_carries_no_key_and_takes_any_answer() {
    let courier = Script::new(&[(503, ""), (404, "")]).await;
    let client = CourierClient::builder("pk_test")
        .base_url(&courier.url)
        .build()
        .unwrap();
    for status in [503, 404] {
        let probe = client.probe().await.unwrap();
        assert_eq!((probe.status, probe.clock_ahead), (status, None));
    }
    for request in courier.requests() {
        assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("pk_test"), "{request}");
    }
    let courier = Emulator::start().await.unwrap();
    let hour = Duration::from_secs(3600);
    courier.fail(courier_auth_core::emulator::Fault::ClockBehind(hour));
    let client = self::client(&courier, courier.url());
    let behind = client.probe().await.unwrap().clock_ahead.unwrap();
    assert!((-3660..=-3590).contains(&behind), "{behind}");
    courier.shutdown().await;
    let error = client.probe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Only to end a test that would hang.
const LIMIT: Duration = Duration::from_secs(30);
