//! The health page of the two examples that have one.

use courier_auth_core::emulator::Emulator;
use reqwest::Method;
use serde_json::Value;

use crate::{
    browser::{Browser, header, json},
    process::Example,
};

#[tokio::test]
async fn axum_app() {
    health(env!("CARGO_BIN_EXE_axum-app")).await;
}

#[tokio::test]
async fn actix_app() {
    health(env!("CARGO_BIN_EXE_actix-app")).await;
}

async fn health(binary: &str) {
    an_outage_shows(binary).await;
    a_refused_api_key_shows(binary).await;
}

async fn an_outage_shows(binary: &str) {
    let example = Example::start(binary, &[]).await;
    let probe = Browser::new(&example.url);
    let health = healthz(&probe).await;
    assert_eq!(health["courier"], "ok");
    assert_eq!(health["users"], 0);
    assert_eq!(health["last_success_s"], Value::Null);
    assert_eq!(health["last_error"], Value::Null);

    let mut alice = Browser::new(&example.url);
    alice.sign_in("alice").await;
    alice.token().await;
    let health = healthz(&probe).await;
    assert_eq!(health["courier"], "ok");
    assert_eq!(health["users"], 1);
    assert!(health["last_success_s"].is_u64());

    alice.send(Method::POST, "/demo/outage").await;
    // Five failures open the breaker; what is under way then may fail too.
    for n in 0..5 {
        let mut user = Browser::new(&example.url);
        user.sign_in(&format!("user-{n}")).await;
        assert_eq!(user.get("/courier/token").await.status(), 503);
    }
    let health = healthz(&probe).await;
    assert_eq!(health["courier"], "degraded");
    assert_eq!(health["circuit_open"], true);
    assert_eq!(health["api_key_refused"], false);
    assert_eq!(health["last_error"], "unavailable");
    assert!(health["last_error_s"].is_u64());
    example.terminate().await;
}

async fn a_refused_api_key_shows(binary: &str) {
    let courier = Emulator::with_api_key("pk_test_good").serve(0).await;
    let courier = courier.unwrap();
    let environment = [
        ("COURIER_API_KEY", "pk_test_canary"),
        ("COURIER_BASE_URL", courier.url()),
    ];
    let example = Example::start(binary, &environment).await;
    let mut alice = Browser::new(&example.url);
    alice.sign_in("alice").await;
    assert_eq!(alice.get("/courier/token").await.status(), 502);

    let health = healthz(&alice).await;
    assert_eq!(health["courier"], "degraded");
    assert_eq!(health["api_key_refused"], true);
    assert_eq!(health["circuit_open"], false);
    assert_eq!(health["last_error"], "api_key_refused");
    assert!(!health.to_string().contains("canary"), "{health}");
    example.terminate().await;
}

/// A health page is there for probes: always a 200, never from a cache.
async fn healthz(browser: &Browser) -> Value {
    let response = browser.get("/healthz").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "cache-control"), "no-store");
    json(response).await
}
