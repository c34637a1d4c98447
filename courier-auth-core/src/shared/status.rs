/// How the shared cache is doing, part of [`Status`](crate::Status). Counts begin when the provider
/// was built.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SharedCacheStatus {
    /// Tokens that another replica had, so that Courier was not asked.
    pub hits: u64,
    /// Look-ups that found no token, or none that was better and fresh.
    pub misses: u64,
    /// Operations of the store that failed or took too long.
    pub errors: u64,
    /// Operations that were left out: the store had failed, or too many were under way.
    pub bypassed: u64,
    /// Values under our keys that are not ours, were changed or moved, or come from a replica whose
    /// clock is wrong.
    pub poisoned: u64,
    /// Background refreshes that were left to another replica.
    pub yielded: u64,
    /// Whether the store is left alone at the moment because it failed.
    pub circuit_open: bool,
    /// What went wrong last, however long ago.
    pub last_error: Option<String>,
}
