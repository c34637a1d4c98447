//! The real HTTP client against the emulator and against sockets that misbehave.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use courier_auth_core::{
    CourierClient, Error, ErrorKind, Scope, TokenProvider, TokenRequest,
    emulator::{Emulator, EmulatorServer, ErrorBody, Fault},
};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn client(courier: &EmulatorServer) -> CourierClient {
    CourierClient::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap()
}

async fn issue(courier: &EmulatorServer) -> Result<courier_auth_core::Token, Error> {
    let request = TokenRequest::for_user("user-1");
    let issued = client(courier);
    tokio::time::timeout(Duration::from_secs(20), issued.issue_token(&request))
        .await
        .expect("the client gives up by itself")
}

#[tokio::test]
async fn asks_for_exactly_what_the_request_says() {
    let courier = Emulator::start().await.unwrap();
    let request = TokenRequest::for_user("user-1")
        .scopes(Scope::RECOMMENDED)
        .lifetime(Duration::from_millis(90_500));
    let token = client(&courier).issue_token(&request).await.unwrap();
    let call = &courier.calls()[0];
    let scope = "user_id:user-1 inbox:read:messages inbox:write:events read:brands \
                 read:preferences write:preferences";
    assert_eq!(call.scope.as_deref(), Some(scope));
    assert_eq!(call.expires_in.as_deref(), Some("90 seconds"));
    assert_eq!(token.scope(), scope);
    assert_eq!(token.user_id(), "user-1");
    let left = token.expires_in();
    assert!(left <= Duration::from_secs(90) && left > Duration::from_secs(60));
    let claims = courier.verify(token.as_str()).unwrap();
    assert_eq!(claims.exp.unwrap() - claims.iat, 90);
}

/// Which answers are repeated, as Courier's own SDKs do it.
#[tokio::test]
async fn statuses() {
    use ErrorKind::{ApiKeyRefused, InvalidResponse, RateLimited, RequestRefused, Unavailable};
    for (status, kind, transient, calls) in [
        (302, InvalidResponse, false, 1),
        (400, RequestRefused, false, 1),
        (401, ApiKeyRefused, false, 1),
        (403, ApiKeyRefused, false, 1),
        (404, RequestRefused, false, 1),
        (408, Unavailable, true, 3),
        (409, Unavailable, true, 3),
        (413, RequestRefused, false, 1),
        (422, RequestRefused, false, 1),
        (429, RateLimited, true, 3),
        (500, Unavailable, true, 3),
        (503, Unavailable, true, 3),
        (504, Unavailable, true, 3),
    ] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(Fault::status(status));
        let error = issue(&courier).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.is_transient(), transient, "{status}");
        assert_eq!(error.status(), Some(status), "{status}");
        assert_eq!(courier.token_requests(), calls, "{status}");
    }
}

#[tokio::test]
async fn x_should_retry_overrides_the_status() {
    for (status, header, calls) in [(503, "false", 1), (400, "true", 3)] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(Fault::status_with(status, &[("x-should-retry", header)]));
        issue(&courier).await.unwrap_err();
        assert_eq!(courier.token_requests(), calls, "{status}");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let courier = Emulator::start().await.unwrap();
    courier.fail_next(2, Fault::status(503));
    issue(&courier).await.unwrap();
    assert_eq!(courier.token_requests(), 3);
}

/// Milliseconds first, then seconds (fractions too), then a date; a minute at most.
#[tokio::test]
async fn retry_after_in_all_its_forms() {
    let secs = Duration::from_secs;
    let in_30_s = httpdate::fmt_http_date(std::time::SystemTime::now() + secs(30));
    let long_ago = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (headers, low, high) in [
        (vec![("retry-after", "30")], 30.0, 30.0),
        (vec![("retry-after", "2.5")], 2.5, 2.5),
        (
            vec![("retry-after-ms", "4500"), ("retry-after", "30")],
            4.5,
            4.5,
        ),
        (vec![("retry-after", in_30_s.as_str())], 28.0, 31.0),
        // A date is one of the answer's clock, whatever this machine's says.
        (
            vec![
                ("date", "Sun, 06 Nov 1994 08:49:07 GMT"),
                ("retry-after", long_ago),
            ],
            30.0,
            30.0,
        ),
        (vec![("retry-after", "86400")], 60.0, 60.0),
        (
            vec![("retry-after-ms", "soon"), ("retry-after", "7")],
            7.0,
            7.0,
        ),
    ] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(Fault::status_with(503, &headers));
        let error = issue(&courier).await.unwrap_err();
        let after = error.retry_after().map(|after| after.as_secs_f64());
        assert!(
            after.is_some_and(|after| (low..=high).contains(&after)),
            "{headers:?}: {after:?}"
        );
        assert_eq!(
            courier.token_requests(),
            1,
            "too long to wait for: {headers:?}"
        );
    }
    for nonsense in ["0", "-5", "soon", "NaN", "inf", "1e400", "", long_ago] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(Fault::status_with(503, &[("retry-after", nonsense)]));
        let error = issue(&courier).await.unwrap_err();
        assert_eq!(error.retry_after(), None, "{nonsense:?}");
        assert_eq!(courier.token_requests(), 3, "{nonsense:?}");
    }
}

/// The text tells an operator what to do, whatever the body is.
#[tokio::test]
async fn error_bodies() {
    let long = "x".repeat(10_000);
    for (body, said) in [
        (ErrorBody::Courier, "authentication_error"),
        (
            ErrorBody::Message("no such key\r\nInjected: line".into()),
            "no such key  Injected",
        ),
        (ErrorBody::Message(long), "xxxx"),
        (ErrorBody::Untyped, "401"),
        (ErrorBody::Html, "401"),
        (ErrorBody::Empty, "401"),
    ] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(Fault::Status {
            status: 401,
            headers: Vec::new(),
            body: body.clone(),
        });
        let text = issue(&courier).await.unwrap_err().to_string();
        assert!(text.contains(said), "{body:?}: {text}");
        assert!(text.contains("see that it is complete"), "{text}");
        assert!(
            text.len() < 600 && !text.contains(['\r', '\n', '<']),
            "{text}"
        );
    }
}

/// Half an answer, none at all, or one that is no token: nothing is followed, nothing is cached.
#[tokio::test]
async fn torn_sockets_and_false_tokens() {
    use ErrorKind::{InvalidResponse, Timeout, Unavailable};
    let elsewhere = Emulator::start().await.unwrap();
    let redirect = format!("{}/auth/issue-token", elsewhere.url());
    let cases = [
        (Fault::Reset, Unavailable, 3),
        (Fault::TruncatedHead, Unavailable, 3),
        (Fault::TruncatedBody, Unavailable, 3),
        (Fault::Hang, Timeout, 3),
        (Fault::SlowBody(Duration::from_secs(30)), Timeout, 3),
        (Fault::Html, InvalidResponse, 1),
        (Fault::OversizedToken, InvalidResponse, 1),
        (Fault::WrongUser("alice".into()), InvalidResponse, 1),
        (Fault::ShortLife(Duration::from_secs(1)), InvalidResponse, 1),
        (Fault::Redirect(redirect), InvalidResponse, 1),
    ];
    join_all(cases.map(async |(fault, kind, calls)| {
        let courier = Emulator::start().await.unwrap();
        courier.fail(fault.clone());
        let error = issue(&courier).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert_eq!(courier.token_requests(), calls, "{fault:?}");
    }))
    .await;
    assert_eq!(elsewhere.calls().len(), 0, "no redirect was followed");
}

/// As a proxy may pass it on.
#[tokio::test]
async fn an_answer_in_pieces_is_put_together() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for byte in r#"{"token":"opaque-token"}"#.chars() {
            let chunk = format!("1\r\n{byte}\r\n");
            stream.write_all(chunk.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let client = CourierClient::builder("pk_test").base_url(url).build();
    let request = TokenRequest::for_user("user-1");
    let token = client.unwrap().issue_token(&request).await.unwrap();
    assert_eq!(token.as_str(), "opaque-token");
}

/// Whoever answers in Courier's place does not fill the memory.
#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    const MANY: usize = 64 * 1024 * 1024;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"token\":\"";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut sent = 0;
        while sent < MANY && stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {
            sent += 16 * 1024;
        }
        sent
    });
    let client = CourierClient::builder("pk_test").base_url(url).build();
    let request = TokenRequest::for_user("user-1");
    let error = client.unwrap().issue_token(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    // The rest is what the sockets hold.
    assert!(server.await.unwrap() < MANY);
}

#[tokio::test]
async fn what_was_refused_is_not_cached() {
    for fault in [
        Fault::Html,
        Fault::OversizedToken,
        Fault::WrongUser("alice".into()),
    ] {
        let courier = Emulator::start().await.unwrap();
        let provider = TokenProvider::builder(courier.api_key())
            .base_url(courier.url())
            .build()
            .unwrap();
        let request = TokenRequest::for_user("user-1");
        courier.fail_next(1, fault.clone());
        let error = provider.token(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{fault:?}");
        // Until the backoff has passed.
        let token = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                match provider.token(&request).await {
                    Ok(token) => return token,
                    Err(error) => tokio::time::sleep(error.retry_after().unwrap()).await,
                }
            }
        });
        assert!(
            courier.verify(token.await.unwrap().as_str()).is_ok(),
            "{fault:?}"
        );
        assert_eq!(courier.token_requests(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_jwt_is_taken_as_it_is() {
    for fault in [Fault::Opaque, Fault::NoExpiry] {
        let courier = Emulator::start().await.unwrap();
        courier.fail(fault.clone());
        let token = issue(&courier).await.unwrap();
        let left = token.expires_in();
        assert!(
            left > Duration::from_secs(3500) && left <= Duration::from_secs(3600),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn nobody_listens() {
    let courier = Emulator::start().await.unwrap();
    let client = client(&courier);
    courier.shutdown().await;
    let error = client
        .issue_token(&TokenRequest::for_user("user-1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient());
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}
