//! The log of what the emulator was asked.

use std::collections::{HashMap, VecDeque};

/// One call the emulator got. It holds no API key and no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The status of the answer. `None` where a fault lets none arrive: hang, reset, torn head.
    pub status: Option<u16>,
    /// The user ids that the scope names, in its order. Empty for all but `POST /auth/issue-token`.
    pub user_ids: Vec<String>,
    /// `scope` as sent, if it was a string.
    pub scope: Option<String>,
    /// `expires_in` as sent: a string as it is, anything else as JSON.
    pub expires_in: Option<String>,
}

/// Calls of one emulator. The counts go on when old calls have been dropped.
#[derive(Debug, Default)]
pub(super) struct Log {
    calls: VecDeque<Call>,
    token_requests: usize,
    token_requests_for: HashMap<String, usize>,
}

impl Log {
    /// So that an emulator that runs for days in development does not grow with every call.
    pub(super) const CAPACITY: usize = 10_000;

    pub(super) fn push(&mut self, call: Call, issuing: bool) {
        if issuing {
            self.token_requests += 1;
            for user_id in &call.user_ids {
                *self.token_requests_for.entry(user_id.clone()).or_default() += 1;
            }
        }
        if self.calls.len() == Self::CAPACITY {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(super) fn token_requests(&self) -> usize {
        self.token_requests
    }

    pub(super) fn token_requests_for(&self, user_id: &str) -> usize {
        self.token_requests_for
            .get(user_id)
            .copied()
            .unwrap_or_default()
    }
}
