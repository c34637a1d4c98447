//! Guides: documentation only.
//!
//! | question | guide |
//! |---|---|
//! | How do I begin? | [`getting_started`] |
//! | Bearer tokens, tenants, CORS, nested scopes …: how do I write that? | [`recipes`] |
//! | How do I replace the route that I have? | [`migrating`] |
//! | What do browsers and phones do with the token? | [`clients`](courier_auth_core::guides::clients) |
//! | What may a token do, and how long should it live? | [`scopes`](courier_auth_core::guides::scopes) |
//! | How is it refreshed, and what if it cannot be? | [`refresh`](courier_auth_core::guides::refresh) |
//! | What is safe, and what is left to the app? | [`security`](courier_auth_core::guides::security) |
//! | Many replicas: do they need a shared cache, and how is it run? | `courier_auth_core::guides::replicas`, with the feature `redis` |
//! | How do I test my app? | [`testing`](courier_auth_core::guides::testing) |
//! | What do I watch when it runs? | [`operating`](courier_auth_core::guides::operating) |
//! | Something does not work. | [`troubleshooting`](courier_auth_core::guides::troubleshooting) |

#[doc = include_str!("getting_started.md")]
pub mod getting_started {}
#[doc = include_str!("migrating.md")]
pub mod migrating {}
#[doc = include_str!("recipes.md")]
pub mod recipes {}
