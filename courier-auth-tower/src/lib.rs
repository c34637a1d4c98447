//! Courier Inbox tokens for the signed-in users of an [axum] or [tower] app, as one layer or a set of
//! routes.
//!
//! Courier's Inbox, Toast and Preferences run in the browser and need a JWT for the signed-in user.
//! This crate gives an [axum] app, or any other [tower] service, the route that hands it out, and
//! handlers the token itself. Tokens are issued once, cached, refreshed before they expire, and served
//! on while Courier is down.
//!
//! # Example
//!
//! ```no_run
//! use axum::{
//!     Router,
//!     http::{StatusCode, header::CACHE_CONTROL},
//!     response::{Html, IntoResponse},
//!     routing::get,
//! };
//! use courier_auth_tower::{CourierAuthLayer, CourierToken, TokenProvider};
//! use tower_sessions::{MemoryStore, Session, SessionManagerLayer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let provider = TokenProvider::from_env()?; // COURIER_API_KEY
//!     let courier = CourierAuthLayer::new(provider, signed_in);
//!     let session = SessionManagerLayer::new(MemoryStore::default());
//!
//!     let app = Router::new()
//!         .route("/", get(page))
//!         .fallback(not_found)
//!         // After the routes and the fallback: a fallback, `merge` or `nest` further down takes
//!         // the token's path away, and it is a 404 without a word. Inside the session layer: on a
//!         // `Router` the last layer is the outermost. `ServiceBuilder` has it the other way
//!         // round, `.layer(session).layer(courier)`.
//!         .layer(courier)
//!         .layer(session);
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//!
//! /// Who is signed in. A session store that is down is not "nobody".
//! async fn signed_in(session: Session) -> Result<Option<String>, StatusCode> {
//!     let user = session.get("user_id").await;
//!     user.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
//! }
//!
//! /// A page that has the token already, and is as secret. Others fetch `/courier/token`.
//! async fn page(token: CourierToken) -> impl IntoResponse {
//!     let page = format!("<body data-courier-jwt=\"{}\">", token.as_str());
//!     ([(CACHE_CONTROL, "no-store")], Html(page))
//! }
//!
//! async fn not_found() -> StatusCode {
//!     StatusCode::NOT_FOUND
//! }
//! ```
//!
//! `GET /courier/token` now answers with
//! `{"token", "user_id", "scope", "expires_in", "refresh_in", "expires_at", "token_id", "region"}`,
//! or with a 401 if nobody is signed in. `POST` answers alike; a body is ignored. A browser that
//! asks again after `refresh_in` seconds with `If-None-Match: "<token_id>"` gets the next token, or
//! a 304 that says in `Retry-After` when to come back. Errors are `application/problem+json`.
//!
//! # In the browser
//!
//! `/courier/session.js` is an ES module that does this for a page with Courier's web SDK: it signs
//! in, renews the token while the Inbox stays as it is, and stops when the app's own session is over.
//!
//! ```js
//! import { startCourierSession } from "/courier/session.js";
//! startCourierSession({ courier: Courier.shared, inbox: CourierInboxDatastore.shared });
//! ```
//!
//! # As a route
//!
//! A route does not depend on the order of anything but the session layer. Feature `axum`, which is
//! on by default:
//!
//! ```
//! # use axum::{Router, http::HeaderMap};
//! # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
//! # #[cfg(feature = "axum")]
//! # fn example(provider: TokenProvider, session: tower::layer::util::Identity) -> Router {
//! # let courier = CourierAuthLayer::new(provider, async |_: HeaderMap| "user-1");
//! Router::new()
//!     .nest("/courier", courier.routes())
//!     // For handlers that take a `CourierToken`; leave it out if there are none.
//!     .layer(courier.extension())
//!     .layer(session)
//! # }
//! ```
//!
//! # Who is signed in
//!
//! The hook is an async closure or function over one extractor of the app's own, or a tuple of
//! them. What it may return is listed at [`IntoIdentity`]:
//!
//! ```
//! # use axum::{extract::{FromRequestParts, State}, http::{HeaderMap, StatusCode, request::Parts}};
//! # use courier_auth_tower::{CourierAuthLayer, Scope, TokenProvider, TokenRequest};
//! # struct CurrentUser { id: u64, admin: bool }
//! # impl<S: Sync> FromRequestParts<S> for CurrentUser {
//! #     type Rejection = StatusCode;
//! #     async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
//! #         Ok(Self { id: 1, admin: false })
//! #     }
//! # }
//! # #[derive(Clone)] struct Db;
//! # impl Db { async fn user(&self, _: &HeaderMap) -> Result<Option<String>, StatusCode> { Ok(None) } }
//! # fn example(provider: TokenProvider, db: Db) {
//! # let p = || provider.clone();
//! // An id. If the extractor fails, its own rejection is the answer.
//! CourierAuthLayer::new(p(), |user: CurrentUser| async move { user.id });
//! CourierAuthLayer::new(p(), async |user: CurrentUser| user.id);
//! // Nobody may be signed in: that is a 401.
//! CourierAuthLayer::new(p(), async |user: Option<Session>| user.map(|user| user.id));
//! // Scopes that depend on the user.
//! CourierAuthLayer::new(p(), async |user: CurrentUser| {
//!     let request = TokenRequest::for_user(user.id);
//!     if user.admin { request.scopes(Scope::FULL) } else { request }
//! });
//! // The app's state, and errors of its own, which keep their status and body.
//! CourierAuthLayer::with_state(
//!     p(),
//!     db,
//!     async |(State(db), headers): (State<Db>, HeaderMap)| db.user(&headers).await,
//! );
//! # }
//! # struct Session { id: u64 }
//! # impl<S: Sync> axum::extract::OptionalFromRequestParts<S> for Session {
//! #     type Rejection = StatusCode;
//! #     async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Option<Self>, StatusCode> {
//! #         Ok(None)
//! #     }
//! # }
//! ```
//!
//! Take the user from what the app itself has verified, never from a query, a body or a header that
//! a browser can set: the page gets the messages of the user that the hook names.
//!
//! # Without axum
//!
//! The layer works around any service whose bodies are [`http_body::Body`]s, and answers with axum's
//! [`Body`](axum_core::body::Body). Wrap the finished service; what authenticates requests goes
//! around that. `axum-core` brings the extractors: [`Parts`](http::request::Parts),
//! [`HeaderMap`](http::HeaderMap) and the like.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use courier_auth_tower::{CourierAuthLayer, TokenProvider};
//! use http::{Request, Response, request::Parts};
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use hyper_util::{rt::TokioIo, service::TowerToHyperService};
//! use tower::{ServiceBuilder, service_fn};
//!
//! # #[derive(Clone)] struct Session { user_id: String }
//! async fn app(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("the app")))
//! }
//!
//! # async fn example(provider: TokenProvider, stream: tokio::net::TcpStream) -> hyper::Result<()> {
//! let courier = CourierAuthLayer::new(provider, async |parts: Parts| {
//!     parts.extensions.get::<Session>().map(|session| session.user_id.clone())
//! });
//! let service = ServiceBuilder::new()
//!     // A layer of the app's own, which puts `Session` into the extensions, comes first.
//!     .layer(courier)
//!     .service(service_fn(app));
//! hyper::server::conn::http1::Builder::new()
//!     .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
//!     .await
//! # }
//! ```
//!
//! # CORS
//!
//! A page on another origin needs a CORS layer *outside* this one; inside, the preflight passes and
//! the token cannot be read. The layer leaves `OPTIONS` to the app for that. A page on another
//! *site*, not just another subdomain, also needs
//! [`allow_cross_site`](CourierAuthLayer::allow_cross_site):
//!
//! ```
//! # use axum::{Router, http::HeaderMap};
//! # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
//! use axum::http::{HeaderValue, Method, header::{ETAG, IF_NONE_MATCH, RETRY_AFTER}};
//! use tower_http::cors::CorsLayer;
//!
//! # fn example(provider: TokenProvider) -> Router {
//! # let courier = CourierAuthLayer::new(provider, async |_: HeaderMap| "user-1");
//! let cors = CorsLayer::new()
//!     .allow_origin(HeaderValue::from_static("https://app.example"))
//!     .allow_credentials(true)
//!     .allow_methods([Method::GET])
//!     .allow_headers([IF_NONE_MATCH])
//!     .expose_headers([ETAG, RETRY_AFTER]);
//! Router::new().layer(courier.allow_cross_site(true)).layer(cors)
//! # }
//! ```
//!
//! # Testing
//!
//! With feature `emulator` an app's own tests need neither an account nor a network:
//!
//! ```
//! # #[cfg(not(feature = "emulator"))]
//! # fn main() {}
//! # #[cfg(feature = "emulator")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, http::{HeaderMap, Request}};
//! use courier_auth_tower::{CourierAuthLayer, TokenProvider, emulator::{Emulator, Fault}};
//! use tower::ServiceExt;
//!
//! // In a `#[tokio::test]`:
//! let courier = Emulator::start().await?;
//! let provider = TokenProvider::builder(courier.api_key())
//!     .base_url(courier.url())
//!     .build()?;
//! let layer = CourierAuthLayer::new(provider, async |_: HeaderMap| "user-1");
//! let app: Router = Router::new().layer(layer);
//! let ask = || Request::get("/courier/token").body(Body::empty());
//!
//! assert_eq!(app.clone().oneshot(ask()?).await?.status(), 200);
//! assert_eq!(courier.token_requests_for("user-1"), 1);
//!
//! // Courier goes down; users notice nothing.
//! courier.fail(Fault::status(503));
//! assert_eq!(app.oneshot(ask()?).await?.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # Guides
//!
//! [Getting started](guides::getting_started) · [recipes](guides::recipes) ·
//! [migrating](guides::migrating) · [browsers and phones](courier_auth_core::guides::clients) ·
//! [scopes and lifetimes](courier_auth_core::guides::scopes) ·
//! [refreshing](courier_auth_core::guides::refresh) ·
//! [security](courier_auth_core::guides::security) ·
//! [testing](courier_auth_core::guides::testing) ·
//! [operating](courier_auth_core::guides::operating) ·
//! [troubleshooting](courier_auth_core::guides::troubleshooting)
//!
//! # Features
//!
//! | feature | | default |
//! |---|---|---|
//! | `axum` | `CourierAuthLayer::routes` and `CourierAuthLayer::route` | yes |
//! | `emulator` | the module `emulator`: Courier's API in process, for tests | no |
//! | `hmac` | `user_signature`, for Courier's older web SDKs; deprecated by Courier | no |
//! | `shared-cache` | `TokenProviderBuilder::shared_cache`: one cache for many replicas, in a store of your choice | no |
//! | `redis` | `RedisCache`: the same on Redis or Valkey | no |
//! | `redis-cluster` | the same on a cluster | no |
//! | `metrics` | metrics for the recorder of the crate `metrics`, [listed here](courier_auth_core::guides::operating#metrics) | no |
//!
//! The guide `courier_auth_core::guides::replicas` (with the feature `redis`) says when a shared cache
//! is worth it and how to run one.
//!
//! [axum]: https://docs.rs/axum
//! [tower]: https://docs.rs/tower

#![cfg_attr(docsrs, feature(doc_cfg))]

// So that its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod courier;
mod drain;
mod error;
mod extract;
mod future;
// Their examples use both features.
#[cfg(any(not(doctest), all(feature = "axum", feature = "emulator")))]
pub mod guides;
mod identity;
mod layer;
mod reply;
#[cfg(feature = "axum")]
mod routes;
mod service;

#[cfg(feature = "redis")]
pub use courier_auth_core::RedisCache;
#[cfg(feature = "emulator")]
#[doc(inline)]
pub use courier_auth_core::emulator;
#[cfg(feature = "hmac")]
#[expect(deprecated, reason = "deprecated for those who use it")]
pub use courier_auth_core::user_signature;
pub use courier_auth_core::{
    CourierClient, CourierClientBuilder, Error, ErrorKind, Probe, Region, Scope, Status, Token,
    TokenId, TokenProvider, TokenProviderBuilder, TokenRequest, UserId,
};
#[cfg(feature = "shared-cache")]
pub use courier_auth_core::{SharedCache, SharedCacheError, SharedCacheStatus};
#[doc(inline)]
pub use courier_auth_core::{endpoint, inspect};

pub use self::{
    error::CourierTokenRejection, extract::CourierToken, future::ResponseFuture,
    identity::IntoIdentity, layer::CourierAuthLayer, service::CourierAuthService,
};
