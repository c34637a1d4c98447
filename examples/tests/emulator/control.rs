//! `/emulator/…`

use courier_auth_examples::emulator::{AtExpiry, Courier, CourierServer, MissingScope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    socket_client::Socket,
    user::{User, body, client},
};

async fn call(
    courier: &CourierServer,
    method: Method,
    path: &str,
    request: Option<Value>,
) -> (u16, Value) {
    let url = format!("{}/emulator{path}", courier.url());
    let request = request.map_or_else(String::new, |request| request.to_string());
    let response = client()
        .request(method, url)
        .body(request)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), body(response).await)
}

#[tokio::test]
async fn messages_are_sent_and_shown() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let message = json!({
        "title": "Hi", "preview": "there", "tags": ["x"], "created": "2026-01-01T00:00:00.000Z",
        "actions": [{ "content": "Open", "href": "https://example.com/" }],
    });
    let request = json!({ "user_id": "alice", "message": message });
    let (status, answer) = call(&courier, Method::POST, "/messages", Some(request)).await;
    assert_eq!(status, 200);
    assert_eq!(alice.titles(r#"{ tags: ["x"] }"#).await, ["Hi"]);
    let (_, shown) = call(&courier, Method::GET, "/messages?user_id=alice", None).await;
    assert_eq!(shown["messages"][0]["messageId"], answer["message_id"]);
    assert_eq!(shown["messages"][0]["created"], "2026-01-01T00:00:00.000Z");

    for request in [
        json!({}),
        json!({ "user_id": "alice", "message": { "titel": "Hi" } }),
        json!({ "user_id": "alice", "msg": { "title": "Hi" } }),
    ] {
        let (status, answer) = call(&courier, Method::POST, "/messages", Some(request)).await;
        assert_eq!(status, 400);
        assert!(answer["message"].is_string());
    }
    let (status, answer) = call(&courier, Method::GET, "/messages", None).await;
    assert_eq!(status, 400);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("user_id"), "{message}");
}

#[tokio::test]
async fn settings_are_changed_one_by_one() {
    let courier = Courier::start().await.unwrap();
    let change = json!({ "at_expiry": { "close": 4401 }, "missing_scope": "forbidden" });
    let (status, answer) = call(&courier, Method::PATCH, "/settings", Some(change)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["ping_interval"], 60);
    let settings = courier.settings();
    assert_eq!(settings.at_expiry, AtExpiry::Close(4401));
    assert_eq!(settings.missing_scope, MissingScope::Forbidden);
    for change in [
        json!({ "nothing": 1 }),
        json!({ "at_expiry": "never" }),
        json!([]),
    ] {
        let (status, _) = call(&courier, Method::PATCH, "/settings", Some(change)).await;
        assert_eq!(status, 400);
    }
    assert_eq!(courier.settings(), settings);
}

#[tokio::test]
async fn faults_come_and_go() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let status = async || {
        alice
            .post("/q", json!({ "query": "{ count }" }))
            .await
            .status()
    };
    let fault = json!({ "on": "inbox", "fault": { "status": 503 } });
    assert_eq!(
        call(&courier, Method::POST, "/faults", Some(fault)).await.0,
        200
    );
    assert_eq!(status().await, 503);
    assert_eq!(call(&courier, Method::DELETE, "/faults", None).await.0, 200);
    assert_eq!(status().await, 200);

    let faults = [
        json!({ "on": "tokens", "fault": { "status": 500 }, "calls": 1 }),
        json!({ "on": "rest", "fault": { "latency_ms": 5 } }),
        json!({ "on": "client", "fault": { "errors": "no" } }),
        json!({ "on": "socket", "fault": "hang" }),
        json!({ "on": "inbox", "fault": "html", "calls": 2 }),
    ];
    for fault in faults {
        let (status, answer) = call(&courier, Method::POST, "/faults", Some(fault)).await;
        assert_eq!(status, 200, "{answer}");
    }
    let wrong = [
        json!({ "on": "moon", "fault": "html" }),
        json!({ "on": "inbox", "fault": "rain" }),
        json!({ "on": "tokens", "fault": { "errors": "no" } }),
    ];
    for fault in wrong {
        assert_eq!(
            call(&courier, Method::POST, "/faults", Some(fault)).await.0,
            400
        );
    }
    let (_, answer) = call(
        &courier,
        Method::POST,
        "/faults",
        Some(json!({ "on": "moon", "fault": "html" })),
    )
    .await;
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("`tokens`, `inbox`"), "{message}");
}

#[tokio::test]
async fn sockets_are_sent_away_from_outside() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    let all = json!({});
    call(&courier, Method::POST, "/sockets/ping", Some(all)).await;
    assert_eq!(socket.hear().await["action"], "ping");
    let hers = json!({ "user_id": "alice", "retry_after": 2 });
    call(&courier, Method::POST, "/sockets/reconnect", Some(hers)).await;
    assert_eq!(socket.hear().await["retryAfter"], 2);
    let code = json!({ "code": 1013 });
    call(&courier, Method::POST, "/sockets/close", Some(code)).await;
    assert_eq!(u16::from(socket.closed().await.unwrap().code), 1013);
    assert_eq!(
        call(&courier, Method::POST, "/sockets/close", None).await.0,
        400
    );
}

#[tokio::test]
async fn the_overview_has_no_secrets_and_a_reset_forgets() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    courier.send("alice", Default::default());
    socket.hear().await;
    let (_, overview) = call(&courier, Method::GET, "", None).await;
    assert_eq!(
        overview["users"],
        json!([{ "user_id": "alice", "messages": 1 }])
    );
    let expected = json!([{ "user_id": "alice", "mobile": false, "subscribed": true }]);
    assert_eq!(overview["sockets"], expected);
    assert_eq!(overview["tokens_asked_for"], 1);
    let text = overview.to_string();
    assert!(
        !text.contains(courier.tokens().api_key()) && !text.contains("eyJ"),
        "{text}"
    );

    call(&courier, Method::POST, "/reset", None).await;
    let (_, overview) = call(&courier, Method::GET, "", None).await;
    assert_eq!(overview["users"], json!([]));
    assert_eq!(overview["sockets"], expected);
    socket.hears_nothing().await;
}
