//! [Courier Inbox] tokens for the signed-in users of an [actix-web] app, as one set of routes.
//!
//! The Inbox, Toast and Preferences components of Courier run in the browser or on a phone and
//! need a JWT for the user who is signed in, which only a backend can issue. This crate is the
//! route that hands it out. A token is issued once and reused while it is fresh, refreshed before
//! it expires, shared by all requests and workers, and served on while Courier is down.
//!
//! # Example
//!
//! ```no_run
//! use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
//! use actix_web::{App, HttpServer, cookie::Key, web};
//! use courier_auth_actix::{CourierAuth, TokenProvider};
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Outside `HttpServer::new`: its closure runs once per worker, and the workers are to
//!     // share one cache.
//!     let courier = CourierAuth::new(
//!         TokenProvider::from_env()?, // COURIER_API_KEY
//!         |session: Session| async move { session.get::<String>("user_id") },
//!     );
//!     let key = Key::generate(); // a real app keeps its key
//!     let server = HttpServer::new(move || {
//!         App::new()
//!             .wrap(SessionMiddleware::new(CookieSessionStore::default(), key.clone()))
//!             // GET /courier/token. Before any `scope("")` or `scope("/courier")` of your own:
//!             // actix-web never comes back from a scope whose path matches.
//!             .configure(courier.routes())
//!             .service(web::scope("").route("/", web::get().to(|| async { "hello" })))
//!     });
//!     server.bind(("127.0.0.1", 3000))?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! `GET /courier/token` then answers with the signed-in user's token:
//!
//! ```json
//! {"token": "eyJ…", "user_id": "user-1", "scope": "user_id:user-1 inbox:read:messages inbox:write:events",
//!  "expires_in": 3599, "refresh_in": 3034, "expires_at": 1790000000, "token_id": "hkzAOoyVoVoTQz_Iwlc8pQ", "region": "us"}
//! ```
//!
//! A page with Courier's web SDK leaves the rest to `/courier/session.js`, an ES module that signs in,
//! renews the token while the Inbox stays as it is, and stops when the app's own session is over:
//!
//! ```js
//! import { startCourierSession } from "/courier/session.js";
//! startCourierSession({ courier: Courier.shared, inbox: CourierInboxDatastore.shared });
//! ```
//!
//! Other front ends sign in with `token`, and ask again after `refresh_in` seconds. With
//! `If-None-Match: "<token_id>"` they get a 304 while there is no newer one. Nobody signed in is a
//! 401, and Courier being out of reach a 503 with `Retry-After`, both as `application/problem+json`
//! (RFC 9457). No answer may be cached (`no-store`).
//!
//! `HEAD` and `POST` answer alike, other methods are a 405. Bodies are ignored: one of up to 8 KiB
//! is read off the connection, which then lives on. A larger one, or one that takes longer than a
//! second, is not waited for: the answer has `Connection: close` if the rest is still on its way.
//!
//! # Who is signed in
//!
//! The app's own extractor says so, through the hook: an async closure over what the extractor
//! yields. It may return an id, a [`TokenRequest`], an `Option` or a `Result`; [`IntoIdentity`] has
//! the list, [`CourierAuth::new`] examples. An error of the app's own keeps its status and its
//! body.
//!
//! # In a handler
//!
//! [`CourierToken`] is the same token as an extractor, for pages rendered on the server. Where a
//! page has something to show without it, extract a `Result<CourierToken, CourierTokenError>` and
//! ask [`is_signed_out`](CourierTokenError::is_signed_out).
//!
//! # Front ends on another origin
//!
//! They need CORS, for which there is [`actix-cors`](https://docs.rs/actix-cors). Wrap it around
//! the app: it then answers preflights before they are routed.
//!
//! ```
//! # use courier_auth_actix::CourierAuth;
//! # fn example(courier: CourierAuth) {
//! use actix_cors::Cors;
//! use actix_web::{App, http::header};
//!
//! // Only for another *site*; `app.example.com` and `api.example.com` are one.
//! let courier = courier.allow_cross_site(true);
//! let cors = Cors::default()
//!     .allowed_origin("https://app.example")
//!     .allowed_methods(["GET", "POST"])
//!     // And `AUTHORIZATION`, if that is how your users are known.
//!     .allowed_headers([header::IF_NONE_MATCH])
//!     // Scripts see neither unless they are named here.
//!     .expose_headers([header::ETAG, header::RETRY_AFTER])
//!     // The session's cookie, which must be `SameSite=None` to cross sites.
//!     .supports_credentials();
//! let app = App::new().wrap(cors).configure(courier.routes());
//! # }
//! ```
//!
//! # Testing
//!
//! With the feature `emulator` as a dev-dependency, tests need neither an account nor a network:
//!
#![cfg_attr(feature = "emulator", doc = "```")]
#![cfg_attr(not(feature = "emulator"), doc = "```ignore")]
//! use actix_web::{App, HttpRequest, test};
//! use courier_auth_actix::{CourierAuth, TokenProvider, emulator::Emulator};
//!
//! # async fn the_signed_in_user_gets_a_token() -> Result<(), Box<dyn std::error::Error>> {
//! // In a `#[actix_web::test]`:
//! let courier = Emulator::start().await?;
//! let provider = TokenProvider::builder(courier.api_key())
//!     .base_url(courier.url())
//!     .build()?;
//! let auth = CourierAuth::new(provider, |_: HttpRequest| async { "user-1" });
//! let app = test::init_service(App::new().configure(auth.routes())).await;
//!
//! for _ in 0..2 {
//!     let request = test::TestRequest::get().uri("/courier/token").to_request();
//!     let body: serde_json::Value = test::call_and_read_body_json(&app, request).await;
//!     let claims = courier.verify(body["token"].as_str().unwrap_or_default())?;
//!     assert!(claims.scope.starts_with("user_id:user-1 "));
//! }
//! assert_eq!(courier.token_requests(), 1); // the second request was served from the cache
//! # Ok(())
//! # }
//! # actix_web::rt::System::new().block_on(the_signed_in_user_gets_a_token()).unwrap();
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
//! | feature | adds | default |
//! |---|---|---|
//! | `emulator` | the module `emulator`: Courier's API in the process of your tests, with faults on demand | no |
//! | `hmac` | `user_signature`, for Courier's older web SDKs; deprecated by Courier | no |
//! | `shared-cache` | `TokenProviderBuilder::shared_cache`: one cache for many replicas, in a store of your choice | no |
//! | `redis` | `RedisCache`: the same on Redis or Valkey | no |
//! | `redis-cluster` | the same on a cluster | no |
//! | `metrics` | metrics for the recorder of the crate `metrics`, [listed here](courier_auth_core::guides::operating#metrics) | no |
//!
//! The guide `courier_auth_core::guides::replicas` (with the feature `redis`) says when a shared cache
//! is worth it and how to run one.
//!
//! [Courier Inbox]: https://www.courier.com/docs/platform/inbox/inbox-overview
//! [actix-web]: https://docs.rs/actix-web

#![cfg_attr(docsrs, feature(doc_cfg))]

// So that its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod asking;
mod auth;
mod error;
mod extract;
// Their examples use the emulator.
#[cfg(any(not(doctest), feature = "emulator"))]
pub mod guides;
mod identity;
mod reply;

pub use auth::CourierAuth;
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
pub use error::CourierTokenError;
pub use extract::CourierToken;
pub use identity::IntoIdentity;
