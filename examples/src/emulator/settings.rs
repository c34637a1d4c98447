//! What is not known of Courier, or not the same each time, and therefore can be chosen.

use serde::{Deserialize, Serialize};

/// How the emulator behaves where Courier's behaviour is not known, or is a choice of Courier's.
///
/// Changed with [`Courier::configure`](super::Courier::configure), or with `PATCH /emulator/settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The answer to a good token that lacks the scope or names another user. Default: [`MissingScope::Empty`].
    pub missing_scope: MissingScope,
    /// What becomes of an open socket when its token expires. Default: closed with 1008.
    pub at_expiry: AtExpiry,
    /// What a client sees that names no tenant. Default: [`TenantRule::All`].
    pub tenants: TenantRule,
    /// Whether the socket answers pings. Clients leave a socket that does not. Default: yes.
    pub answer_pings: bool,
    /// After how many quiet seconds a client sends a ping. Default: 60.
    pub ping_interval: u32,
    /// How many pings a client lets go unanswered. Default: 3.
    pub max_outstanding_pings: u32,
    /// Whether the workspace has published a page of preferences. Default: yes.
    pub preference_page: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            missing_scope: MissingScope::Empty,
            at_expiry: AtExpiry::Close(POLICY_VIOLATION),
            tenants: TenantRule::All,
            answer_pings: true,
            ping_interval: 60,
            max_outstanding_pings: 3,
            preference_page: true,
        }
    }
}

/// The answer to a token that is good but not for this. Of REST calls, and of writes in GraphQL, it is a 403 in any
/// case but one: [`Errors`](Self::Errors) is for writes in GraphQL too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MissingScope {
    /// Reads find nothing: what Courier's documentation says clients see.
    Empty,
    /// 200 with `errors` and `data: null`.
    Errors,
    /// 403 with Courier's error body.
    Forbidden,
}

/// What becomes of an open socket when its token expires. A new one is refused with a 401 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AtExpiry {
    /// It stays open and goes on getting messages.
    Stay,
    /// It is closed with this code. After 1000 clients do not come back, after any other they do.
    Close(u16),
}

/// What a client sees that names no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TenantRule {
    /// The whole inbox, the messages of tenants too.
    All,
    /// Only messages that belong to no tenant.
    Own,
}

/// RFC 6455's code for a message, or a client, that the server does not put up with.
const POLICY_VIOLATION: u16 = 1008;
