use std::time::SystemTime;

use crate::error::Error;
#[cfg(feature = "shared-cache")]
use crate::shared::SharedCacheStatus;

/// How a provider is doing, for a health page.
///
/// A provider that is not doing well is no reason to take the app out of service: tokens that are
/// cached are served on.
///
/// The default is that of a provider that was not asked for anything yet, to test a health page with:
///
/// ```
/// use courier_auth_core::Status;
///
/// fn health(status: &Status) -> &'static str {
///     if status.circuit_open || status.api_key_refused { "degraded" } else { "ok" }
/// }
///
/// let mut status = Status::default();
/// assert_eq!(health(&status), "ok");
/// status.circuit_open = true;
/// assert_eq!(health(&status), "degraded");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// Users in the cache.
    pub users: usize,
    /// Calls to Courier under way, at most 16.
    pub calls_in_flight: usize,
    /// New users who wait for a call to become free, at most 256.
    pub queued: usize,
    /// Whether Courier is left alone because it failed for several users.
    pub circuit_open: bool,
    /// Whether Courier refused the API key when it was last asked.
    pub api_key_refused: bool,
    /// When Courier last issued a token, on this machine's clock.
    pub last_success_at: Option<SystemTime>,
    /// The last thing that went wrong, however long ago.
    pub last_error: Option<Error>,
    /// When that was, on this machine's clock.
    pub last_error_at: Option<SystemTime>,
    /// How the cache that is shared with other replicas is doing, if there is one.
    #[cfg(feature = "shared-cache")]
    pub shared_cache: Option<SharedCacheStatus>,
}
