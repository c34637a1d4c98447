//! What the layer allocates, exactly, for requests that are not for it and for those that are.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
};

use allocation_counter::measure;
use axum::{
    body::Body,
    http::{Method, Request, Response},
};
use bytes::Bytes;
use courier_auth_core::emulator::{Emulator, EmulatorServer};
use courier_auth_tower::{CourierAuthLayer, TokenProvider, TokenRequest};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, service_fn};

async fn courier() -> (EmulatorServer, CourierAuthLayer) {
    let courier = Emulator::start().await.expect("an emulator");
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .expect("a provider");
    provider
        .token(&TokenRequest::for_user("user-1"))
        .await
        .expect("a token");
    let layer = CourierAuthLayer::new(provider, async |_: Method| "user-1");
    (courier, layer)
}

/// Somebody else's service, with the body that axum's have.
fn hello(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(Response::new(Body::from("hello"))))
}

/// One without axum.
fn hello_in_full(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::from("hello"))))
}

/// How many allocations a request makes on its way through a service, with its answer's body.
fn allocations<S, R>(service: &mut S, request: Request<Empty<Bytes>>) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = Bytes>,
{
    let mut body = Bytes::new();
    let count = measure(|| {
        let response = service.call(request).now_or_never();
        let response = response.expect("no waiting").expect("an answer");
        let frame = std::pin::pin!(response.into_body()).frame().now_or_never();
        let frame = frame.flatten().and_then(Result::ok);
        body = frame.expect("a body").into_data().expect("data");
    })
    .count_total;
    assert!(!body.is_empty());
    count
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn a_request_for_somebody_else_is_none() {
    let (_courier, layer) = courier().await;
    let mut bare = service_fn(hello);
    let layer = layer.without_extractor();
    let mut below = layer.layer(service_fn(hello));
    for path in ["/", "/courier", "/courier/other", "/orders/17?page=2"] {
        let its_own = allocations(&mut bare, request(path));
        assert_eq!(allocations(&mut below, request(path)), its_own, "{path}");
    }
    // A body that is not axum's becomes one.
    let mut bare = service_fn(hello_in_full);
    let mut below = layer.layer(service_fn(hello_in_full));
    assert_eq!(allocations(&mut bare, request("/")), 0);
    assert_eq!(allocations(&mut below, request("/")), 1);
}

#[tokio::test]
async fn with_the_extractor_it_is_an_entry_of_its_extensions() {
    #[derive(Clone)]
    struct Entry(#[expect(dead_code, reason = "it stands for the layer's own")] Arc<()>);

    let (_courier, layer) = courier().await;
    let its_own = allocations(&mut service_fn(hello), request("/"));
    let mut below = layer.layer(service_fn(hello));
    let entry = Entry(Arc::default());
    let mut empty = request("/");
    let entry = measure(|| {
        empty.extensions_mut().insert(entry);
    });
    let count = allocations(&mut below, request("/"));
    assert_eq!(count, its_own + entry.count_total);
    // In an app whose other layers have entries of their own it is one more of these.
    let mut shared = request("/");
    shared.extensions_mut().insert(7_u8);
    assert_eq!(allocations(&mut below, shared), its_own + 1);
}

/// The future and the app's hook in it, which are both boxed, the id that the hook returned, the
/// map of headers and two of their values, the body's text and what makes a `Body` of it.
#[tokio::test]
async fn a_token_is_few() {
    let (courier, layer) = courier().await;
    let mut below = layer.layer(service_fn(hello));
    // The first one makes the headers that all have.
    allocations(&mut below, request("/courier/token"));
    let count = allocations(&mut below, request("/courier/token"));
    assert!(count <= 10, "{count} allocations");
    assert_eq!(courier.token_requests(), 1);
}
