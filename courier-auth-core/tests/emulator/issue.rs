//! What it issues, and what it refuses as Courier does.

use courier_auth_core::emulator::{Emulator, VerifyError};
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{SCOPE, ask, claims, client, part, problem, respond, start, token, usual};

#[tokio::test]
async fn a_token_has_couriers_claims_in_couriers_order() {
    let courier = start().await;
    let token = token(&courier, &usual()).await;
    let claims = courier.verify(&token).unwrap();

    assert_eq!(part(&token, 0), r#"{"alg":"HS256","typ":"JWT"}"#);
    let (iat, exp, jti) = (claims.iat, claims.iat + 3600, &claims.jti);
    let tenant_id = &claims.tenant_id;
    let expected = format!(
        r#"{{"scope":"{SCOPE}","tenant_scope":"published/production","tenant_id":"{tenant_id}","iat":{iat},"exp":{exp},"jti":"{jti}"}}"#
    );
    assert_eq!(part(&token, 1), expected);
    assert_eq!(jti.len(), 36);
    assert_eq!(&jti[14..15], "4", "a random UUID");
    assert_eq!(claims.user_ids().collect::<Vec<_>>(), ["user-1"]);
}

#[tokio::test]
async fn every_token_is_another() {
    let courier = start().await;
    let first = claims(&courier, &usual()).await;
    let second = claims(&courier, &usual()).await;
    assert_ne!(first.jti, second.jti);
    assert_eq!(first.tenant_id, second.tenant_id);
}

#[tokio::test]
async fn the_scope_is_taken_verbatim() {
    let courier = start().await;
    for scope in ["user_id:a  user_id:b\tx", "nonsense", ""] {
        let body = json!({ "scope": scope, "expires_in": "1h" });
        assert_eq!(claims(&courier, &body).await.scope, scope);
    }
}

#[tokio::test]
async fn lifetimes_that_courier_reads() {
    let courier = start().await;
    for (expires_in, seconds) in [
        (json!("2.5 hrs"), 9000),
        (json!("1 D"), 86_400),
        (json!(3600), 3600),
        (json!(3600.0), 3600),
        // A bare number in a string is milliseconds.
        (json!("3600"), 3),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let claims = claims(&courier, &body).await;
        assert_eq!(claims.exp, Some(claims.iat + seconds), "{body}");
    }
    for expires_in in [
        json!(0),
        json!(-5),
        json!("-1h"),
        json!("100ms"),
        json!("0"),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let token = token(&courier, &body).await;
        assert_eq!(courier.verify(&token), Err(VerifyError::Expired), "{body}");
    }
}

#[tokio::test]
async fn bodies_that_courier_refuses() {
    let courier = start().await;
    for expires_in in [
        json!("1 month"),
        json!(""),
        json!(" 1d"),
        json!(1.5),
        json!(null),
        json!(true),
        json!([3600]),
    ] {
        let body = json!({ "scope": SCOPE, "expires_in": expires_in });
        let problem = problem(ask(&courier, &body).await).await;
        assert_eq!(problem, (400, "invalid_request_error".to_owned()), "{body}");
    }
    for body in [
        json!({ "expires_in": "1h" }),
        json!({ "scope": 1 }),
        json!([]),
        json!(null),
    ] {
        let problem = problem(ask(&courier, &body).await).await;
        assert_eq!(problem, (400, "invalid_request_error".to_owned()), "{body}");
    }
    assert_eq!(respond(&courier, b"{").status, 400);
    assert_eq!(respond(&courier, b"\xff").status, 400);
}

#[tokio::test]
async fn a_token_without_a_lifetime_never_expires() {
    let courier = start().await;
    let body = json!({ "scope": SCOPE });
    let token = token(&courier, &body).await;
    assert!(!part(&token, 1).contains("exp"));
    assert_eq!(courier.verify(&token).unwrap().exp, None);
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let courier = start().await;
    let body = json!({ "scope": "x".repeat(70_000), "expires_in": "1h" });
    let problem = problem(ask(&courier, &body).await).await;
    assert_eq!(problem, (413, "invalid_request_error".to_owned()));
}

#[tokio::test]
async fn the_key_is_checked() {
    let courier = Emulator::with_api_key("pk_mine").serve(0).await.unwrap();
    assert_eq!(courier.api_key(), "pk_mine");
    for (method, path) in [
        (Method::POST, "/auth/issue-token"),
        (Method::PUT, "/requests/1-5e2b2615-05ef/archive"),
    ] {
        let url = format!("{}{path}", courier.url());
        let request = || client().request(method.clone(), &url).json(&usual());
        for refused in [
            request(),
            request().bearer_auth("pk_wrong"),
            request().bearer_auth(""),
            request().basic_auth("pk_mine", None::<&str>),
            request().header("authorization", "pk_mine"),
        ] {
            let problem = problem(refused.send().await.unwrap()).await;
            assert_eq!(problem, (401, "authentication_error".to_owned()), "{path}");
        }
        let accepted = request().bearer_auth("pk_mine").send().await.unwrap();
        assert!(accepted.status().is_success());
    }
}

#[tokio::test]
async fn archive_answers_204() {
    let courier = start().await;
    let url = format!("{}/requests/1-5e2b2615-05ef/archive", courier.url());
    let request = client().put(url).bearer_auth(courier.api_key());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.headers().contains_key("date"));
    assert_eq!(response.bytes().await.unwrap().len(), 0);
    assert_eq!(courier.token_requests(), 0);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let courier = start().await;
    for (method, path, status, allow) in [
        ("GET", "/auth/issue-token", 405, Some("POST")),
        ("POST", "/requests/1/archive", 405, Some("PUT")),
        ("POST", "/auth/issue-token/", 404, None),
        ("PUT", "/requests//archive", 404, None),
        ("PUT", "/requests/1/2/archive", 404, None),
        ("GET", "/", 404, None),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = client().request(method, format!("{}{path}", courier.url()));
        let response = request.send().await.unwrap();
        let allowed = response.headers().get("allow").cloned();
        assert_eq!(allowed.as_ref().map(|value| value.to_str().unwrap()), allow);
        assert!(response.headers().contains_key("date"));
        let problem = problem(response).await;
        assert_eq!(
            problem,
            (status, "invalid_request_error".to_owned()),
            "{path}"
        );
    }
    assert_eq!(courier.token_requests(), 0);
}

proptest! {
    #[test]
    fn no_request_makes_it_panic(
        method in "GET|POST|PUT|\\PC{0,5}",
        path in "/auth/issue-token|/requests/.{0,9}/archive|\\PC{0,20}",
        header in "Bearer .{0,9}|\\PC{0,20}",
        body in prop_oneof![
            any::<Vec<u8>>(),
            (any::<String>(), any::<f64>(), any::<String>()).prop_map(|(scope, number, text)| {
                json!({ "scope": scope, "expires_in": number, text: "1d" }).to_string().into_bytes()
            }),
        ],
    ) {
        let emulator = Emulator::new();
        let answer = emulator.respond(&method, &path, &[("authorization", &header)], &body);
        prop_assert!((200..500).contains(&answer.status));
        prop_assert!(answer.headers.iter().any(|(name, _)| name == "date"));
        let answer = respond(&emulator, &body);
        prop_assert!(matches!(answer.status, 200 | 400 | 413));
    }
}
