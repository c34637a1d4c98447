//! Guides: documentation only.
//!
//! | question | guide |
//! |---|---|
//! | What do browsers and phones do with the token? | [`clients`] |
//! | What may a token do, and how long should it live? | [`scopes`] |
//! | How is it refreshed, and what if it cannot be? | [`refresh`] |
//! | What is safe, and what is left to the app? | [`security`] |
//! | Many replicas: do they need a shared cache, and how is it run? | `replicas`, with the feature `redis` |
//! | How do I test my app? | [`testing`] |
//! | What do I watch when it runs? | [`operating`] |
//! | Something does not work. | [`troubleshooting`] |
//! | I have the HMAC signature, or my own route. | [`migrating`] |
//!
//! How to add the route to an app, with sessions, bearer tokens, tenants and so on, is in the
//! guides of the adapters: `courier_auth_actix::guides` and `courier_auth_tower::guides`.

#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("migrating.md")]
pub mod migrating {}
#[doc = include_str!("operating.md")]
pub mod operating {}
#[doc = include_str!("refresh.md")]
pub mod refresh {}
// The table and the picture are what the simulation writes. It links to what comes with the feature.
#[doc = include_str!("replicas.md")]
#[doc = include_str!("replicas-day.md")]
#[doc = include_str!("replicas-day.svg")]
#[cfg(feature = "redis")]
pub mod replicas {}
#[doc = include_str!("scopes.md")]
pub mod scopes {}
#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("troubleshooting.md")]
pub mod troubleshooting {}
