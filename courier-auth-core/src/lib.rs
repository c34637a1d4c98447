//! Courier Inbox tokens for the users of your app: issued once, refreshed in time, served through
//! outages.
//!
//! [Courier](https://www.courier.com)'s Inbox, toasts and preferences run in a browser or on a
//! phone and need a JWT for the signed-in user. Only a backend may request one, with the workspace's
//! API key. A [`TokenProvider`] does that for any number of users:
//!
//! ```
//! use courier_auth_core::{Scope, TokenProvider, TokenRequest};
//!
//! # #[cfg(feature = "emulator")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let courier = courier_auth_core::emulator::Emulator::start().await?;
//! # let (api_key, base_url) = (courier.api_key(), courier.url());
//! let provider = TokenProvider::builder(api_key) // or `from_env()`: COURIER_API_KEY
//!     .base_url(base_url) // only for an emulator or a gateway
//!     .scopes(Scope::RECOMMENDED)
//!     .build()?;
//!
//! // One per request of your app; the user comes from your own session.
//! let token = provider.token(&TokenRequest::for_user("user-1")).await?;
//! assert_eq!(token.user_id(), "user-1");
//! assert!(token.expires_in().as_secs() > 3500);
//!
//! // The second is the same one, from the cache.
//! let again = provider.token(&TokenRequest::for_user("user-1")).await?;
//! assert_eq!(again.id(), token.id());
//! # assert_eq!(courier.token_requests(), 1);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "emulator"))]
//! # fn main() {}
//! ```
//!
//! # Which crate
//!
//! In an actix-web app use `courier-auth-actix`, in an axum or tower app `courier-auth-tower`: they
//! add the route that the browser calls and contain this crate. Use this one alone for another
//! framework (see [`endpoint`]), for a background job, or to render the token into a page.
//!
//! # In the browser
//!
//! `js/session.js` in this crate is an ES module that signs a page in to Courier's web SDK and keeps
//! its token fresh: [`Endpoint::script`](endpoint::Endpoint::script) answers with it, and both adapters do at
//! `/courier/session.js`. `js/session.d.ts` beside it describes its options.
//!
//! # What happens to a token
//!
//! With a lifetime of an hour, the default:
//!
//! | what is left of it | what a caller gets |
//! |---|---|
//! | more than 15 to 20 minutes | the token, without any I/O |
//! | 5 minutes and more | the token at once; one background call fetches the next |
//! | 30 seconds to 5 minutes | the next token if it comes within a second, else this one |
//! | less, or there is none | the next token if it comes within 5 seconds, else an [`Error`] |
//!
//! Other lifetimes have proportionate bounds. A call to Courier does not belong to the caller that
//! started it: it goes on when they hang up, and all who wait for it get its token, or its error. An
//! error never replaces a token that can still be used.
//!
//! After a failure, Courier is not asked again for that user for a while: up to 15 seconds if the
//! user has no token, up to 60 if they do. Until then callers get the cached token, or the last error
//! at once. If Courier fails for several users, a circuit breaker opens and one caller at a time
//! probes it. If it refuses the API key, all calls pause for 10 to 60 seconds. At most 16 calls run
//! at once; those with a caller waiting go first. No failure is permanent.
//! [The guide to refreshing](guides::refresh) has the numbers and the reasons.
//!
//! # Security
//!
//! A user id is checked before anything is sent ([`UserId`]), because Courier's scopes are one string
//! in which a space begins the next permission. A token whose claims name another user is discarded.
//! The API key and tokens have no `Display`, are redacted in `Debug`, and appear in no error and no
//! log. Redirects are not followed, and `http://` is refused except to loopback.
//!
//! # Guides
//!
//! [Browsers and phones](guides::clients) · [scopes and lifetimes](guides::scopes) ·
//! [refreshing](guides::refresh) · [security](guides::security) · [testing](guides::testing) ·
//! [operating](guides::operating) · [troubleshooting](guides::troubleshooting) ·
//! [migrating](guides::migrating)
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `emulator` | an emulator of Courier's API for tests and offline development | no |
//! | `cli` | the program `courier-token`: `cargo install courier-auth-core --features cli` | no |
//! | `hmac` | `user_signature`, for Courier's older web SDKs; deprecated by Courier | no |
//! | `shared-cache` | `SharedCache`: one cache for many replicas, in a store of your choice | no |
//! | `redis` | `RedisCache`: the same on Redis or Valkey | no |
//! | `redis-cluster` | the same on a cluster | no |
//! | `metrics` | metrics for the recorder of the crate `metrics`, [listed here](guides::operating#metrics) | no |
//!
//! The guide `guides::replicas` (with the feature `redis`) says when a shared cache is worth it and
//! how to run one.

#![cfg_attr(docsrs, feature(doc_cfg))]

// So that its examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod cache;
mod client;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod endpoint;
mod error;
mod events;
// Their examples use the emulator.
#[cfg(any(not(doctest), feature = "emulator"))]
pub mod guides;
pub mod inspect;
mod metrics;
mod provider;
mod request;
mod retry;
mod scope;
#[cfg(feature = "shared-cache")]
mod shared;
#[cfg(feature = "hmac")]
mod signature;
mod token;

pub use cache::Status;
pub use client::{CourierClient, CourierClientBuilder, Probe, Region};
pub use error::{Error, ErrorKind};
pub use provider::{TokenProvider, TokenProviderBuilder};
pub use request::{TokenRequest, UserId};
pub use scope::Scope;
#[cfg(feature = "redis")]
pub use shared::RedisCache;
#[cfg(feature = "shared-cache")]
pub use shared::{SharedCache, SharedCacheError, SharedCacheStatus};
#[cfg(feature = "hmac")]
#[expect(deprecated, reason = "deprecated for those who use it")]
pub use signature::user_signature;
pub use token::{Token, TokenId};
