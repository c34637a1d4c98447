//! With `COURIER_API_KEY` the examples talk to Courier, here to an emulator in another process.

use courier_auth_core::emulator::Emulator;

use crate::{browser::Browser, for_each_example, process::Example};

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
