//! What Prometheus reads from an app.

use reqwest::Method;

use crate::{browser::Browser, process::Example};

#[path = "../metrics/scrape.rs"]
mod scrape;
use scrape::Scrape;

#[tokio::test]
async fn axum_app() {
    let example = Example::start(env!("CARGO_BIN_EXE_axum-app"), &[]).await;
    let prometheus = Browser::new(&example.url);
    let before = scraped(&prometheus).await;
    assert!(before.series.values().all(|value| *value == 0.0));

    let mut alice = Browser::new(&example.url);
    assert_eq!(alice.get("/courier/token").await.status(), 401);
    alice.sign_in("alice").await;
    alice.token().await;
    alice.token().await;
    let mut smuggler = Browser::new(&example.url);
    smuggler.sign_in("bob user_id:alice").await;
    assert_eq!(smuggler.get("/courier/token").await.status(), 500);
    alice.send(Method::POST, "/demo/outage").await;
    for n in 0..5 {
        let mut user = Browser::new(&example.url);
        user.sign_in(&format!("carol-{n}")).await;
        assert_eq!(user.get("/courier/token").await.status(), 503);
    }

    let scrape = scraped(&prometheus).await;
    for (series, value) in [
        (r#"replies_total{status="200"}"#, 2.0),
        (r#"replies_total{status="401"}"#, 1.0),
        (r#"replies_total{status="500"}"#, 1.0),
        (r#"replies_total{status="503"}"#, 5.0),
        (r#"requests_total{zone="fresh",outcome="waited"}"#, 1.0),
        (r#"requests_total{zone="fresh",outcome="cached"}"#, 1.0),
        (r#"requests_total{zone="none",outcome="failed"}"#, 6.0),
        (r#"failures_total{kind="invalid_input"}"#, 1.0),
        (r#"failures_total{kind="unavailable"}"#, 5.0),
        (
            r#"flights_total{urgency="foreground",outcome="issued"}"#,
            1.0,
        ),
        (
            r#"flights_total{urgency="foreground",outcome="failed"}"#,
            5.0,
        ),
        (r#"courier_requests_total{try="1",outcome="issued"}"#, 1.0),
        (
            r#"courier_requests_total{try="1",outcome="unavailable"}"#,
            5.0,
        ),
        (
            r#"courier_requests_total{try="3",outcome="unavailable"}"#,
            5.0,
        ),
        ("circuit_open", 1.0),
        ("api_key_refused", 0.0),
        ("calls_in_flight", 0.0),
        ("waiting", 0.0),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    assert!(scrape.value("users") >= 1.0);
    for user in ["alice", "bob", "carol"] {
        assert!(!scrape.text.contains(user), "{}", scrape.text);
    }
    scrape.check_against_the_guide();
    example.terminate().await;
}

async fn scraped(prometheus: &Browser) -> Scrape {
    let response = prometheus.get("/metrics").await;
    assert_eq!(response.status(), 200);
    Scrape::new(response.text().await.unwrap())
}
