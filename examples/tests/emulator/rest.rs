//! Push tokens, preferences over REST, tracking, and the core's calls behind the router.

use std::time::Duration;

use courier_auth_core::emulator::Fault;
use courier_auth_examples::emulator::Courier;
use reqwest::Method;
use serde_json::{Value, json};

use crate::user::{User, backend, body, client, error};

#[tokio::test]
async fn push_tokens_come_and_go() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let device = json!({ "provider_key": "apn", "device": { "platform": "ios" } });
    // Not encoded: Firebase's tokens have a colon, and nothing keeps a slash out.
    let path = "/users/alice/tokens/abc:def/ghi";
    let put = alice.request(Method::PUT, path).body(device.to_string());
    assert_eq!(put.send().await.unwrap().status(), 204);
    let get = async |path: &str| {
        let response = alice.request(Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    };
    let mut expected = device;
    expected["token"] = "abc:def/ghi".into();
    assert_eq!(get(path).await, (200, expected.clone()));
    assert_eq!(
        get("/users/alice/tokens").await.1,
        json!({ "tokens": [expected] })
    );
    for _ in 0..2 {
        let delete = alice.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(delete.status(), 204);
    }
    assert_eq!(get(path).await.0, 404);
    let patch = alice.request(Method::PATCH, path).send().await.unwrap();
    assert_eq!(patch.status(), 404);
}

#[tokio::test]
async fn preferences_over_rest_are_those_of_graphql() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let path = "/users/alice/preferences/newsletter";
    let topic = json!({
        "status": "OPTED_IN", "has_custom_routing": true, "custom_routing": ["push"],
    });
    let put = backend(&courier, Method::PUT, path).body(json!({ "topic": topic }).to_string());
    assert_eq!(put.send().await.unwrap().status(), 200);
    let expected = json!({
        "topic_id": "newsletter", "topic_name": "Newsletter",
        "section_id": "activity", "section_name": "Activity",
        "default_status": "OPTED_OUT", "status": "OPTED_IN",
        "has_custom_routing": true, "custom_routing": ["push"],
    });
    let response = alice.request(Method::GET, path).send().await.unwrap();
    assert_eq!(body(response).await, json!({ "topic": expected }));
    let query =
        r#"{ recipientPreference(templateId: "newsletter") { status routingPreferences } }"#;
    let data = alice.client(query).await;
    let seen = json!({ "status": "OPTED_IN", "routingPreferences": ["push"] });
    assert_eq!(data["recipientPreference"], seen);

    let path = "/users/alice/preferences?tenant_id=t";
    let response = alice.request(Method::GET, path).send().await.unwrap();
    let all = body(response).await;
    assert_eq!(all["paging"], json!({ "cursor": null, "more": false }));
    assert_eq!(all["items"][2]["status"], "OPTED_OUT");
    let unknown = alice.request(Method::GET, "/users/alice/preferences/nothing");
    assert_eq!(unknown.send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_browser_tracks_with_a_client_key() {
    let courier = Courier::start().await.unwrap();
    let event = json!({ "event": "Bought", "messageId": "m", "type": "track", "userId": "alice" });
    let url = format!("{}/inbound/courier", courier.url());
    let request = client().post(&url).header("x-courier-client-key", "k");
    let response = request.body(event.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(body(response).await, json!({ "messageId": "m" }));
    let request = client().post(&url).body(event.to_string());
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_there_is_not_is_an_error_of_couriers() {
    let courier = Courier::start().await.unwrap();
    let get = async |path: &str| {
        let response = backend(&courier, Method::GET, path).send().await.unwrap();
        error(response).await.0
    };
    assert_eq!(get("/nothing").await, 404);
    assert_eq!(get("/q").await, 405);
    assert_eq!(get("/auth/issue-token").await, 405);
}

/// The core's faults behind the router: what a client gets, if anything.
async fn issue(
    courier: &courier_auth_examples::emulator::CourierServer,
) -> Option<(u16, Option<Value>)> {
    let body = json!({ "scope": "user_id:alice", "expires_in": "1h" }).to_string();
    let request = backend(courier, Method::POST, "/auth/issue-token").body(body);
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.json().await.ok()))
}

#[tokio::test]
async fn the_cores_faults_are_carried_out() {
    let courier = Courier::start().await.unwrap();
    let whole = [
        Fault::Latency(Duration::from_millis(1)),
        Fault::SlowBody(Duration::from_millis(8)),
    ];
    for fault in whole {
        courier.tokens().fail_next(1, fault.clone());
        let (status, body) = issue(&courier).await.unwrap();
        assert!(status == 200 && body.is_some(), "{fault:?}");
    }
    courier
        .tokens()
        .fail_next(1, Fault::status_with(503, &[("retry-after", "1")]));
    assert_eq!(issue(&courier).await.unwrap().0, 503);
    courier.tokens().fail_next(1, Fault::TruncatedBody);
    assert_eq!(issue(&courier).await, Some((200, None)));
    for fault in [Fault::Reset, Fault::TruncatedHead] {
        courier.tokens().fail_next(1, fault);
        assert_eq!(issue(&courier).await, None);
    }
    // A hang lasts as long as the client has patience.
    courier.tokens().fail_next(1, Fault::Hang);
    let patience = tokio::time::timeout(Duration::from_millis(100), issue(&courier)).await;
    assert!(patience.is_err());
    assert_eq!(courier.tokens().token_requests(), 7);
}
