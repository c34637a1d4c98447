//! What the examples share, so that each of them holds only what an app of your own would have.
//!
//! Begin with `src/bin/axum-app.rs` or `src/bin/actix-app.rs`; nothing in here is needed to use
//! the crates.

#[cfg(feature = "inbox")]
pub mod emulator;

mod demo;
mod error;
mod health;
#[cfg(feature = "metrics")]
pub mod metrics;
mod sdk;
mod sessions;
mod settings;
mod start;
mod stop;

#[cfg(feature = "inbox")]
pub use self::start::start_emulator;
pub use self::{
    demo::Demo, error::StartError, health::health, sessions::MemorySessions, settings::Settings,
    start::start, stop::Stop,
};
