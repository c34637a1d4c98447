//! What an app sees of the layer, the routes and the extractor, with the emulator as Courier.

#![expect(clippy::unwrap_used, reason = "tests")]

mod app;
mod contract;
#[path = "../../../courier-auth-core/tests/drill/mod.rs"]
mod drill;
#[path = "../../../courier-auth-core/tests/endpoint/mod.rs"]
mod endpoint;
#[cfg(feature = "redis-cluster")]
mod exports;
mod extract;
mod flights;
mod hooks;
mod outage;
mod placement;
mod sessions;
mod stacks;
mod wire;
