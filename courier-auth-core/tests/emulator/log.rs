//! What it tells of its calls, and what it does not.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use courier_auth_core::emulator::{Emulator, Fault};
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;

use crate::{ask, client, respond, start, token, try_ask, usual};

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
    assert_eq!(courier.token_requests(), 3);
    assert_eq!(courier.token_requests_for("user-1"), 2);
    assert_eq!(courier.token_requests_for("b"), 1);
    assert_eq!(courier.token_requests_for("nobody"), 0);

    courier.clear_calls();
    assert_eq!(courier.calls(), []);
    assert_eq!(
        (courier.token_requests(), courier.token_requests_for("b")),
        (0, 0)
    );
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
    for fault in [Fault::status(500), Fault::TruncatedBody, Fault::Reset] {
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
