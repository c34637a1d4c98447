//! The shared cache: one entry for each user, and what the traffic with it costs.

use crate::{
    replica::Token,
    setup::{SECOND, Time},
};

#[derive(Debug)]
pub(crate) struct SharedCache {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    token: Option<Token>,
    locked_until: Time,
    /// Who holds the lock, so that a late release does not undo another's.
    owner: u32,
}

impl SharedCache {
    pub(crate) fn new(users: u32) -> Self {
        Self {
            entries: vec![Entry::default(); users as usize],
        }
    }

    pub(crate) fn read(&self, user: u32, now: Time) -> Option<Token> {
        self.entries[user as usize]
            .token
            .filter(|token| now < token.kept_until())
    }

    /// Returns until when the entry that was there would have lived, if it still does.
    pub(crate) fn write(&mut self, user: u32, token: Token, now: Time) -> Option<Time> {
        let before = self.read(user, now);
        self.entries[user as usize].token = Some(token);
        before.map(|before| before.kept_until())
    }

    /// Whether the lock is the caller's now.
    pub(crate) fn lock(&mut self, user: u32, owner: u32, now: Time) -> bool {
        let entry = &mut self.entries[user as usize];
        let free = entry.locked_until <= now;
        if free {
            entry.locked_until = now + LOCK_LEASE;
            entry.owner = owner;
        }
        free
    }

    pub(crate) fn unlock(&mut self, user: u32, owner: u32) {
        let entry = &mut self.entries[user as usize];
        if entry.owner == owner {
            entry.locked_until = 0;
        }
    }
}

const LOCK_LEASE: Time = 12 * SECOND;
/// There and back, within one data centre.
pub(crate) const ROUND_TRIP: Time = 1_000;

/// What an operation costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) commands: u32,
    /// To Redis and back.
    pub(crate) bytes: u32,
}

impl Operation {
    const fn new(commands: u32, bytes: u32) -> Self {
        Self { commands, bytes }
    }
}

// With RESP2, a token of 500 bytes and the prefix `courier-auth`; TCP and TLS not counted. The guide
// has what such an entry takes in a Redis.

/// `GETRANGE` and `PTTL` of the token, `GETRANGE` of the tombstone.
pub(crate) const FOUND: Operation = Operation::new(3, 871);
pub(crate) const NOTHING: Operation = Operation::new(3, 268);
/// `SET`
pub(crate) const WRITE: Operation = Operation::new(1, 697);
/// `SET NX`
pub(crate) const LOCK: Operation = Operation::new(1, 129);
/// `EVAL` of a few lines
pub(crate) const UNLOCK: Operation = Operation::new(1, 208);
/// What an entry takes in Redis, its part of the hash tables included.
pub(crate) const ENTRY_BYTES: f64 = 805.0;
