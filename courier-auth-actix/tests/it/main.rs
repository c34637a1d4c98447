//! The adapter through its public API, against the emulator of Courier.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod contract;
#[cfg(feature = "redis-cluster")]
mod exports;
mod extractor;
mod hooks;
mod middleware;
mod mounting;
mod outage;
mod sharing;
mod stranded;
mod support;

#[path = "../../../courier-auth-core/tests/drill/mod.rs"]
mod drill;
#[path = "../../../courier-auth-core/tests/endpoint/mod.rs"]
mod endpoint;
