//! What can be made to go wrong.

use std::time::Duration;

use courier_auth_examples::emulator::{Courier, Draft, InboxFault, Surface};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    socket_client::Socket,
    user::{User, body, error},
};

#[tokio::test]
async fn each_surface_fails_for_itself() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let statuses = async || {
        let query = json!({ "query": "{ __typename }" });
        let inbox = alice.post("/q", query.clone()).await.status().as_u16();
        let client = alice.post("/client/q", query).await.status().as_u16();
        let rest = alice.request(Method::GET, "/users/alice/preferences");
        let rest = rest.send().await.unwrap().status().as_u16();
        let parameters = format!("auth={}&cid=c&iwpv=v1&userId=alice", alice.token);
        let socket = Socket::connect(&courier, &parameters).await.err();
        (inbox, client, rest, socket)
    };
    assert_eq!(statuses().await, (200, 200, 200, None));
    courier.fail(Surface::Inbox, InboxFault::Status(500));
    assert_eq!(statuses().await, (500, 200, 200, None));
    courier.fail(Surface::Client, InboxFault::Status(429));
    courier.fail(Surface::Rest, InboxFault::Status(503));
    courier.fail(Surface::Socket, InboxFault::Status(502));
    assert_eq!(statuses().await, (500, 429, 503, Some(502)));
    courier.recover();
    assert_eq!(statuses().await, (200, 200, 200, None));
}

#[tokio::test]
async fn faults_look_as_they_are_named() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let query = json!({ "query": "{ count }" });
    courier.fail_next(Surface::Inbox, 1, InboxFault::Status(500));
    let response = alice.post("/q", query.clone()).await;
    assert_eq!(error(response).await, (500, "api_error".to_owned()));

    courier.fail_next(Surface::Inbox, 1, InboxFault::Errors("Internal".to_owned()));
    let answer = body(alice.post("/q", query.clone()).await).await;
    assert_eq!(
        answer,
        json!({ "data": null, "errors": [{ "message": "Internal" }] })
    );

    courier.fail_next(Surface::Inbox, 1, InboxFault::Html);
    let response = alice.post("/q", query.clone()).await;
    assert_eq!(response.status(), 200);
    assert!(response.json::<Value>().await.is_err());

    courier.fail_next(
        Surface::Inbox,
        1,
        InboxFault::Latency(Duration::from_millis(1)),
    );
    let answer = body(alice.post("/q", query.clone()).await).await;
    assert_eq!(answer["data"]["count"], 0);

    courier.fail_next(Surface::Inbox, 1, InboxFault::Hang);
    let patience = Duration::from_millis(100);
    assert!(
        tokio::time::timeout(patience, alice.post("/q", query))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn sockets_are_sent_away() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let bob = User::sign_in(&courier, "bob").await;
    let mut hers = Socket::subscribe(&courier, &alice, "1").await;
    let mut his = Socket::subscribe(&courier, &bob, "2").await;
    courier.ask_to_reconnect(Some("alice"), 3);
    let heard = hers.hear().await;
    assert_eq!(heard["event"], "reconnect");
    assert_eq!(heard["retryAfter"], 3);
    assert_eq!(heard["code"], 1012);
    his.hears_nothing().await;
}

#[tokio::test]
async fn sockets_are_closed_with_any_code() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    for code in [1000, 1008, 1012, 4401] {
        let mut socket = Socket::subscribe(&courier, &alice, "1").await;
        courier.close_sockets(None, code, Some(10));
        let frame = socket.closed().await.unwrap();
        assert_eq!(u16::from(frame.code), code);
        assert_eq!(frame.reason.as_str(), r#"{"Retry-After":"10"}"#);
    }
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    courier.close_sockets(Some("alice"), 1006, None);
    assert_eq!(socket.closed().await, None);
}

#[tokio::test]
async fn pings_can_be_left_unanswered() {
    let courier = Courier::start().await.unwrap();
    courier.configure(|settings| settings.answer_pings = false);
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    socket.say(&json!({ "tid": "1", "action": "ping" })).await;
    courier.send("alice", Draft::new("a", ""));
    assert_eq!(socket.hear().await["event"], "message");
}
