//! The parts that the tests build their apps from.

use std::{fmt::Debug, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode},
};
use bytes::Bytes;
use courier_auth_core::emulator::{Emulator, EmulatorServer};
use courier_auth_tower::{CourierAuthLayer, TokenProvider};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

/// What a response was.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether this is a token, and whose.
    pub(crate) fn user(&self) -> Option<String> {
        (self.status == StatusCode::OK).then(|| self.json()["user_id"].as_str().unwrap().to_owned())
    }
}

pub(crate) async fn courier() -> EmulatorServer {
    Emulator::start().await.unwrap()
}

pub(crate) fn provider(courier: &EmulatorServer) -> TokenProvider {
    TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap()
}

/// A layer that takes the header `x-test-user` for a session.
pub(crate) fn by_header(courier: &EmulatorServer) -> CourierAuthLayer {
    CourierAuthLayer::new(provider(courier), user_header)
}

pub(crate) async fn user_header(headers: HeaderMap) -> Option<String> {
    let user = headers.get(crate::endpoint::USER_HEADER)?;
    user.to_str().ok().map(str::to_owned)
}

/// Sends one request and reads the answer.
pub(crate) async fn send<S, R>(app: S, request: Request<Body>) -> Seen
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Debug,
    R: http_body::Body<Data = Bytes>,
    R::Error: Debug,
{
    let response = within(app.oneshot(request)).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = within(body.collect()).await.unwrap().to_bytes();
    Seen {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A GET by `user-1`.
pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path)
        .header(crate::endpoint::USER_HEADER, "user-1")
        .body(Body::empty())
        .unwrap()
}

/// A request by nobody.
pub(crate) fn anonymous(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

/// Serves the app on a free port until the test's runtime ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// No test hangs.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("an answer in time")
}

/// Waits until Courier has been called so often: the emulator has no signal for it.
pub(crate) async fn called(courier: &Emulator, times: usize) {
    within(async {
        while courier.token_requests() < times {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
