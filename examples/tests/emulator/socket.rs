//! The web's protocol, version 1.

use courier_auth_examples::emulator::{Courier, Draft, TenantRule};
use reqwest::Method;
use serde_json::json;

use crate::{
    socket_client::Socket,
    user::{User, backend, until},
};

#[tokio::test]
async fn it_answers_what_it_is_asked() {
    let courier = Courier::start().await.unwrap();
    courier.configure(|settings| settings.ping_interval = 7);
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::open(&courier, &alice, "c").await;
    socket
        .say(&json!({ "tid": "1", "action": "get-config" }))
        .await;
    let config = json!({ "pingInterval": 7, "maxOutstandingPings": 3 });
    let expected = json!({ "tid": "1", "response": "config", "data": config });
    assert_eq!(socket.hear().await, expected);
    socket.ask_for_all(&alice, None).await;
    socket.say(&json!({ "tid": "2", "action": "ping" })).await;
    assert_eq!(
        socket.hear().await,
        json!({ "tid": "2", "response": "pong" })
    );

    courier.ping_sockets(Some("alice"));
    let ping = socket.hear().await;
    assert_eq!(ping["action"], "ping");
    socket
        .say(&json!({ "tid": ping["tid"], "action": "pong" }))
        .await;
    // What it does not understand does no harm.
    socket.say(&json!({ "tid": "3", "action": "dance" })).await;
    socket.say(&json!([])).await;
    socket.hears_nothing().await;
}

#[tokio::test]
async fn a_new_message_comes_once_to_whoever_asked() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let bob = User::sign_in(&courier, "bob").await;
    courier.send("alice", Draft::new("before", ""));
    let mut first = Socket::subscribe(&courier, &alice, "1").await;
    // The SDK's own test suite subscribes twice.
    first.ask_for_all(&alice, None).await;
    let mut second = Socket::subscribe(&courier, &alice, "2").await;
    let mut silent = Socket::open(&courier, &alice, "3").await;
    let mut other = Socket::subscribe(&courier, &bob, "4").await;

    let id = courier.send("alice", Draft::new("now", "text").tenant("t").tag("x"));
    for socket in [&mut first, &mut second] {
        let heard = socket.hear().await;
        assert_eq!(heard["event"], "message");
        let message = &heard["data"];
        assert_eq!(message["messageId"], id);
        assert_eq!(message["title"], "now");
        assert_eq!(message["accountId"], "t");
        assert_eq!(message["tags"], json!(["x"]));
        assert!(message["created"].as_str().unwrap().ends_with('Z'));
        assert_eq!(message.get("trackingIds"), None);
        assert!(message["data"]["trackingIds"]["clickTrackingId"].is_string());
        socket.hears_nothing().await;
    }
    silent.hears_nothing().await;
    other.hears_nothing().await;
    silent.ask_for_all(&alice, None).await;
    silent.hears_nothing().await;
}

#[tokio::test]
async fn what_one_client_does_the_others_hear() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let id = courier.send("alice", Draft::new("a", ""));
    let mut own = Socket::subscribe(&courier, &alice, "own").await;
    let mut other = Socket::subscribe(&courier, &alice, "other").await;
    let mutation = async |what: String| {
        let query = json!({ "query": format!("mutation TrackEvent {{ {what} }}") });
        let request = alice.request(Method::POST, "/q").body(query.to_string());
        let request = request.header("x-courier-client-source-id", "own");
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    for name in ["read", "unread", "opened", "archive", "unarchive"] {
        mutation(format!(r#"{name}(messageId: "{id}")"#)).await;
        let expected = json!({ "event": name, "messageId": id });
        assert_eq!(other.hear().await, expected);
    }
    mutation(format!(r#"clicked(messageId: "{id}", trackingId: "t")"#)).await;
    assert_eq!(
        other.hear().await,
        json!({ "event": "clicked", "messageId": id })
    );
    let table = [
        ("markAllRead", "mark-all-read"),
        ("archiveRead", "archive-read"),
        ("archiveAll", "archive-all"),
    ];
    for (name, event) in table {
        mutation(name.to_owned()).await;
        assert_eq!(other.hear().await, json!({ "event": event }));
    }
    mutation(r#"read(messageId: "1-0-0")"#.to_owned()).await;
    other.hears_nothing().await;
    own.hears_nothing().await;
    // Without its name, it is told like any other.
    alice.track(&format!(r#"read(messageId: "{id}")"#)).await;
    assert_eq!(own.hear().await["event"], "read");
}

#[tokio::test]
async fn an_id_is_taken_as_it_is() {
    let courier = Courier::start().await.unwrap();
    for id in ["al+ice@example.com", "oauth|alice:1"] {
        let user = User::sign_in(&courier, id).await;
        let mut socket = Socket::subscribe(&courier, &user, "1").await;
        courier.send(id, Draft::new("a", ""));
        assert_eq!(socket.hear().await["data"]["title"], "a");
    }
}

#[tokio::test]
async fn a_tenants_socket_hears_of_its_tenant() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut all = Socket::subscribe(&courier, &alice, "1").await;
    let mut tenants = Socket::open(&courier, &alice, "2").await;
    tenants.ask_for_all(&alice, Some("t")).await;
    courier.send("alice", Draft::new("none", ""));
    let id = courier.send("alice", Draft::new("t", "").tenant("t"));
    assert_eq!(tenants.hear().await["data"]["messageId"], id);
    assert_eq!(all.hear().await["data"]["title"], "none");
    assert_eq!(all.hear().await["data"]["title"], "t");

    courier.configure(|settings| settings.tenants = TenantRule::Own);
    alice.track(&format!(r#"read(messageId: "{id}")"#)).await;
    assert_eq!(tenants.hear().await["event"], "read");
    all.hears_nothing().await;
}

#[tokio::test]
async fn nobody_listens_to_the_channel_of_another_user() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let bob = User::sign_in(&courier, "bob").await;
    let mut socket = Socket::open(&courier, &alice, "1").await;
    socket.ask_for_all(&bob, None).await;
    courier.send("bob", Draft::new("his", ""));
    courier.send("alice", Draft::new("hers", ""));
    socket.hears_nothing().await;
}

#[tokio::test]
async fn who_unsubscribes_hears_no_more() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    let data = json!({ "channel": "alice" });
    socket
        .say(&json!({ "tid": "u", "action": "unsubscribe", "data": data }))
        .await;
    assert_eq!(socket.hear().await["response"], "ack");
    courier.send("alice", Draft::new("a", ""));
    socket.hears_nothing().await;
}

#[tokio::test]
async fn a_socket_that_is_gone_is_forgotten() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let socket = Socket::subscribe(&courier, &alice, "1").await;
    assert_eq!(courier.sockets().len(), 1);
    drop(socket);
    until(|| courier.sockets().is_empty()).await;
}

#[tokio::test]
async fn an_archived_request_leaves_every_inbox_it_went_to() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let id = courier.send("alice", Draft::new("a", ""));
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    let path = format!("/requests/{id}/archive");
    let response = backend(&courier, Method::PUT, &path).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(
        socket.hear().await,
        json!({ "event": "archive", "messageId": id })
    );
    assert_eq!(alice.titles("{ archived: true }").await, ["a"]);
    // Without the key it does nothing.
    let id = courier.send("alice", Draft::new("b", ""));
    let path = format!("/requests/{id}/archive");
    let response = alice.request(Method::PUT, &path).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(alice.titles("{  }").await, ["b"]);
}

#[tokio::test]
async fn the_end_of_the_server_is_the_end_of_its_sockets() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    courier.shutdown().await;
    assert_eq!(socket.closed().await, None);
}

#[tokio::test]
async fn a_browser_that_goes_there_is_told_what_it_is() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let response = alice.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), 426);
}
