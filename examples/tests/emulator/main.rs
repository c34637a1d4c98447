//! The emulator as clients meet it: over sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod client;
mod control;
mod cors;
mod demo;
mod expiry;
mod faults;
mod inbox;
mod mobile;
mod read_sync;
mod rest;
mod send;
mod socket;
mod socket_client;
mod user;
