//! Guides: pages to read, no code.

#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("refresh.md")]
pub mod refresh {}
