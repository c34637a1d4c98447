//! What is inside an envelope.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::SharedCacheError;

/// What is kept of a token. The rest follows from it and from the grant.
#[derive(Deserialize)]
pub(super) struct TokenEntry {
    pub(super) token: SecretString,
    /// When it was asked for, in milliseconds since the epoch, on the clock of the replica that
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
    /// Milliseconds since the epoch.
    pub(super) at: u64,
}

pub(super) fn to_json(content: &impl Serialize) -> Result<Vec<u8>, SharedCacheError> {
    serde_json::to_vec(content)
        .map_err(|error| SharedCacheError::new("cannot be written").with_source(error))
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    whole_milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
