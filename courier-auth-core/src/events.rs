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
pub(crate) fn user_hash(user: &str) -> UserHash {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    UserHash(KEY.hash_one(user))
}

#[derive(Clone, Copy)]
pub(crate) struct UserHash(u64);

impl fmt::Display for UserHash {
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
    pub(crate) const fn new() -> Self {
        Self {
            said_at: None,
            unsaid: 0,
        }
    }

    /// One more. Returns how many there were, if it is to be said now.
    pub(crate) fn count(&mut self, now: Instant) -> Option<Tally> {
        self.unsaid += 1;
        let since = self.said_at.map(|said| now.saturating_duration_since(said));
        if since.is_some_and(|since| since < MINUTE) {
            return None;
        }
        self.said_at = Some(now);
        let count = std::mem::take(&mut self.unsaid);
        Some(Tally {
            count: since.map(|_| count),
            within_s: since.map(|since| since.as_secs()),
        })
    }
}

/// How many there were since the last time that it was said, and how long ago that was. Of the
/// first nothing: it is said at once, and how many come with it is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: Option<u64>,
    pub(crate) within_s: Option<u64>,
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// The first line said "1", whatever was to come, and the rest stood in the line about the next
    /// burst as if it had been part of that.
    #[test]
    fn a_count_is_of_the_time_that_is_said_with_it() {
        let (start, mut counter) = (Instant::now(), OnceAMinute::default());
        let mut at = |seconds| counter.count(start + Duration::from_secs(seconds));
        let told = |count, within_s| {
            Some(Tally {
                count: Some(count),
                within_s: Some(within_s),
            })
        };
        let first = Tally {
            count: None,
            within_s: None,
        };
        assert_eq!(at(0), Some(first));
        assert_eq!((at(0), at(59)), (None, None));
        assert_eq!(at(75), told(3, 75));
        assert_eq!(at(80), None);
        assert_eq!(at(7275), told(2, 7200));
    }
}
