//! What it can be told to do wrong.

use std::{
    error::Error as _,
    io,
    time::{Duration, SystemTime},
};

use courier_auth_core::emulator::{Ending, ErrorBody, Fault, VerifyError};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    SCOPE, ask, bounded, claims, client, connect, problem, raw_answer, raw_request, respond, start,
    token, try_ask, until, usual,
};

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
async fn one_users_calls_fail_whatever_others_do() {
    let courier = start().await;
    let status = async |user: &str| {
        let body =
            json!({ "scope": format!("user_id:{user} inbox:read:messages"), "expires_in": "1h" });
        ask(&courier, &body).await.status().as_u16()
    };
    courier.fail_for("alice", Fault::status(400));
    courier.fail_for("alice", Fault::status(503));
    courier.fail_next(1, Fault::status(429));
    courier.fail(Fault::status(500));
    let mut statuses = Vec::new();
    for user in ["alice", "bob", "alice", "bob", "alic"] {
        statuses.push(status(user).await);
    }
    assert_eq!(statuses, [503, 429, 503, 500, 500]);
    courier.recover();
    assert_eq!(status("alice").await, 200);
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
    // Another length than the body has made the server panic.
    courier.fail_next(1, Fault::status_with(429, &[("Content-Length", "7")]));
    let response = ask(&courier, &usual()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.bytes().await.unwrap().len() > 7);
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
    until(|| courier.token_requests() == 1).await;
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
    courier.fail(Fault::TruncatedHead);
    let (answer, end) = raw_answer(&courier).await;
    assert_eq!(answer, "HTTP/1.1 2");
    end.unwrap();
    assert_eq!(courier.calls()[0].status, None);
    assert!(try_ask(&courier, &usual()).await.is_err());
}

#[tokio::test]
async fn a_torn_body_is_shorter_than_announced() {
    let courier = start().await;
    courier.fail(Fault::TruncatedBody);
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
    assert_eq!(courier.token_requests_for("user-1"), 1);
    assert_eq!(courier.token_requests_for("mallory"), 0);

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
    courier.fail_next(1, Fault::TruncatedBody);
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
