//! What is inside an envelope.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::SharedCacheError;

/// What is kept of a token. The rest follows from it and from the grant.
#[derive(Deserialize)]
pub(super) struct TokenEntry {
    pub(super) token: SecretString,
    /// When it was asked for, in microseconds since the epoch, on the clock of the replica that
    /// asked.
    pub(super) issued: u64,
    /// How long it lived from then, on Courier's clock, in milliseconds.
    pub(super) life: u64,
}

/// A [`TokenEntry`] on its way into an envelope.
#[derive(Serialize)]
pub(super) struct NewEntry<'a> {
    pub(super) token: &'a str,
    pub(super) issued: u64,
    pub(super) life: u64,
}

/// Says that a user was invalidated.
#[derive(Deserialize, Serialize)]
pub(super) struct Tombstone {
    /// When, in microseconds since the epoch: the user may sign in again within the millisecond.
    pub(super) at: u64,
    /// For how long it was written, in milliseconds.
    pub(super) ttl: u64,
}

impl Tombstone {
    /// The later of both, for the longer of both: another replica may know of longer lives.
    pub(super) fn or_later(self, other: Option<Self>) -> Self {
        match other {
            None => self,
            Some(other) => Self {
                at: self.at.max(other.at),
                ttl: self.ttl.max(other.ttl),
            },
        }
    }
}

pub(super) fn to_json(content: &impl Serialize) -> Result<Vec<u8>, SharedCacheError> {
    serde_json::to_vec(content)
        .map_err(|error| SharedCacheError::new("cannot be written").with_source(error))
}

pub(super) fn since_epoch(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use secrecy::ExposeSecret;

    use super::*;

    /// Replicas of two versions read each other's entries while a deploy is under way.
    #[test]
    fn the_content_stays() {
        let text = r#"{"token":"a.b.c","issued":1800000000000000,"life":3600000}"#;
        let new = NewEntry {
            token: "a.b.c",
            issued: since_epoch(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            life: milliseconds(Duration::from_secs(3600)),
        };
        assert_eq!(to_json(&new).unwrap(), text.as_bytes());
        let read: TokenEntry = serde_json::from_str(text).unwrap();
        assert_eq!(
            (read.token.expose_secret(), read.issued, read.life),
            (new.token, new.issued, new.life)
        );
        let tombstone = Tombstone { at: 7, ttl: 9 };
        assert_eq!(to_json(&tombstone).unwrap(), br#"{"at":7,"ttl":9}"#);
        let later: Tombstone = serde_json::from_str(r#"{"at":8,"ttl":0}"#).unwrap();
        let both = tombstone.or_later(Some(later));
        assert_eq!((both.at, both.ttl), (8, 9));
    }
}
