use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::{SharedCacheError, SharedCacheStatus, envelope::Poison, trouble::Trouble};
use crate::{
    cache::breaker::Breaker,
    error::{Error, ErrorKind},
    metrics,
};

/// Stands between the provider and a store that may be slow, down, full or wrong, and counts.
///
/// Reads and writes are broken off apart: a store that is full, or a replica that is read-only,
/// still answers reads, and a write that nobody waits for must not cost them.
#[derive(Debug)]
pub(super) struct Guard {
    reads: Circuit,
    writes: Circuit,
    counts: Counts,
    trouble: Trouble,
    /// What and where the store is, if that is known: one that does not answer cannot say so.
    address: Option<String>,
}

impl Guard {
    pub(super) fn new(address: Option<String>) -> Self {
        Self {
            address,
            reads: Circuit::new(),
            writes: Circuit::new(),
            counts: Counts::default(),
            trouble: Trouble::default(),
        }
    }

    /// Whether a read would be let through; one that would not is to be
    /// [left out](Self::left_out).
    pub(super) fn admits_read(&self, now: Instant) -> bool {
        self.reads.breaker.would_admit(now)
    }

    /// Lets a read through, if it is worth it, and no longer than `limit`.
    pub(super) async fn read<T>(
        &self,
        limit: Duration,
        read: impl Future<Output = Result<T, SharedCacheError>>,
    ) -> Option<T> {
        self.run(&self.reads, "read", limit, read).await
    }

    /// The same for a write.
    pub(super) async fn write<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        write: impl Future<Output = Result<T, SharedCacheError>>,
    ) -> Option<T> {
        self.run(&self.writes, operation, limit, write).await
    }

    /// Notes that what was found is not what it should be.
    pub(super) fn poisoned(&self, poison: Poison) {
        metrics::shared_poisoned();
        self.counts.poisoned.fetch_add(1, Ordering::Relaxed);
        self.trouble.poisoned(poison, Instant::now());
    }

    pub(super) fn looked(&self, hit: bool) {
        let count = if hit {
            &self.counts.hits
        } else {
            &self.counts.misses
        };
        count.fetch_add(1, Ordering::Relaxed);
        metrics::shared_lookup(hit);
    }

    pub(super) fn yielded(&self) {
        self.counts.yielded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left_out(&self, operation: &'static str) {
        self.counts.bypassed.fetch_add(1, Ordering::Relaxed);
        metrics::shared_operation(operation, "bypassed", None);
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.reads.breaker.is_open() || self.writes.breaker.is_open()
    }

    pub(super) fn status(&self) -> SharedCacheStatus {
        let counts = &self.counts;
        SharedCacheStatus {
            hits: counts.hits.load(Ordering::Relaxed),
            misses: counts.misses.load(Ordering::Relaxed),
            errors: counts.errors.load(Ordering::Relaxed),
            bypassed: counts.bypassed.load(Ordering::Relaxed),
            poisoned: counts.poisoned.load(Ordering::Relaxed),
            yielded: counts.yielded.load(Ordering::Relaxed),
            circuit_open: self.is_bypassed(),
            last_error: self.trouble.last_error(),
        }
    }

    async fn run<T>(
        &self,
        circuit: &Circuit,
        operation: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T, SharedCacheError>>,
    ) -> Option<T> {
        let Ok(pass) = circuit.breaker.admit(Instant::now()) else {
            self.left_out(operation);
            return None;
        };
        let since = Instant::now();
        let note = |outcome| metrics::shared_operation(operation, outcome, Some(since.elapsed()));
        let error = match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(Ok(done))) => {
                note("ok");
                if circuit.works() {
                    self.trouble.ended(operation, || self.is_bypassed());
                }
                return Some(done);
            }
            Ok(Ok(Err(error))) => {
                note("error");
                error
            }
            Ok(Err(_panic)) => {
                note("error");
                SharedCacheError::new("the store panicked")
            }
            Err(_elapsed) => {
                note("timeout");
                SharedCacheError::new(match &self.address {
                    Some(address) => format!("{address}: no answer within {limit:?}"),
                    None => format!("no answer within {limit:?}"),
                })
            }
        };
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        self.trouble.failed(operation, &error, now, || {
            circuit.fails(pass.epoch, now, &error)
        });
        None
    }
}

/// Counts failures in a row, and stops asking for a while after too many.
#[derive(Debug)]
struct Circuit {
    breaker: Arc<Breaker>,
    failures: AtomicU32,
}

impl Circuit {
    fn new() -> Self {
        Self {
            breaker: Breaker::new(FIRST_PAUSE, LONGEST_PAUSE),
            failures: AtomicU32::new(0),
        }
    }

    /// Returns whether that is news.
    fn works(&self) -> bool {
        self.failures.store(0, Ordering::Relaxed);
        self.breaker.close()
    }

    /// Returns whether the store is left alone from now on.
    fn fails(&self, epoch: u64, now: Instant, error: &SharedCacheError) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < FAILURES_TO_OPEN {
            return false;
        }
        let reason = Error::new(ErrorKind::Unavailable, error.to_string());
        let pause = self.breaker.open(epoch, now, reason, fastrand::f64());
        pause.is_some()
    }
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    errors: AtomicU64,
    bypassed: AtomicU64,
    poisoned: AtomicU64,
    yielded: AtomicU64,
}

const FAILURES_TO_OPEN: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
