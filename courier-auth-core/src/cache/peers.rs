use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{runtime::Handle, time::Instant};

use super::clock::Moment;
#[cfg(feature = "shared-cache")]
use crate::shared::SharedCacheStatus;
use crate::{
    request::Grant,
    token::{Token, TokenId},
};

/// The other replicas, as far as a store that all share tells of them.
///
/// Nothing here fails: a store in trouble knows nothing. Everything but [`find`](Self::find) and
/// [`lock`](Self::lock) returns at once or is awaited when nobody waits any more.
#[async_trait]
pub(crate) trait Peers: fmt::Debug + Send + Sync + 'static {
    /// Whether looking is worth it now.
    fn admits_look(&self, now: Instant) -> bool;

    /// Counts a look that was not. To be called without locks.
    fn note_look_left_out(&self);

    /// The token that another replica was issued, other than the one to avoid. Within
    /// [`FIND_LIMIT`].
    async fn find(&self, grant: &Grant, avoid: Option<TokenId>) -> Found;

    /// Counts a look: whether it spared a call to Courier.
    fn looked(&self, hit: bool);

    /// Asks for the right to refresh. Within [`LOCK_LIMIT`].
    async fn lock(&self, grant: &Grant) -> Lock;

    async fn unlock(&self, lock: Held);

    /// Tells of a new token; `sent` is when it was asked for.
    async fn tell(&self, grant: &Grant, token: &Token, sent: Moment);

    /// Tells that tokens of this user that were issued before now are not to be used.
    fn forget(&self, user: Arc<str>, runtime: Option<&Handle>);

    /// The API key is another one from now on.
    fn set_api_key(&self, api_key: String);

    /// Whether the store is left alone because it failed.
    #[cfg(feature = "shared-cache")]
    fn is_bypassed(&self) -> bool;

    #[cfg(feature = "shared-cache")]
    fn status(&self) -> SharedCacheStatus;
}

/// What looking led to.
#[cfg_attr(
    not(feature = "shared-cache"),
    expect(dead_code, reason = "only a store makes them")
)]
#[derive(Debug)]
pub(crate) enum Found {
    /// One that can be used. It may be about to age.
    Token(Token),
    Nothing,
    /// The store was not asked or did not answer.
    Unknown,
}

#[cfg_attr(
    not(feature = "shared-cache"),
    expect(dead_code, reason = "only a store makes them")
)]
#[derive(Debug)]
pub(crate) enum Lock {
    Held(Held),
    /// Another replica has it.
    Taken,
    /// It is not known who has it: go on without.
    Unknown,
}

/// A lock that is to be given back.
#[cfg_attr(
    not(feature = "shared-cache"),
    expect(dead_code, reason = "only a store reads them")
)]
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) owner: String,
}

/// A store that takes longer is not worth waiting for: Courier itself takes some 100 ms.
pub(crate) const FIND_LIMIT: Duration = Duration::from_millis(50);
pub(crate) const LOCK_LIMIT: Duration = Duration::from_millis(100);
