//! What browsers ask for before they let a script call another origin.

use courier_auth_examples::emulator::{Courier, InboxFault, Surface};
use reqwest::{Method, Response, header::HeaderMap};

use crate::user::{User, client};

#[tokio::test]
async fn each_header_of_the_sdks_is_allowed_by_name() {
    let courier = Courier::start().await.unwrap();
    let asked = "authorization,content-type,x-courier-ua,x-courier-user-id,\
                 x-courier-client-source-id,x-courier-client-key";
    let paths = [
        "/q",
        "/client/q",
        "/users/alice/tokens/abc",
        "/inbound/courier",
        "/nothing",
    ];
    // Faults are not for preflights.
    for surface in [Surface::Inbox, Surface::Client, Surface::Rest] {
        courier.fail(surface, InboxFault::Status(500));
    }
    for path in paths {
        let request = client()
            .request(Method::OPTIONS, format!("{}{path}", courier.url()))
            .header("origin", "http://localhost:5173")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", asked);
        let response = request.send().await.unwrap();
        assert!(matches!(response.status().as_u16(), 200 | 204), "{path}");
        assert_eq!(value(&response, "access-control-allow-origin"), "*");
        assert!(
            value(&response, "access-control-max-age")
                .parse::<u32>()
                .unwrap()
                > 0
        );
        let names = value(&response, "access-control-allow-headers").to_ascii_lowercase();
        let names: Vec<_> = names.split(',').map(str::trim).collect();
        for name in asked.split(',') {
            assert!(names.contains(&name), "{name}");
        }
        let methods = value(&response, "access-control-allow-methods");
        let methods: Vec<_> = methods.split(',').map(str::trim).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert!(methods.contains(&method), "{method}");
        }
    }
}

#[tokio::test]
async fn scripts_may_read_errors_too() {
    let courier = Courier::start().await.unwrap();
    let mut alice = User::sign_in(&courier, "alice").await;
    let call = async |alice: &User, path: &str, status: u16| {
        let request = alice.request(Method::POST, path);
        let request = request.header("origin", "http://localhost:5173");
        let response = request
            .body(r#"{"query":"{ count }"}"#)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            value(&response, "access-control-allow-origin"),
            "*",
            "{path}"
        );
    };
    call(&alice, "/q", 200).await;
    call(&alice, "/nothing", 404).await;
    call(&alice, "/messages", 405).await;
    call(&alice, "/auth/issue-token", 401).await;
    courier.fail(Surface::Inbox, InboxFault::Status(500));
    call(&alice, "/q", 500).await;
    courier.recover();
    alice.token = "nonsense".to_owned();
    call(&alice, "/q", 401).await;
}

fn value<'a>(response: &'a Response, name: &str) -> &'a str {
    let headers: &HeaderMap = response.headers();
    let value = headers
        .get(name)
        .unwrap_or_else(|| panic!("{name}: {headers:?}"));
    value.to_str().unwrap()
}
