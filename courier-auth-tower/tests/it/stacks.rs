//! Stacks of services that are not axum routers, and what the layer leaves untouched in them.

use std::{
    convert::Infallible,
    error::Error,
    fmt::{self, Debug},
    io::Read,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode},
};
use bytes::Bytes;
use courier_auth_tower::{CourierAuthLayer, CourierAuthService, ResponseFuture};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{compression::CompressionLayer, cors::CorsLayer};

use crate::app::{by_header, courier, get, send};

const TOKEN: &str = "/courier/token";

async fn hello(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello ".repeat(50))))
}

fn gzip(path: &str) -> Request<Body> {
    let mut request = get(path);
    let accepted = HeaderValue::from_static("gzip");
    request.headers_mut().insert("accept-encoding", accepted);
    request
}

#[test]
fn the_layer_is_what_stacks_ask_for() {
    fn is_layer<L: Layer<Router> + Clone + Send + Sync + Debug + 'static>() {}
    fn is_service<S>()
    where
        S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + Debug + 'static,
        S::Future: Send,
    {
    }
    fn is_send<T: Send + Debug>() {}
    is_layer::<CourierAuthLayer>();
    is_service::<CourierAuthService<Router>>();
    is_send::<ResponseFuture<std::future::Ready<()>>>();
}

#[tokio::test]
async fn compression_may_be_outside_or_inside() {
    let courier = courier().await;
    let layer = by_header(&courier);
    let outside = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(layer.clone())
        .service_fn(hello);
    let response = outside.clone().oneshot(gzip(TOKEN)).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(!response.headers().contains_key("content-length"));
    let packed = response.into_body().collect().await.unwrap().to_bytes();
    let _: Vec<u8> = packed.bytes().collect::<Result<_, _>>().unwrap();
    assert_eq!(&packed[..2], b"\x1f\x8b");
    let mut head = gzip(TOKEN);
    *head.method_mut() = axum::http::Method::HEAD;
    assert_eq!(send(outside, head).await.status, StatusCode::OK);

    let inside = ServiceBuilder::new()
        .layer(layer)
        .layer(CompressionLayer::new())
        .service_fn(hello);
    let token = send(inside.clone(), gzip(TOKEN)).await;
    assert_eq!(token.header("content-encoding"), "");
    assert_eq!(token.user().unwrap(), "user-1");
    let other = inside.oneshot(gzip("/")).await.unwrap();
    assert_eq!(other.headers()["content-encoding"], "gzip");
}

/// A body like tonic's: trailers, an error type of its own, no `Default`, no `From`, not `Unpin`.
struct Grpc {
    frames: Vec<Frame<Bytes>>,
    _pinned: std::marker::PhantomPinned,
}

#[derive(Debug)]
struct GrpcStatus;

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("grpc-status 13")
    }
}

impl Error for GrpcStatus {}

impl http_body::Body for Grpc {
    type Data = Bytes;
    type Error = GrpcStatus;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GrpcStatus>>> {
        Poll::Ready(Some(Err(GrpcStatus)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frames.len() as u64)
    }
}

#[derive(Debug, PartialEq)]
struct OwnError;

async fn grpc(request: Request<Empty<Bytes>>) -> Result<Response<Grpc>, OwnError> {
    if request.uri().path() == "/error" {
        return Err(OwnError);
    }
    Ok(Response::new(Grpc {
        frames: vec![Frame::data(Bytes::new()), Frame::data(Bytes::new())],
        _pinned: std::marker::PhantomPinned,
    }))
}

#[tokio::test]
async fn bodies_and_errors_of_the_inner_service_pass_untouched() {
    let courier = courier().await;
    let service = by_header(&courier).layer(service_fn(grpc));
    let ask = |path: &str| {
        let request = Request::get(path).body(Empty::new()).unwrap();
        service.clone().oneshot(request)
    };
    assert_eq!(ask("/error").await.unwrap_err(), OwnError);

    let body = ask("/pkg.Service/Method").await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(2));
    assert!(!body.is_end_stream());
    let error = body.collect().await.unwrap_err();
    assert!(error.into_inner().is::<GrpcStatus>());

    assert_eq!(ask(TOKEN).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// As axum's docs advise for several layers. Some of tower-http's take no body but one that has a
/// `Default`.
#[tokio::test]
async fn layers_that_need_an_empty_body_may_be_outside() {
    let courier = courier().await;
    let layers = ServiceBuilder::new()
        .layer(CorsLayer::new().allow_origin(HeaderValue::from_static("https://app.example")))
        .layer(by_header(&courier));
    let app = Router::new().route("/", axum::routing::get(async || "hello"));
    let app = app.layer(layers);
    let mut request = get(TOKEN);
    let user = HeaderValue::from_static("user-1");
    request.headers_mut().insert("x-test-user", user);
    let token = send(app.clone(), request).await;
    assert_eq!(token.status, StatusCode::OK);
    assert_eq!(
        token.header("access-control-allow-origin"),
        "https://app.example"
    );
    assert_eq!(send(app, get("/")).await.body, "hello");
}

/// An app that runs without Courier too, say on a developer's machine.
#[tokio::test]
async fn the_layer_may_be_optional() {
    let courier = courier().await;
    for (layer, status) in [
        (Some(by_header(&courier)), StatusCode::OK),
        (None, StatusCode::NOT_FOUND),
    ] {
        let app = Router::new().route("/", axum::routing::get(async || "hello"));
        let app = app.layer(ServiceBuilder::new().option_layer(layer));
        assert_eq!(send(app.clone(), get(TOKEN)).await.status, status);
        assert_eq!(send(app, get("/")).await.body, "hello");
    }
}

#[tokio::test]
async fn trailers_pass_untouched() {
    let courier = courier().await;
    let service = by_header(&courier).layer(service_fn(async |_: Request<Body>| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(Bytes::from("data"));
        let body = body.with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(get("/")).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "data");
}

/// Insists on being called only after it was ready, as the contract of `Service` has it.
#[derive(Debug, Default)]
struct Picky {
    ready: bool,
    calls: usize,
}

impl Service<Request<Body>> for Picky {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        self.calls += 1;
        std::future::ready(Ok(Response::new(Full::from(self.calls.to_string()))))
    }
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    let courier = courier().await;
    // `Picky` cannot be cloned.
    let mut service = by_header(&courier).layer(Picky::default());
    for calls in ["1", "2"] {
        assert_eq!(send(&mut service, get("/")).await.body, calls);
        assert!(send(&mut service, get(TOKEN)).await.user().is_some());
    }
}

#[tokio::test]
async fn an_inner_service_that_fails_to_be_ready_says_so() {
    struct Broken;
    impl Service<Request<Body>> for Broken {
        type Response = Response<Body>;
        type Error = OwnError;
        type Future = std::future::Pending<Result<Self::Response, OwnError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OwnError>> {
            Poll::Ready(Err(OwnError))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }
    let courier = courier().await;
    let mut service = by_header(&courier).layer(Broken);
    let ready = std::future::poll_fn(|cx| {
        let ready = ready!(service.poll_ready(cx));
        Poll::Ready(ready)
    });
    assert_eq!(ready.await.unwrap_err(), OwnError);
}
