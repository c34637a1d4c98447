//! Guides: pages to read, no code.

#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("refresh.md")]
pub mod refresh {}
// The table and the picture are what the simulation writes.
#[doc = include_str!("replicas.md")]
#[doc = include_str!("replicas-day.md")]
#[doc = include_str!("replicas-day.svg")]
pub mod replicas {}
