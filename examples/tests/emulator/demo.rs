//! The examples' emulator has an inbox.

use courier_auth_core::TokenRequest;
use courier_auth_examples::{Demo, Settings, emulator::Draft};

use crate::user::{User, client};

#[tokio::test]
async fn a_token_of_the_apps_provider_opens_the_inbox() {
    let demo = Demo::start("test", &Settings::default()).await.unwrap();
    let courier = demo.courier().unwrap();
    courier.send("alice", Draft::new("Welcome", ""));
    let token = demo
        .provider()
        .token(&TokenRequest::for_user("alice"))
        .await;
    let alice = User {
        http: client(),
        url: courier.url().to_owned(),
        id: "alice".to_owned(),
        token: token.unwrap().as_str().to_owned(),
    };
    assert_eq!(alice.titles("{  }").await, ["Welcome"]);
    let urls = courier.api_urls();
    assert_eq!(urls["inbox"]["graphql"], format!("{}/q", courier.url()));
    assert!(
        urls["inbox"]["webSocket"]
            .as_str()
            .unwrap()
            .starts_with("ws://127.0.0.1:")
    );
}
