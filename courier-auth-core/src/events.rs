//! What the crate's events have in common: targets, and how a user is named.
//!
//! Targets, messages and names of fields are in the guide for operating: people search and alert
//! by them.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
    time::Duration,
};

use tokio::time::Instant;

/// A caller that had to wait, or got no token.
pub(crate) const REQUEST: &str = "courier_auth::request";
/// A new token for a user.
pub(crate) const FLIGHT: &str = "courier_auth::flight";
/// How Courier is.
pub(crate) const COURIER: &str = "courier_auth::courier";
#[cfg(feature = "shared-cache")]
pub(crate) const SHARED_CACHE: &str = "courier_auth::shared_cache";
pub(crate) const ENDPOINT: &str = "courier_auth::endpoint";

/// A user, for logs above DEBUG: the same in all events of a process, so that they can be put
/// together, and worthless to whoever reads them elsewhere. The key is random and never leaves the
/// process.
pub(crate) fn user_hash(user: &str) -> impl fmt::Display + use<> {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    Hash(KEY.hash_one(user))
}

struct Hash(u64);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Counts what may happen for every user, and is said once a minute.
#[derive(Debug, Default)]
pub(crate) struct OnceAMinute {
    said_at: Option<Instant>,
    unsaid: u64,
}

impl OnceAMinute {
    /// One more. Returns how many there were since the last time, if it is to be said now.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.unsaid += 1;
        let lately = self
            .said_at
            .is_some_and(|said| now.saturating_duration_since(said) < MINUTE);
        if lately {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
