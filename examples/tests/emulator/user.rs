use std::time::Duration;

use courier_auth_examples::emulator::CourierServer;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// A user's browser: the calls that courier-js makes, in its words.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) id: String,
    pub(crate) token: String,
}

impl User {
    /// Signs in with everything that the SDKs may need.
    pub(crate) async fn sign_in(courier: &CourierServer, id: &str) -> Self {
        Self::with_scope(courier, id, &format!("user_id:{id} {FULL}")).await
    }

    pub(crate) async fn with_scope(courier: &CourierServer, id: &str, scope: &str) -> Self {
        let token = token(courier, scope, "1h").await;
        Self {
            http: client(),
            url: courier.url().to_owned(),
            id: id.to_owned(),
            token,
        }
    }

    /// The answer to a query of the inbox, which must be a good one.
    pub(crate) async fn inbox(&self, query: &str) -> Value {
        data(self.post("/q", json!({ "query": query })).await).await
    }

    /// The same of preferences and brands.
    pub(crate) async fn client(&self, query: &str) -> Value {
        data(self.post("/client/q", json!({ "query": query })).await).await
    }

    /// Does something to a message.
    pub(crate) async fn track(&self, what: &str) -> Value {
        self.inbox(&format!("mutation TrackEvent {{ {what} }}"))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        let request = self.request(Method::POST, path).body(body.to_string());
        request.send().await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .header("x-courier-user-id", &self.id)
    }

    /// The titles that a filter lets through, the newest first.
    pub(crate) async fn titles(&self, filter: &str) -> Vec<String> {
        let query = format!("{{ messages(params: {filter}) {{ nodes {{ title }} }} }}");
        let data = self.inbox(&query).await;
        let nodes = data["messages"]["nodes"].as_array().unwrap();
        let titles = nodes.iter().map(|node| node["title"].as_str().unwrap());
        titles.map(str::to_owned).collect()
    }
}

/// As a backend gets one.
pub(crate) async fn token(courier: &CourierServer, scope: &str, expires_in: &str) -> String {
    let response = backend(courier, Method::POST, "/auth/issue-token")
        .body(json!({ "scope": scope, "expires_in": expires_in }).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body = body(response).await;
    body["token"].as_str().unwrap().to_owned()
}

/// A call with the API key.
pub(crate) fn backend(courier: &CourierServer, method: Method, path: &str) -> RequestBuilder {
    client()
        .request(method, format!("{}{path}", courier.url()))
        .bearer_auth(courier.tokens().api_key())
        .header("content-type", "application/json")
}

pub(crate) fn client() -> Client {
    let client = Client::builder().no_proxy().timeout(LIMIT).build();
    client.unwrap()
}

pub(crate) async fn body(response: Response) -> Value {
    response.json().await.unwrap()
}

async fn data(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    let mut body = body(response).await;
    assert_eq!(body.get("errors"), None, "{body}");
    body["data"].take()
}

/// Status, `message` and `type` of an error.
pub(crate) async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    assert!(body["message"].is_string(), "{body}");
    (status, body["type"].as_str().unwrap().to_owned())
}

/// Waits until something is so that nothing tells of.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap();
}

/// What the SDKs' documentation recommends for all of their features.
const FULL: &str = "inbox:read:messages inbox:write:events read:preferences write:preferences \
                    read:brands read:user-tokens write:user-tokens";
/// Only to end a test that would hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
