//! With `COURIER_API_KEY` the examples talk to Courier, here to an emulator in another process.

use courier_auth_core::emulator::Emulator;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    time::timeout,
};

use crate::{
    browser::Browser,
    for_each_example,
    process::{Example, LIMIT},
};

for_each_example!(talks_to_courier);

async fn talks_to_courier(binary: &str) {
    let courier = Emulator::with_api_key("pk_test_canary")
        .serve(0)
        .await
        .unwrap();
    let environment = [
        ("COURIER_API_KEY", courier.api_key()),
        ("COURIER_BASE_URL", courier.url()),
        ("TOKEN_LIFETIME", "600"),
    ];
    let example = Example::start(binary, &environment).await;
    let mut alice = Browser::new(&example.url);
    alice.sign_in("alice").await;
    let token = alice.token().await;
    assert!(courier.verify(token["token"].as_str().unwrap()).is_ok());
    assert_eq!(courier.issued_for("alice"), 1);
    assert_eq!(
        courier.calls()[0].expires_in.as_deref(),
        Some("600 seconds")
    );
    assert_eq!(alice.get("/demo/calls").await.status(), 404);

    let (status, log) = example.terminate().await;
    assert_eq!(status.code(), Some(0));
    let log = log.concat();
    assert!(
        log.contains("using Courier") && !log.contains("canary"),
        "{log}"
    );
}

/// The system's proxy is asked for Courier, and is shown no key.
#[tokio::test]
async fn a_proxy_is_respected() {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let environment = [
        ("COURIER_API_KEY", "pk_test_canary"),
        ("HTTPS_PROXY", &address),
    ];
    let example = Example::start(env!("CARGO_BIN_EXE_axum-app"), &environment).await;
    let mut alice = Browser::new(&example.url);
    alice.sign_in("alice").await;
    let asking = tokio::spawn(async move { alice.get("/courier/token").await.status() });
    let (stream, _) = timeout(LIMIT, proxy.accept()).await.unwrap().unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut asked = String::new();
    while let Some(line) = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
        if line.is_empty() {
            break;
        }
        asked.push_str(&line);
    }
    assert!(asked.starts_with("CONNECT api.courier.com:443 "), "{asked}");
    assert!(!asked.contains("canary"), "{asked}");
    drop((lines, proxy));
    assert_eq!(asking.await.unwrap(), 503);
    example.terminate().await;
}

/// What runs on the same machine is reached without one.
#[tokio::test]
async fn a_proxy_is_not_asked_for_loopback() {
    let courier = Emulator::with_api_key("pk_test").serve(0).await.unwrap();
    let environment = [
        ("COURIER_API_KEY", courier.api_key()),
        ("COURIER_BASE_URL", courier.url()),
        // Nobody listens there.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
    ];
    let example = Example::start(env!("CARGO_BIN_EXE_axum-app"), &environment).await;
    let mut alice = Browser::new(&example.url);
    alice.sign_in("alice").await;
    alice.token().await;
    example.terminate().await;
}
