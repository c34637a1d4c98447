//! The emulator of Courier, seen by clients over real sockets.

#![cfg(feature = "emulator")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use courier_auth_core::emulator::{
    Answer, Claims, Emulator, EmulatorServer, Ending, ErrorBody, Fault, VerifyError,
};
use proptest::prelude::*;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing_subscriber::filter::LevelFilter;

const SCOPE: &str = "user_id:user-1 inbox:read:messages inbox:write:events";

/// Long enough for any machine: reached only where a test would hang otherwise.
const LONG: Duration = Duration::from_secs(20);

async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.unwrap()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    bounded(poll).await;
}

async fn start() -> EmulatorServer {
    Emulator::start().await.unwrap()
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(LONG);
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// Asks for a token with the right key.
async fn try_ask(courier: &EmulatorServer, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/auth/issue-token", courier.url());
    let request = client().post(url).bearer_auth(courier.api_key()).json(body);
    request.send().await
}

async fn ask(courier: &EmulatorServer, body: &Value) -> Response {
    try_ask(courier, body).await.unwrap()
}

fn usual() -> Value {
    json!({ "scope": SCOPE, "expires_in": "1h" })
}

async fn token(courier: &EmulatorServer, body: &Value) -> String {
    let response = ask(courier, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "only a token");
    body["token"].as_str().unwrap().to_owned()
}

async fn claims(courier: &EmulatorServer, body: &Value) -> Claims {
    courier.verify(&token(courier, body).await).unwrap()
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(body["message"].is_string());
    (status, body["type"].as_str().unwrap_or_default().to_owned())
}

fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The same request by hand, for what a client library would not show.
fn raw_request(courier: &EmulatorServer) -> String {
    let body = usual().to_string();
    format!(
        "POST /auth/issue-token HTTP/1.1\r\nhost: courier\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        courier.api_key(),
        body.len(),
    )
}

async fn connect(courier: &EmulatorServer) -> io::Result<TcpStream> {
    let address = courier.url().strip_prefix("http://").unwrap();
    bounded(TcpStream::connect(address)).await
}

/// What arrives until the server closes, and how it closes.
async fn raw_answer(courier: &EmulatorServer) -> (String, io::Result<usize>) {
    let mut stream = connect(courier).await.unwrap();
    let request = raw_request(courier);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = bounded(stream.read_to_end(&mut answer)).await;
    (String::from_utf8(answer).unwrap(), end)
}

/// One answer of several on a connection.
async fn next_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with('}') {
        let read = bounded(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(read, 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    answer
}

fn respond(emulator: &Emulator, body: &[u8]) -> Answer {
    let key = format!("Bearer {}", emulator.api_key());
    emulator.respond(
        "POST",
        "/auth/issue-token",
        &[("Authorization", &key)],
        body,
    )
}

// Which has all of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_listens_on_one_loopback_address() {
    let courier = start().await;
    let (_, port) = courier.url().rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err());
}

#[tokio::test]
async fn a_token_has_couriers_claims_in_couriers_order() {
    let courier = start().await;
    let token = token(&courier, &usual()).await;
    let claims = courier.verify(&token).unwrap();

    assert_eq!(part(&token, 0), r#"{"alg":"HS256","typ":"JWT"}"#);
    let (iat, exp, jti) = (claims.iat, claims.iat + 3600, &claims.jti);
    let tenant_id = &claims.tenant_id;
    let expected = format!(
        r#"{{"scope":"{SCOPE}","tenant_scope":"published/production","tenant_id":"{tenant_id}","iat":{iat},"exp":{exp},"jti":"{jti}"}}"#
    );
    assert_eq!(part(&token, 1), expected);
    assert_eq!(jti.len(), 36);
    assert_eq!(&jti[14..15], "4", "a random UUID");
    assert_eq!(claims.user_ids().collect::<Vec<_>>(), ["user-1"]);
}

#[tokio::test]
async fn every_token_is_another() {
    let courier = start().await;
    let first = claims(&courier, &usual()).await;
    let second = claims(&courier, &usual()).await;
    assert_ne!(first.jti, second.jti);
    assert_eq!(first.tenant_id, second.tenant_id);
}

#[tokio::test]
async fn the_scope_is_taken_verbatim() {
    let courier = start().await;
    for scope in ["user_id:a  user_id:b\tx", "nonsense", ""] {
        let body = json!({ "scope": scope, "expires_in": "1h" });
        assert_eq!(claims(&courier, &body).await.scope, scope);
    }
}

#[tokio::test]
async fn lifetimes_that_courier_reads() {
    let courier = start().await;
    for (expires_in, seconds) in [
        (json!("2.5 hrs"), 9000),
        (json!("1 D"), 86_400),
        (json!(3600), 3600),
        (json!(3600.0), 3600),
        // A bare number in a string is milliseconds.
        (json!("3600"), 3),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let claims = claims(&courier, &body).await;
        assert_eq!(claims.exp, Some(claims.iat + seconds), "{body}");
    }
    for expires_in in [
        json!(0),
        json!(-5),
        json!("-1h"),
        json!("100ms"),
        json!("0"),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let token = token(&courier, &body).await;
        assert_eq!(courier.verify(&token), Err(VerifyError::Expired), "{body}");
    }
}

#[tokio::test]
async fn bodies_that_courier_refuses() {
    let courier = start().await;
    for expires_in in [
        json!("1 month"),
        json!(""),
        json!(" 1d"),
        json!(1.5),
        json!(null),
        json!(true),
        json!([3600]),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let problem = problem(ask(&courier, &body).await).await;
        assert_eq!(problem, (400, "invalid_request_error".to_owned()), "{body}");
    }
    for body in [
        json!({ "expires_in": "1h" }),
        json!({ "scope": 1 }),
        json!([]),
        json!(null),
    ] {
        let problem = problem(ask(&courier, &body).await).await;
        assert_eq!(problem, (400, "invalid_request_error".to_owned()), "{body}");
    }
    assert_eq!(respond(&courier, b"{").status, 400);
    assert_eq!(respond(&courier, b"\xff").status, 400);
}

#[tokio::test]
async fn a_missing_lifetime_is_a_setting() {
    let courier = start().await;
    let body = json!({ "scope": SCOPE });
    let token = token(&courier, &body).await;
    assert!(!part(&token, 1).contains("exp"));
    assert_eq!(courier.verify(&token).unwrap().exp, None);

    let strict = Emulator::new().require_expires_in(true);
    let strict = strict.serve(0).await.unwrap();
    assert_eq!(ask(&strict, &body).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(&strict, &usual()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let courier = start().await;
    let body = json!({ "scope": "x".repeat(70_000), "expires_in": "1h" });
    let problem = problem(ask(&courier, &body).await).await;
    assert_eq!(problem, (413, "invalid_request_error".to_owned()));
}

#[tokio::test]
async fn the_key_is_checked() {
    let courier = Emulator::with_api_key("pk_mine").serve(0).await.unwrap();
    assert_eq!(courier.api_key(), "pk_mine");
    for (method, path) in [
        (Method::POST, "/auth/issue-token"),
        (Method::PUT, "/requests/1-5e2b2615-05ef/archive"),
    ] {
        let url = format!("{}{path}", courier.url());
        let request = || client().request(method.clone(), &url).json(&usual());
        for refused in [
            request(),
            request().bearer_auth("pk_wrong"),
            request().bearer_auth(""),
            request().basic_auth("pk_mine", None::<&str>),
            request().header("authorization", "pk_mine"),
        ] {
            let problem = problem(refused.send().await.unwrap()).await;
            assert_eq!(problem, (401, "authentication_error".to_owned()), "{path}");
        }
        let accepted = request().bearer_auth("pk_mine").send().await.unwrap();
        assert!(accepted.status().is_success());
    }
}

#[tokio::test]
async fn archive_answers_204() {
    let courier = start().await;
    let url = format!("{}/requests/1-5e2b2615-05ef/archive", courier.url());
    let request = client().put(url).bearer_auth(courier.api_key());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.headers().contains_key("date"));
    assert_eq!(response.bytes().await.unwrap().len(), 0);
    assert_eq!(courier.issued(), 0);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let courier = start().await;
    for (method, path, status, allow) in [
        ("GET", "/auth/issue-token", 405, Some("POST")),
        ("POST", "/requests/1/archive", 405, Some("PUT")),
        ("POST", "/auth/issue-token/", 404, None),
        ("PUT", "/requests//archive", 404, None),
        ("PUT", "/requests/1/2/archive", 404, None),
        ("GET", "/", 404, None),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = client().request(method, format!("{}{path}", courier.url()));
        let response = request.send().await.unwrap();
        let allowed = response.headers().get("allow").cloned();
        assert_eq!(allowed.as_ref().map(|value| value.to_str().unwrap()), allow);
        assert!(response.headers().contains_key("date"));
        let problem = problem(response).await;
        assert_eq!(
            problem,
            (status, "invalid_request_error".to_owned()),
            "{path}"
        );
    }
    assert_eq!(courier.issued(), 0);
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let courier = start().await;
    let body = json!({ "scope": "user_id:a user_id:b x", "expires_in": 60 });
    ask(&courier, &body).await;
    ask(&courier, &usual()).await;
    let url = format!("{}/auth/issue-token?a=b", courier.url());
    client().post(url).json(&usual()).send().await.unwrap();
    client().get(courier.url()).send().await.unwrap();

    let calls = courier.calls();
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[0].method, "POST");
    assert_eq!(calls[0].path, "/auth/issue-token");
    assert_eq!(calls[0].status, Some(200));
    assert_eq!(calls[0].user_ids, ["a", "b"]);
    assert_eq!(calls[0].scope.as_deref(), Some("user_id:a user_id:b x"));
    assert_eq!(calls[0].expires_in.as_deref(), Some("60"));
    assert_eq!(calls[1].expires_in.as_deref(), Some("1h"));
    assert_eq!(calls[2].status, Some(401));
    assert_eq!(calls[2].path, "/auth/issue-token");
    assert_eq!(calls[3].path, "/");
    assert_eq!(courier.issued(), 3);
    assert_eq!(courier.issued_for("user-1"), 2);
    assert_eq!(courier.issued_for("b"), 1);
    assert_eq!(courier.issued_for("nobody"), 0);

    courier.clear_calls();
    assert_eq!(courier.calls(), []);
    assert_eq!((courier.issued(), courier.issued_for("b")), (0, 0));
}

#[test]
fn the_log_forgets_calls_but_not_their_number() {
    let emulator = Emulator::new();
    for number in 0..10_001 {
        emulator.respond("GET", &format!("/{number}"), &[], b"");
    }
    let calls = emulator.calls();
    assert_eq!(calls.len(), 10_000);
    assert_eq!(calls[0].path, "/1");
}

#[tokio::test]
async fn an_ordered_status_is_answered_and_goes_away() {
    let courier = start().await;
    for (status, error_type) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "authorization_error"),
        (409, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
    ] {
        courier.fail_next(1, Fault::status(status));
        let problem = problem(ask(&courier, &usual()).await).await;
        assert_eq!(problem, (status, error_type.to_owned()));
        assert_eq!(ask(&courier, &usual()).await.status(), StatusCode::OK);
    }
    courier.fail(Fault::status(500));
    courier.fail_next(2, Fault::status(429));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(&courier, &usual()).await.status().as_u16());
    }
    courier.recover();
    statuses.push(ask(&courier, &usual()).await.status().as_u16());
    assert_eq!(statuses, [429, 429, 500, 500, 200]);
}

#[tokio::test]
async fn an_ordered_status_has_the_headers_and_the_body_that_were_ordered() {
    let courier = start().await;
    let headers = [("Retry-After", "7"), ("x-should-retry", "false")];
    courier.fail_next(1, Fault::status_with(503, &headers));
    let response = ask(&courier, &usual()).await;
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.headers()["x-should-retry"], "false");

    let ordered = |body| Fault::Status {
        status: 502,
        headers: Vec::new(),
        body,
    };
    courier.fail_next(1, ordered(ErrorBody::Message("told so".to_owned())));
    let body: Value = ask(&courier, &usual()).await.json().await.unwrap();
    assert_eq!(body, json!({ "message": "told so", "type": "api_error" }));

    courier.fail_next(1, ordered(ErrorBody::Untyped));
    let body: Value = ask(&courier, &usual()).await.json().await.unwrap();
    assert!(body["message"].is_string() && body.get("type").is_none());

    courier.fail_next(1, ordered(ErrorBody::Html));
    let response = ask(&courier, &usual()).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(response.text().await.unwrap().starts_with("<html>"));

    courier.fail_next(1, ordered(ErrorBody::Empty));
    assert_eq!(ask(&courier, &usual()).await.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_fault_that_http_cannot_say_is_left_out() {
    let courier = start().await;
    courier.fail_next(
        1,
        Fault::status_with(1000, &[("bad name", "x"), ("x-bad", "a\r\nb: c")]),
    );
    let response = ask(&courier, &usual()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key("x-bad"));
}

#[tokio::test]
async fn a_late_answer_is_right() {
    let courier = start().await;
    let latency = Duration::from_millis(5);
    courier.fail_next(1, Fault::Latency(latency));
    assert!(claims(&courier, &usual()).await.exp.is_some());
    courier.fail_next(1, Fault::Latency(latency));
    let answer = respond(&courier, usual().to_string().as_bytes());
    assert_eq!((answer.status, answer.delay), (200, latency));
    assert_eq!(answer.ending, Ending::Complete);
}

#[tokio::test]
async fn a_slow_body_arrives_in_full() {
    let courier = start().await;
    courier.fail_next(1, Fault::SlowBody(Duration::from_millis(16)));
    assert!(claims(&courier, &usual()).await.exp.is_some());
}

#[tokio::test]
async fn a_hanging_call_holds_up_no_other() {
    let courier = start().await;
    courier.fail_next(1, Fault::Hang);
    let mut hanging = connect(&courier).await.unwrap();
    hanging
        .write_all(raw_request(&courier).as_bytes())
        .await
        .unwrap();
    until(|| courier.issued() == 1).await;
    assert_eq!(courier.calls()[0].status, None);

    let (first, second) = (usual(), usual());
    let (first, second) = tokio::join!(token(&courier, &first), token(&courier, &second));
    assert_ne!(first, second);

    drop(courier);
    let mut rest = Vec::new();
    // With an error or without: the connection ends, and nothing has come over it.
    let _end = bounded(hanging.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_reset_comes_before_any_byte() {
    let courier = start().await;
    courier.fail(Fault::Reset);
    let (answer, end) = raw_answer(&courier).await;
    assert_eq!(answer, "");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(courier.calls()[0].status, None);

    let error = try_ask(&courier, &usual()).await.unwrap_err();
    let mut sources = std::iter::successors(error.source(), |&error| error.source());
    let reset = sources.find_map(|error| error.downcast_ref::<io::Error>());
    assert_eq!(reset.unwrap().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_torn_head_is_half_a_status_line() {
    let courier = start().await;
    courier.fail(Fault::TornHead);
    let (answer, end) = raw_answer(&courier).await;
    assert_eq!(answer, "HTTP/1.1 2");
    end.unwrap();
    assert_eq!(courier.calls()[0].status, None);
    assert!(try_ask(&courier, &usual()).await.is_err());
}

#[tokio::test]
async fn a_torn_body_is_shorter_than_announced() {
    let courier = start().await;
    courier.fail(Fault::TornBody);
    let (answer, end) = raw_answer(&courier).await;
    end.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert_eq!(body.len(), length / 2);
    assert_eq!(courier.calls()[0].status, Some(200));
    assert!(ask(&courier, &usual()).await.bytes().await.is_err());
}

#[tokio::test]
async fn answers_that_are_no_tokens() {
    let courier = start().await;
    courier.fail_next(1, Fault::Html);
    let response = ask(&courier, &usual()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert!(response.json::<Value>().await.is_err());

    courier.fail_next(1, Fault::Redirect("https://example.com/".to_owned()));
    let response = ask(&courier, &usual()).await;
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "https://example.com/");
}

#[tokio::test]
async fn tokens_that_are_not_as_asked() {
    let courier = start().await;
    courier.fail_next(1, Fault::WrongUser("mallory".to_owned()));
    let wrong = claims(&courier, &usual()).await;
    assert_eq!(
        wrong.scope,
        "user_id:mallory inbox:read:messages inbox:write:events"
    );
    assert_eq!(courier.issued_for("user-1"), 1);
    assert_eq!(courier.issued_for("mallory"), 0);

    courier.fail_next(1, Fault::ShortLife(Duration::from_secs(5)));
    let short = claims(&courier, &usual()).await;
    assert_eq!(short.exp, Some(short.iat + 5));

    courier.fail_next(1, Fault::NoExpiry);
    assert_eq!(claims(&courier, &usual()).await.exp, None);

    courier.fail_next(1, Fault::OversizedToken);
    let oversized = token(&courier, &usual()).await;
    assert!(oversized.len() > 17 * 1024);
    assert_eq!(courier.verify(&oversized).unwrap().scope, SCOPE);

    courier.fail_next(1, Fault::Opaque);
    let opaque = token(&courier, &usual()).await;
    assert_eq!(courier.verify(&opaque), Err(VerifyError::Malformed));

    courier.fail_next(1, Fault::ShortLife(Duration::MAX));
    assert_eq!(claims(&courier, &usual()).await.exp, Some(i64::MAX));
}

#[tokio::test]
async fn the_same_expiry_comes_again() {
    let courier = start().await;
    let other = json!({ "scope": "user_id:user-2", "expires_in": "1d" });
    let longer = json!({ "scope": SCOPE, "expires_in": "2d" });
    courier.fail_next(1, Fault::SameExpiry);
    let first = claims(&courier, &usual()).await;
    assert_eq!(first.exp, Some(first.iat + 3600), "nothing to repeat yet");
    claims(&courier, &other).await;
    courier.fail(Fault::SameExpiry);
    assert_eq!(claims(&courier, &longer).await.exp, first.exp);
    // A token that nobody got does not count.
    courier.fail_next(1, Fault::TornBody);
    let _torn = ask(&courier, &longer).await;
    assert_eq!(claims(&courier, &longer).await.exp, first.exp);
}

#[tokio::test]
async fn the_clock_can_be_wrong() {
    let courier = start().await;
    let day = Duration::from_secs(86_400);
    let date = |response: &Response| {
        httpdate::parse_http_date(response.headers()["date"].to_str().unwrap()).unwrap()
    };
    let half_a_day = day / 2;

    courier.fail(Fault::ClockAhead(day));
    let response = ask(&courier, &usual()).await;
    assert!(date(&response) > SystemTime::now() + half_a_day);
    let ahead: Value = response.json().await.unwrap();
    let ahead = ahead["token"].as_str().unwrap();
    let claims = courier.verify(ahead).unwrap();
    assert_eq!(claims.exp, Some(claims.iat + 3600));
    courier.fail_next(1, Fault::status(503));
    let response = ask(&courier, &usual()).await;
    assert!(date(&response) > SystemTime::now() + half_a_day);
    let response = client().get(courier.url()).send().await.unwrap();
    assert!(date(&response) > SystemTime::now() + half_a_day);

    courier.fail(Fault::ClockBehind(day));
    let response = ask(&courier, &usual()).await;
    assert!(date(&response) < SystemTime::now() - half_a_day);
    let behind: Value = response.json().await.unwrap();
    let behind = behind["token"].as_str().unwrap();
    assert!(courier.verify(behind).is_ok());

    courier.recover();
    assert_eq!(courier.verify(behind), Err(VerifyError::Expired));
    assert!(courier.verify(ahead).is_ok());
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let courier = start().await;
    let mut stream = connect(&courier).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(raw_request(&courier).as_bytes())
            .await
            .unwrap();
        let answer = next_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(courier.issued(), 3);
}

#[tokio::test]
async fn a_dropped_server_closes_port_and_connections() {
    let courier = start().await;
    let mut open = connect(&courier).await.unwrap();
    open.write_all(raw_request(&courier).as_bytes())
        .await
        .unwrap();
    next_answer(&mut open).await;
    let address = courier.url().strip_prefix("http://").unwrap().to_owned();
    let emulator = courier.emulator().clone();

    drop(courier);
    let refused = async { while TcpStream::connect(&address).await.is_ok() {} };
    bounded(refused).await;
    let rest = bounded(open.read(&mut [0; 1])).await;
    assert!(matches!(rest, Ok(0) | Err(_)));
    assert_eq!(
        emulator.issued(),
        1,
        "a handle to the emulator outlives the listener"
    );
}

#[tokio::test]
async fn a_port_is_taken_once_and_free_after_shutdown() {
    let courier = start().await;
    let port = courier.url().rsplit(':').next().unwrap().parse().unwrap();
    let taken = Emulator::new().serve(port).await;
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    courier.shutdown().await;
    let again = Emulator::new().serve(port).await.unwrap();
    assert_eq!(again.url(), format!("http://127.0.0.1:{port}"));
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_key_nor_token_shows() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Not `set_default`: an event that another thread reaches first, without a subscriber, is off for this one as well.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let courier = Emulator::with_api_key("pk_canary").serve(0).await.unwrap();
    let token = token(&courier, &usual()).await;
    for fault in [Fault::status(500), Fault::TornBody, Fault::Reset] {
        courier.fail_next(1, fault);
        let _any = try_ask(&courier, &usual()).await;
    }
    let answer = respond(&courier, usual().to_string().as_bytes());
    let shown = format!(
        "{courier:?} {:?} {:?} {answer:?}",
        courier.emulator(),
        courier.calls()
    );

    let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("the Courier emulator was called"));
    let issued: Value = serde_json::from_slice(&answer.body).unwrap();
    for secret in [
        "pk_canary",
        token.as_str(),
        issued["token"].as_str().unwrap(),
    ] {
        assert!(!shown.contains(secret));
        assert!(!written.contains(secret));
    }
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        method in "GET|POST|PUT|\\PC{0,5}",
        path in "/auth/issue-token|/requests/.{0,9}/archive|\\PC{0,20}",
        header in "Bearer .{0,9}|\\PC{0,20}",
        body in prop_oneof![
            any::<Vec<u8>>(),
            (any::<String>(), any::<f64>(), any::<String>()).prop_map(|(scope, number, text)| {
                json!({ "scope": scope, "expires_in": number, text: "1d" }).to_string().into_bytes()
            }),
        ],
    ) {
        let emulator = Emulator::new();
        let answer = emulator.respond(&method, &path, &[("authorization", &header)], &body);
        prop_assert!((200..500).contains(&answer.status));
        prop_assert!(answer.headers.iter().any(|(name, _)| name == "date"));
        let answer = respond(&emulator, &body);
        prop_assert!(matches!(answer.status, 200 | 400 | 413));
    }
}
