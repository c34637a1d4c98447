//! With `COURIER_API_KEY` the examples talk to Courier, here to an emulator in another process.

use courier_auth_core::emulator::Emulator;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    time::timeout,
};

use crate::{
    browser::{Browser, header},
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
    assert_eq!(courier.token_requests_for("alice"), 1);
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

/// The tokens of another Courier are of no use to the inbox of the real one, and none of its business.
#[tokio::test]
async fn the_page_says_which_courier_it_is_and_goes_to_no_other() {
    let courier = Emulator::with_api_key("pk_test").serve(0).await.unwrap();
    let url = courier.url();
    let sockets = url.replacen("http", "ws", 1);
    let gateway = format!("{url}/gateway");
    for (base_url, inbox, name, allowed) in [
        (
            url,
            url,
            format!("Courier at {url}"),
            format!("connect-src 'self' {url} {sockets};"),
        ),
        (
            &gateway,
            &gateway,
            format!("Courier at {gateway}"),
            format!("connect-src 'self' {url} {sockets};"),
        ),
        (
            "https://api.eu.courier.com/",
            "courier",
            "the real Courier".to_owned(),
            "wss://realtime.eu.courier.io;".to_owned(),
        ),
    ] {
        let environment = [
            ("COURIER_API_KEY", courier.api_key()),
            ("COURIER_BASE_URL", base_url),
        ];
        let example = Example::start(env!("CARGO_BIN_EXE_axum-app"), &environment).await;
        let page = Browser::new(&example.url).get("/").await;
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains(&allowed), "{policy}");
        assert_eq!(policy.contains("courier.com"), inbox == "courier");
        let html = page.text().await.unwrap();
        assert!(html.contains(&format!(r#"data-inbox="{inbox}""#)), "{html}");
        let pill = format!(r#"<li class="pill">{name}</li>"#);
        assert!(html.contains(&pill), "{html}");
        let (_, log) = example.terminate().await;
        let said = log.iter().find(|line| line.contains("using Courier"));
        assert_eq!(said.unwrap().contains(url), inbox != "courier", "{log:?}");
    }
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
