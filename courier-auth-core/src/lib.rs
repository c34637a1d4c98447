//! wip
mod cache;
mod client;
#[cfg(feature = "emulator")]
pub mod emulator;
mod endpoint;
mod error;
mod provider;
mod request;
mod retry;
mod scope;
mod token;

pub use cache::Status;
pub use client::{CourierClient, CourierClientBuilder, Region};
pub use endpoint::{Call, Endpoint, Reply};
pub use error::{Error, ErrorKind};
pub use provider::{TokenProvider, TokenProviderBuilder};
pub use request::{TokenRequest, UserId};
pub use scope::Scope;
pub use token::{Token, TokenId};
