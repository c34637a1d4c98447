//! Guides: pages to read, no code.

#[doc = include_str!("refresh.md")]
pub mod refresh {}
