//! What goes up and down.
//!
//! A gauge is set when what it shows changes, from where that is kept, so that no task has to look
//! after it. Providers share the gauges: each adds its part, and takes it away when it is dropped.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ON, describe, set, table};

/// What one provider adds to the gauges.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Levels {
    pub(crate) users: usize,
    pub(crate) calls_in_flight: usize,
    pub(crate) queued: usize,
    pub(crate) circuit_open: bool,
    pub(crate) api_key_refused: bool,
    #[cfg(feature = "shared-cache")]
    pub(crate) shared_cache_bypassed: bool,
}

impl Levels {
    fn all(self) -> [(&'static table::Metric, usize); LEVELS] {
        [
            (&table::USERS, self.users),
            (&table::IN_FLIGHT, self.calls_in_flight),
            (&table::QUEUED, self.queued),
            (&table::CIRCUIT_OPEN, self.circuit_open.into()),
            (&table::KEY_REFUSED, self.api_key_refused.into()),
            #[cfg(feature = "shared-cache")]
            (&table::SHARED_BYPASSED, self.shared_cache_bypassed.into()),
        ]
    }
}

/// A provider's part of the gauges.
#[derive(Debug, Default)]
pub(crate) struct Share {
    shown: Mutex<[usize; LEVELS]>,
}

impl Share {
    /// Shows how things are. Must be called without locks that `levels` takes.
    pub(crate) fn show(&self, levels: impl FnOnce() -> Levels) {
        if !ON {
            return;
        }
        describe();
        // Held until all is set, so that what was read later is also set later.
        let mut totals = lock(&TOTALS);
        let mut shown = lock(&self.shown);
        let levels = levels().all();
        for ((total, shown), (metric, level)) in totals.iter_mut().zip(&mut *shown).zip(levels) {
            *total = *total - *shown + level;
            *shown = level;
            set(metric, *total as f64);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.show(Levels::default);
    }
}

/// Counts a caller as long as it waits.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn begin() -> Self {
        Self::change(|waiting| waiting + 1);
        Self(())
    }

    fn change(by: impl FnOnce(usize) -> usize) {
        if !ON {
            return;
        }
        let mut waiting = lock(&CALLERS);
        *waiting = by(*waiting);
        set(&table::WAITING, *waiting as f64);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        Self::change(|waiting| waiting - 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const LEVELS: usize = if cfg!(feature = "shared-cache") { 6 } else { 5 };
/// What all providers of the process show together.
static TOTALS: Mutex<[usize; LEVELS]> = Mutex::new([0; LEVELS]);
static CALLERS: Mutex<usize> = Mutex::new(0);
