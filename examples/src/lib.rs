//! What the examples share, so that each of them holds only what an app of your own would have.
//!
//! Begin with `src/bin/axum-app.rs` or `src/bin/actix-app.rs`; nothing in here is needed to use
//! the crates.

mod demo;
mod error;
mod settings;
mod start;
mod stop;

pub use self::{demo::Demo, error::StartError, settings::Settings, start::start, stop::Stop};
