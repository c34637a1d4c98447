//! The phones' protocol.

use courier_auth_examples::emulator::{Courier, CourierServer, Draft};
use serde_json::json;

use crate::{
    socket_client::Socket,
    user::{User, until},
};

async fn subscribe(courier: &CourierServer, user: &User) -> Socket {
    let parameters = format!("auth={}", user.token);
    let socket = Socket::connect(courier, &parameters).await;
    let mut socket = socket.unwrap_or_else(|status| panic!("{status}"));
    let data = json!({
        "userAgent": "courier-ios",
        "channel": user.id,
        "event": "*",
        "version": 5,
        "clientSourceId": "phone",
    });
    socket
        .say(&json!({ "action": "subscribe", "data": data }))
        .await;
    until(|| courier.sockets().iter().any(|socket| socket.subscribed)).await;
    socket
}

#[tokio::test]
async fn messages_and_events_are_flat() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut phone = subscribe(&courier, &alice).await;
    phone.say(&json!({ "action": "keepAlive" })).await;

    let id = courier.send("alice", Draft::new("a", "text"));
    let message = phone.hear().await;
    assert_eq!(message["type"], "message");
    assert_eq!(message["messageId"], id);
    assert_eq!(message["title"], "a");

    let table = [
        ("read", "read"),
        ("unread", "unread"),
        ("opened", "opened"),
        ("archive", "archive"),
        ("unarchive", "unarchive"),
    ];
    for (name, event) in table {
        alice.track(&format!(r#"{name}(messageId: "{id}")"#)).await;
        let expected = json!({ "type": "event", "event": event, "messageId": id });
        assert_eq!(phone.hear().await, expected);
    }
    alice
        .track(&format!(r#"clicked(messageId: "{id}", trackingId: "t")"#))
        .await;
    assert_eq!(phone.hear().await["event"], "click");
    alice.track("markAllRead").await;
    let expected = json!({ "type": "event", "event": "mark-all-read" });
    assert_eq!(phone.hear().await, expected);
    // It has no word for all of them.
    alice.track("archiveAll").await;
    let expected = json!({ "type": "event", "event": "archive", "messageId": id });
    assert_eq!(phone.hear().await, expected);
}

#[tokio::test]
async fn its_own_changes_are_not_told_to_it() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut phone = subscribe(&courier, &alice).await;
    courier.send("alice", Draft::new("a", ""));
    let id = phone.hear().await["messageId"].as_str().unwrap().to_owned();
    let query = json!({ "query": format!("mutation {{ read(messageId: \"{id}\") }}") });
    let request = alice
        .request(reqwest::Method::POST, "/q")
        .body(query.to_string());
    let request = request.header("x-courier-client-source-id", "phone");
    assert_eq!(request.send().await.unwrap().status(), 200);
    alice.track(&format!(r#"archive(messageId: "{id}")"#)).await;
    assert_eq!(phone.hear().await["event"], "archive");
}
