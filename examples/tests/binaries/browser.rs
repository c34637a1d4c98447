use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{AUTHORIZATION, COOKIE, SET_COOKIE},
};
use serde_json::Value;

/// As much of a browser as the examples need: it keeps the cookie, or the bearer token.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    url: String,
    cookie: Option<String>,
    bearer: Option<String>,
}

impl Browser {
    pub(crate) fn new(url: &str) -> Self {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build();
        Self {
            client: client.unwrap(),
            url: url.to_owned(),
            cookie: None,
            bearer: None,
        }
    }

    pub(crate) async fn sign_in(&mut self, user: &str) {
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("user", user)
            .finish();
        let response = self.post_form("/login", form).await;
        assert!(response.status().is_success(), "{response:?}");
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly"), "{cookie}");
            assert!(cookie.contains("SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().map(str::to_owned);
            return;
        }
        let body = json(response).await;
        assert_eq!(body["token_type"], "Bearer");
        assert!(body["expires_in"].as_u64().unwrap() > 0);
        self.bearer = body["access_token"].as_str().map(str::to_owned);
    }

    pub(crate) async fn sign_out(&mut self) {
        let response = self.send(Method::POST, "/logout").await;
        assert_eq!(response.status(), 204);
        if self.cookie.take().is_some() {
            let cookie = header(&response, "set-cookie");
            assert!(
                cookie.contains("=;") && cookie.contains("Max-Age=0"),
                "{cookie}"
            );
        }
    }

    pub(crate) async fn post_form(&self, path: &str, form: impl Into<String>) -> Response {
        self.request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into())
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str) -> Response {
        self.request(method, path).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path).await
    }

    /// The answer of `GET /courier/token`, which must be one with a token.
    pub(crate) async fn token(&self) -> Value {
        let response = self.get("/courier/token").await;
        assert_eq!(response.status(), 200);
        json(response).await
    }

    /// How often Courier was called.
    pub(crate) async fn calls(&self) -> u64 {
        let body = json(self.get("/demo/calls").await).await;
        body["calls"].as_u64().unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        request
    }
}

pub(crate) async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("{name} is missing: {response:?}"));
    value.to_str().unwrap()
}
