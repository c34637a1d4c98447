//! An in-process emulator of Courier's REST API, for tests and for development without an account.
//!
//! ```
//! use courier_auth_core::emulator::{Emulator, Fault};
//! use courier_auth_core::{TokenProvider, TokenRequest};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a `#[tokio::test]`:
//! let courier = Emulator::start().await?;
//! let provider = TokenProvider::builder(courier.api_key())
//!     .base_url(courier.url())
//!     .build()?;
//!
//! provider.token(&TokenRequest::for_user("user-1")).await?;
//! assert_eq!(courier.token_requests(), 1);
//!
//! // Courier goes down; the cached token is still good.
//! courier.fail(Fault::status(503));
//! provider.token(&TokenRequest::for_user("user-1")).await?;
//! assert_eq!(courier.token_requests(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`Emulator`] is the state and the behaviour; it opens no socket. [`Emulator::start`] puts it behind a listener on
//! loopback, the [`EmulatorServer`], which stops when it is dropped. Another server can mount it instead: it passes each
//! request to [`Emulator::respond`] and carries out the [`Answer`].
//!
//! It answers two calls, as far as is known the way Courier does:
//!
//! | call | answer |
//! |---|---|
//! | `POST /auth/issue-token` | 200 with a signed JWT that has Courier's claims in Courier's order; 400 or 401 with Courier's error body |
//! | `PUT /requests/{id}/archive` | 204 |
//!
//! What can go wrong between a backend and Courier is a [`Fault`]: [`Emulator::fail_next`] applies it to the next few
//! calls, [`Emulator::fail`] to all of them, [`Emulator::fail_for`] to one user's. [`Emulator::token_requests`] and
//! [`Emulator::calls`] say what arrived.
//!
//! The tokens are signed with a secret that is random for each emulator: they mean nothing to the real Courier, and
//! [`Emulator::verify`] refuses tokens of another emulator.

mod answer;
mod api;
mod call;
mod clock;
mod duration;
mod fault;
mod issue;
mod jwt;
mod server;
mod state;

pub use self::answer::{Answer, Ending};
pub use self::call::Call;
pub use self::fault::{ErrorBody, Fault};
pub use self::jwt::{Claims, VerifyError};
pub use self::server::EmulatorServer;
pub use self::state::Emulator;
