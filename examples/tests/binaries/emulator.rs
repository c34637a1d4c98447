//! The emulator as a program, and a backend and a browser that are pointed at it.

use std::net::{Ipv4Addr, TcpListener};

use crate::{
    browser::Browser,
    process::{Example, run},
};

#[tokio::test]
async fn an_app_gets_its_tokens_from_it() {
    let key = [("COURIER_API_KEY", "pk_test_canary")];
    let emulator = Example::start(env!("CARGO_BIN_EXE_courier-emulator"), &key).await;
    let environment = [key[0], ("COURIER_BASE_URL", emulator.url.as_str())];
    let app = Example::start(env!("CARGO_BIN_EXE_axum-app"), &environment).await;
    let mut alice = Browser::new(&app.url);
    alice.sign_in("alice").await;
    let token = alice.token().await;

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/q", emulator.url));
    let request = request.bearer_auth(token["token"].as_str().unwrap());
    let response = request
        .body(r#"{"query":"{ count }"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), r#"{"data":{"count":0}}"#);

    app.terminate().await;
    let (status, log) = emulator.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.concat().contains("canary"), "{log:?}");
}

/// A device's push token is in the path.
#[tokio::test]
async fn a_path_is_not_logged() {
    let environment = [("COURIER_API_KEY", "pk_test"), ("RUST_LOG", "debug")];
    let emulator = Example::start(env!("CARGO_BIN_EXE_courier-emulator"), &environment).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let device = client.put(format!("{}/users/alice/tokens/canary", emulator.url));
    let device = device.bearer_auth("pk_test").json(&serde_json::json!({
        "provider_key": "apn",
    }));
    assert_eq!(device.send().await.unwrap().status(), 204);
    let (_, log) = emulator.terminate().await;
    let log = log.concat();
    assert!(log.contains("the Courier emulator was called"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn what_is_wrong_is_one_line() {
    let other_program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = other_program.local_addr().unwrap().port().to_string();
    for (port, expected) in [(taken.as_str(), "is taken"), ("many", "PORT must be")] {
        let binary = env!("CARGO_BIN_EXE_courier-emulator");
        let output = run(binary, &[("PORT", port)]).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}
