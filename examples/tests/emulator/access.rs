//! Who may do what.

use courier_auth_examples::emulator::{Courier, CourierServer, Draft, MissingScope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    socket_client::Socket,
    user::{User, backend, body, client, error, token},
};

/// Everything that needs a scope: its path, its query, and any scope that is enough.
const QUERIES: &[(&str, &str, &[&str])] = &[
    ("/q", "{ count }", &["inbox:read:messages"]),
    (
        "/q",
        "{ messages { nodes { messageId } } }",
        &["inbox:read:messages"],
    ),
    (
        "/client/q",
        r#"{ brand(brandId: "b") { links } }"#,
        &["read:brands", "read:brands:b"],
    ),
    (
        "/client/q",
        "{ recipientPreferences { nodes { status } } }",
        &["read:preferences"],
    ),
    (
        "/client/q",
        r#"{ recipientPreference(templateId: "comments") { status } }"#,
        &["read:preferences"],
    ),
    (
        "/client/q",
        "{ preferencePage { heading } }",
        &["read:preferences"],
    ),
    (
        "/client/q",
        r#"{ digestSchedulesForTopic(templateId: "comments") { scheduleId } }"#,
        &["read:preferences"],
    ),
];
const MUTATIONS: &[(&str, &str, &[&str])] = &[
    (
        "/q",
        r#"mutation { read(messageId: "m") }"#,
        &["inbox:write:events"],
    ),
    ("/q", "mutation { markAllRead }", &["inbox:write:events"]),
    (
        "/client/q",
        r#"mutation { updatePreferenceV2(templateId: "comments",
           preferences: { status: OPTED_OUT, hasCustomRouting: false, routingPreferences: [] })
           { status } }"#,
        &["write:preferences"],
    ),
];
/// Everything there is, so that what is missing in a test is just one.
const SCOPES: &[&str] = &[
    "inbox:read:messages",
    "inbox:write:events",
    "read:preferences",
    "write:preferences",
    "read:brands",
    "read:brands:b",
    "read:user-tokens",
    "write:user-tokens",
];

fn all_but(missing: &[&str]) -> String {
    let scopes = SCOPES.iter().filter(|scope| !missing.contains(scope));
    scopes.fold("user_id:alice".to_owned(), |all, scope| all + " " + scope)
}

#[tokio::test]
async fn each_call_needs_its_scope_and_no_other() {
    let courier = Courier::start().await.unwrap();
    courier.configure(|settings| settings.missing_scope = MissingScope::Forbidden);
    for (path, query, scopes) in QUERIES.iter().chain(MUTATIONS) {
        for scope in *scopes {
            let scope = format!("user_id:alice {scope}");
            let alice = User::with_scope(&courier, "alice", &scope).await;
            let body = body(alice.post(path, json!({ "query": query })).await).await;
            assert!(
                body["errors"].is_null() && body["data"].is_object(),
                "{query}: {body}"
            );
        }
        let alice = User::with_scope(&courier, "alice", &all_but(scopes)).await;
        let response = alice.post(path, json!({ "query": query })).await;
        let refused = (403, "authorization_error".to_owned());
        assert_eq!(error(response).await, refused, "{query}");
    }
}

#[tokio::test]
async fn a_scope_for_one_brand_is_for_no_other() {
    let courier = Courier::start().await.unwrap();
    let alice = User::with_scope(&courier, "alice", "user_id:alice read:brands:b").await;
    let brand =
        alice.client(r#"{ b: brand(brandId: "b") { links } c: brand(brandId: "c") { links } }"#);
    assert_eq!(brand.await, json!({ "b": { "links": {} }, "c": null }));
}

#[tokio::test]
async fn reads_without_their_scope_are_answered_as_chosen() {
    let courier = Courier::start().await.unwrap();
    courier.send("alice", Draft::new("a", ""));
    let scope = "user_id:alice inbox:write:events";
    let alice = User::with_scope(&courier, "alice", scope).await;
    let query = json!({ "query": "{ count messages { totalCount nodes { messageId }
        pageInfo { startCursor hasNextPage } } }" });

    // As it is by default.
    let answer = body(alice.post("/q", query.clone()).await).await;
    let page = json!({ "startCursor": null, "hasNextPage": false });
    let messages = json!({ "totalCount": 0, "nodes": [], "pageInfo": page });
    assert_eq!(
        answer,
        json!({ "data": { "count": 0, "messages": messages } })
    );

    courier.configure(|settings| settings.missing_scope = MissingScope::Errors);
    let response = alice.post("/q", query.clone()).await;
    assert_eq!(response.status(), 200);
    let answer = body(response).await;
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(answer["errors"][0]["message"], "Forbidden");

    courier.configure(|settings| settings.missing_scope = MissingScope::Forbidden);
    assert_eq!(alice.post("/q", query).await.status(), 403);
}

#[tokio::test]
async fn writes_without_their_scope_are_refused_and_do_nothing() {
    let courier = Courier::start().await.unwrap();
    let id = courier.send("alice", Draft::new("a", ""));
    let scope = "user_id:alice inbox:read:messages";
    let alice = User::with_scope(&courier, "alice", scope).await;
    let query = json!({ "query": format!("mutation {{ read(messageId: \"{id}\") }}") });
    assert_eq!(alice.post("/q", query.clone()).await.status(), 403);
    courier.configure(|settings| settings.missing_scope = MissingScope::Errors);
    let answer = body(alice.post("/q", query).await).await;
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(courier.messages("alice")[0].read, None);
}

#[tokio::test]
async fn a_token_is_for_its_users_only() {
    let courier = Courier::start().await.unwrap();
    let id = courier.send("alice", Draft::new("hers", ""));
    let mut mallory = User::sign_in(&courier, "mallory").await;
    mallory.id = "alice".to_owned();
    assert_eq!(mallory.titles("{  }").await.len(), 0);
    let query = json!({ "query": format!("mutation {{ archive(messageId: \"{id}\") }}") });
    assert_eq!(mallory.post("/q", query).await.status(), 403);
    assert_eq!(courier.messages("alice")[0].archived, None);

    let scope = "user_id:bob user_id:alice inbox:read:messages";
    let both = User::with_scope(&courier, "alice", scope).await;
    assert_eq!(both.titles("{  }").await, ["hers"]);
}

#[tokio::test]
async fn without_the_header_it_is_the_tokens_only_user() {
    let courier = Courier::start().await.unwrap();
    courier.send("alice", Draft::new("hers", ""));
    let table = [
        ("user_id:alice inbox:read:messages", 1),
        ("user_id:bob user_id:alice inbox:read:messages", 0),
        ("inbox:read:messages", 0),
    ];
    for (scope, expected) in table {
        let token = token(&courier, scope, "1h").await;
        let request = client()
            .post(format!("{}/q", courier.url()))
            .bearer_auth(token);
        let response = request
            .body(r#"{"query":"{ count }"}"#)
            .send()
            .await
            .unwrap();
        let answer = body(response).await;
        assert_eq!(answer["data"]["count"], expected, "{scope}");
    }
}

#[tokio::test]
async fn what_is_no_good_token_is_a_401_everywhere() {
    let courier = Courier::start().await.unwrap();
    let other = Courier::start().await.unwrap();
    let scope = "user_id:alice inbox:read:messages";
    let bad = [
        String::new(),
        "nonsense".to_owned(),
        token(&courier, scope, "-1h").await,
        token(&other, scope, "1h").await,
    ];
    for token in bad {
        let mut alice = User::sign_in(&courier, "alice").await;
        alice.token = token;
        for path in ["/q", "/client/q", "/send"] {
            let response = alice.post(path, json!({ "query": "{ count }" })).await;
            let expected = (401, "authentication_error".to_owned());
            assert_eq!(error(response).await, expected, "{path}");
        }
        for path in [
            "/users/alice/preferences",
            "/users/alice/tokens",
            "/messages",
        ] {
            let response = alice.request(Method::GET, path).send().await.unwrap();
            assert_eq!(response.status(), 401, "{path}");
        }
        let parameters = format!("auth={}&iwpv=v1&userId=alice", alice.token);
        assert_eq!(
            Socket::connect(&courier, &parameters).await.err(),
            Some(401)
        );
    }
    assert_eq!(Socket::connect(&courier, "iwpv=v1").await.err(), Some(401));
}

#[tokio::test]
async fn an_api_key_is_no_key_for_clients_and_a_token_none_for_backends() {
    let courier = Courier::start().await.unwrap();
    let request = backend(&courier, Method::POST, "/q").body(r#"{"query":"{ count }"}"#);
    assert_eq!(request.send().await.unwrap().status(), 401);
    let alice = User::sign_in(&courier, "alice").await;
    let message = json!({ "message": { "to": { "user_id": "bob" } } });
    assert_eq!(alice.post("/send", message).await.status(), 403);
    assert_eq!(courier.messages("bob").len(), 0);
}

#[tokio::test]
async fn rest_asks_for_the_user_and_the_scope_or_the_api_key() {
    let courier = Courier::start().await.unwrap();
    let table = [
        (Method::PUT, "/users/alice/tokens/abc", "write:user-tokens"),
        (Method::GET, "/users/alice/tokens/abc", "read:user-tokens"),
        (Method::GET, "/users/alice/tokens", "read:user-tokens"),
        (
            Method::PATCH,
            "/users/alice/tokens/abc",
            "write:user-tokens",
        ),
        (
            Method::DELETE,
            "/users/alice/tokens/abc",
            "write:user-tokens",
        ),
        (Method::GET, "/users/alice/preferences", "read:preferences"),
        (
            Method::GET,
            "/users/alice/preferences/comments",
            "read:preferences",
        ),
        (
            Method::PUT,
            "/users/alice/preferences/comments",
            "write:preferences",
        ),
    ];
    let put = json!({ "provider_key": "apn", "topic": { "status": "OPTED_IN" } }).to_string();
    let status = async |user: &User, method: &Method, path: &str| {
        let request = user.request(method.clone(), path).body(put.clone());
        request.send().await.unwrap().status().as_u16()
    };
    for (method, path, scope) in table {
        let right = format!("user_id:alice {scope}");
        let right = User::with_scope(&courier, "alice", &right).await;
        let wrong_scope = User::with_scope(&courier, "alice", &all_but(&[scope])).await;
        let wrong_user = User::sign_in(&courier, "mallory").await;
        assert_eq!(
            status(&wrong_scope, &method, path).await,
            403,
            "{method} {path}"
        );
        assert_eq!(
            status(&wrong_user, &method, path).await,
            403,
            "{method} {path}"
        );
        let answer = status(&right, &method, path).await;
        assert!((200..300).contains(&answer), "{method} {path}: {answer}");
    }
    for path in [
        "/users/alice/preferences",
        "/users/alice/tokens",
        "/messages",
    ] {
        let response = backend(&courier, Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}

async fn opens(courier: &CourierServer, scope: &str) -> Result<Socket, u16> {
    let token = token(courier, scope, "1h").await;
    let parameters = format!("auth={token}&cid=c&iwpv=v1&userId=alice");
    Socket::connect(courier, &parameters).await
}

#[tokio::test]
async fn a_socket_without_its_scope_hears_nothing_or_is_refused() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    for scope in [
        "user_id:alice inbox:write:events",
        "user_id:bob inbox:read:messages",
    ] {
        courier.configure(|settings| settings.missing_scope = MissingScope::Empty);
        let mut socket = opens(&courier, scope)
            .await
            .unwrap_or_else(|status| panic!("{status}"));
        socket.ask_for_all(&alice, None).await;
        courier.send("alice", Draft::new("a", ""));
        socket.hears_nothing().await;
        courier.configure(|settings| settings.missing_scope = MissingScope::Forbidden);
        assert_eq!(opens(&courier, scope).await.err(), Some(403));
    }
}
