//! What the log says of a store in trouble.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{SharedCacheError, envelope::Poison};
use crate::{
    error::chain,
    events::{self, OnceAMinute, Tally},
};

/// Says when the store begins to be left alone, once a minute while that lasts, and when it works
/// again; not for every user.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// From when it was said that the store is left alone until it was said that it works.
    lasting: Option<OnceAMinute>,
    poison: OnceAMinute,
    last_error: Option<String>,
}

impl Trouble {
    /// An operation has failed. `opens` says whether the store is left alone because of it; it is
    /// asked under the lock, so that whoever finds it well in the same moment is second.
    pub(super) fn failed(
        &self,
        operation: &'static str,
        error: &SharedCacheError,
        now: Instant,
        opens: impl FnOnce() -> bool,
    ) {
        let line = chain(error);
        let mut state = self.lock();
        state.last_error = Some(line.clone());
        if opens() {
            state.lasting.get_or_insert_default();
        }
        let tally = state.lasting.as_mut().and_then(|since| since.count(now));
        drop(state);
        let Some(Tally { count, within_s }) = tally else {
            debug!(
                target: events::SHARED_CACHE,
                operation,
                error.message = line,
                "an operation of the shared cache has failed"
            );
            return;
        };
        warn!(
            target: events::SHARED_CACHE,
            operation,
            error.message = line,
            failures = count,
            within_s,
            "the shared cache is in trouble and left alone: users notice nothing, Courier is asked \
             more often; see whether the store is reachable, has memory left, and lets this user \
             read and write"
        );
    }

    /// An operation was the first to work again, if nothing else `is_left_alone`.
    pub(super) fn ended(&self, operation: &'static str, is_left_alone: impl FnOnce() -> bool) {
        let mut state = self.lock();
        // A store that is read again and takes no writes is still in trouble.
        if is_left_alone() || state.lasting.take().is_none() {
            return;
        }
        drop(state);
        info!(
            target: events::SHARED_CACHE,
            operation, "the shared cache works again"
        );
    }

    /// A value is not what it should be. The store works, so this is nothing that ends.
    pub(super) fn poisoned(&self, poison: Poison, now: Instant) {
        let Poison(line) = poison;
        let mut state = self.lock();
        state.last_error = Some(format!("a value was thrown away: {line}"));
        let tally = state.poison.count(now);
        drop(state);
        if let Some(Tally { count, within_s }) = tally {
            warn!(
                target: events::SHARED_CACHE,
                thrown_away = count,
                within_s,
                error.message = line,
                "a value in the shared cache was thrown away: users notice nothing; see who else \
                 writes there, an attacker or another program under the same prefix, and whether a \
                 replica's clock is wrong"
            );
        }
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
