//! Guides: pages to read, no code.

#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("refresh.md")]
pub mod refresh {}
// The table and the picture are what the simulation writes. It links to what comes with the feature.
#[doc = include_str!("replicas.md")]
#[doc = include_str!("replicas-day.md")]
#[doc = include_str!("replicas-day.svg")]
#[cfg(feature = "redis")]
pub mod replicas {}
