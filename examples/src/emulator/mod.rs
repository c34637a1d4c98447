//! Courier, emulated: tokens, inbox, sockets, preferences and `/send`, on one base URL.
//!
//! ```no_run
//! use courier_auth_examples::emulator::{Courier, Draft, InboxFault, Surface};
//!
//! # async fn example() -> std::io::Result<()> {
//! let courier = Courier::start().await?;
//! courier.send("alice", Draft::new("Welcome", "Good to have you here").tag("news"));
//! println!("{} and {}", courier.url(), courier.socket_url());
//!
//! courier.fail_next(Surface::Inbox, 1, InboxFault::Status(500));
//! courier.close_sockets(Some("alice"), 1012, Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! [`Courier`] is the state and the behaviour, [`CourierServer`] a listener on loopback in front of it. The half that
//! issues tokens is the core's [`Emulator`](courier_auth_core::emulator::Emulator), mounted: its tokens are the only
//! ones that are good here. `src/bin/courier-emulator.rs` is all of it as a program, and the examples' README says how
//! SDKs are pointed at it.
//!
//! | path | what |
//! |---|---|
//! | `POST /auth/issue-token`, `PUT /requests/{id}/archive` | the core's emulator; archiving also archives the copies in inboxes |
//! | `POST /q` | the inbox's GraphQL |
//! | `GET /` with an upgrade | the socket: version 1 with `iwpv`, the phones' protocol without |
//! | `POST /client/q` | GraphQL of preferences and brands |
//! | `POST /send`, `GET /messages`, `GET /messages/{id}` | what a backend does, with the API key |
//! | `/users/{id}/tokens/…`, `/users/{id}/preferences/…`, `/users/{id}/tenants/{id}` | push tokens, preferences, membership |
//! | `/client/lists/{id}/subscribe/{user}`, `…/unsubscribe/{user}`, `POST /inbound/courier` | lists and tracking |
//! | `/emulator/…` | the control endpoint, see the README |
//!
//! Whatever is not known of Courier is one of the [`Settings`]. Of the core's faults, a reset and a torn head close the
//! connection without a byte here, as hyper has the stream by then; all others are carried out.

mod access;
mod control;
mod courier;
mod event;
mod fault;
mod filter;
mod graphql;
mod hub;
mod mailbox;
mod message;
mod preference;
mod reply;
mod request;
mod rest;
mod send;
mod server;
mod settings;
mod socket;
mod state;
mod timestamp;
mod users;

pub use self::{
    courier::Courier,
    fault::{InboxFault, Surface},
    hub::SocketInfo,
    message::{Action, Draft, Message, TrackingIds},
    server::CourierServer,
    settings::{AtExpiry, MissingScope, Settings, TenantRule},
    timestamp::Timestamp,
};
