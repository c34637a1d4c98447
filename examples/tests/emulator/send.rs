//! `/send` and `/messages`.

use courier_auth_examples::emulator::{Courier, CourierServer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::user::{User, backend, body};

async fn send(courier: &CourierServer, message: Value) -> String {
    let body = json!({ "message": message }).to_string();
    let request = backend(courier, Method::POST, "/send").body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    let answer = crate::user::body(response).await;
    answer["requestId"].as_str().unwrap().to_owned()
}

fn to(recipient: &Value) -> Value {
    json!({ "to": recipient, "content": { "title": "Hi", "body": "there" } })
}

/// Ids and tenants of a user's messages, the newest first.
fn inbox(courier: &Courier, user: &str) -> Vec<(String, Option<String>)> {
    let messages = courier.messages(user).into_iter();
    messages
        .map(|message| (message.message_id, message.account_id))
        .collect()
}

#[tokio::test]
async fn to_one_user_the_message_has_the_requests_id() {
    let courier = Courier::start().await.unwrap();
    let id = send(&courier, to(&json!({ "user_id": "alice" }))).await;
    let (first, second) = id
        .strip_prefix("1-")
        .and_then(|id| id.split_once('-'))
        .unwrap();
    assert_eq!((first.len(), second.len()), (8, 24));
    assert_eq!(inbox(&courier, "alice"), [(id, None)]);
}

#[tokio::test]
async fn the_tenant_is_where_the_sdks_put_it() {
    let courier = Courier::start().await.unwrap();
    let context = json!({ "tenant_id": "t" });
    let mut outside = to(&json!({ "user_id": "alice" }));
    outside["context"] = context.clone();
    let table = [
        to(&json!({ "user_id": "alice", "context": context })),
        to(&json!({ "user_id": "alice", "tenant_id": "t" })),
        outside,
    ];
    for message in table {
        let id = send(&courier, message).await;
        let newest = inbox(&courier, "alice").remove(0);
        assert_eq!(newest, (id, Some("t".to_owned())));
    }
}

#[tokio::test]
async fn to_a_tenant_each_member_gets_a_copy() {
    let courier = Courier::start().await.unwrap();
    courier.add_to_tenant("t", "alice");
    let path = "/users/bob/tenants/t";
    let response = backend(&courier, Method::PUT, path).send().await.unwrap();
    assert_eq!(response.status(), 204);
    let id = send(&courier, to(&json!({ "tenant_id": "t" }))).await;
    for user in ["alice", "bob"] {
        let expected = (format!("{id}:{user}"), Some("t".to_owned()));
        assert_eq!(inbox(&courier, user), [expected]);
    }

    // And all copies go when the request is archived.
    let path = format!("/requests/{id}/archive");
    let response = backend(&courier, Method::PUT, &path).send().await.unwrap();
    assert_eq!(response.status(), 204);
    for user in ["alice", "bob"] {
        assert!(courier.messages(user)[0].archived.is_some());
    }
    let path = "/users/bob/tenants/t";
    backend(&courier, Method::DELETE, path)
        .send()
        .await
        .unwrap();
    send(&courier, to(&json!({ "tenant_id": "t" }))).await;
    assert_eq!(inbox(&courier, "bob").len(), 1);
}

#[tokio::test]
async fn to_many_and_to_a_list() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let path = "/client/lists/news/subscribe/alice";
    let request = alice
        .request(Method::PUT, path)
        .header("x-courier-client-key", "k");
    assert_eq!(request.send().await.unwrap().status(), 204);
    let many = json!([{ "list_id": "news" }, { "user_id": "bob" }, { "user_id": "alice" }]);
    let id = send(&courier, to(&many)).await;
    assert_eq!(inbox(&courier, "alice"), [(format!("{id}:alice"), None)]);
    assert_eq!(inbox(&courier, "bob"), [(format!("{id}:bob"), None)]);
    let path = "/client/lists/news/unsubscribe/alice";
    let request = alice.request(Method::DELETE, path);
    assert_eq!(request.send().await.unwrap().status(), 204);
    send(&courier, to(&json!({ "list_id": "news" }))).await;
    assert_eq!(inbox(&courier, "alice").len(), 1);
}

#[tokio::test]
async fn what_a_message_is_made_of() {
    let courier = Courier::start().await.unwrap();
    send(&courier, json!({
        "to": { "user_id": "alice" },
        "content": { "version": "2022-01-01", "elements": [
            { "type": "meta", "title": "Order shipped" },
            { "type": "text", "content": "It is on its way." },
            { "type": "text", "content": "Soon." },
            { "type": "action", "content": "Track", "href": "https://example.com/track" },
            { "type": "divider" },
        ] },
        "data": { "order": 7 },
        "metadata": { "tags": ["orders", "urgent"] },
        "routing": { "method": "all", "channels": ["email", { "method": "single", "channels": ["inbox"] }] },
    })).await;
    let message = courier.messages("alice").remove(0);
    assert_eq!(message.title.as_deref(), Some("Order shipped"));
    assert_eq!(message.preview.as_deref(), Some("It is on its way.\nSoon."));
    assert_eq!(
        message.actions[0].href.as_deref(),
        Some("https://example.com/track")
    );
    assert_eq!(message.data["order"], 7);
    assert_eq!(message.tags, ["orders", "urgent"]);

    send(
        &courier,
        json!({ "to": { "user_id": "alice" }, "template": "welcome" }),
    )
    .await;
    assert_eq!(
        courier.messages("alice")[0].title.as_deref(),
        Some("welcome")
    );
}

#[tokio::test]
async fn what_is_for_other_channels_is_in_no_inbox() {
    let courier = Courier::start().await.unwrap();
    let mut message = to(&json!({ "user_id": "alice" }));
    message["routing"] = json!({ "method": "single", "channels": ["email"] });
    send(&courier, message).await;
    send(&courier, to(&json!({ "email": "alice@example.com" }))).await;
    assert_eq!(courier.messages("alice").len(), 0);
}

#[tokio::test]
async fn a_message_to_nobody_is_a_400() {
    let courier = Courier::start().await.unwrap();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"message":{}}"#,
        r#"{"message":{"to":"alice"}}"#,
    ] {
        let request = backend(&courier, Method::POST, "/send").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(
            crate::user::error(response).await,
            (400, "invalid_request_error".to_owned())
        );
    }
}

#[tokio::test]
async fn the_log_tells_what_was_sent() {
    let courier = Courier::start().await.unwrap();
    let first = send(&courier, to(&json!({ "user_id": "alice" }))).await;
    let second = send(&courier, to(&json!({ "email": "bob@example.com" }))).await;
    let get = async |path: &str| {
        let response = backend(&courier, Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    };
    let (_, log) = get("/messages").await;
    assert_eq!(log["paging"]["more"], false);
    assert_eq!(log["results"][0]["id"], second);
    assert_eq!(log["results"][0]["status"], "UNROUTABLE");
    assert_eq!(log["results"][1]["recipient"], "alice");
    assert_eq!(get(&format!("/messages/{first}")).await.1["id"], first);
    assert_eq!(get("/messages/1-0-0").await.0, 404);

    let path = format!("/requests/{first}/archive");
    backend(&courier, Method::PUT, &path).send().await.unwrap();
    assert_eq!(
        get("/messages").await.1["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        get("/messages?archived=true").await.1["results"][0]["id"],
        first
    );
}
