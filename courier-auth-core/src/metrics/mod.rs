//! What is counted, for the recorder that the app has installed, if any.
//!
//! The rest of the crate calls the functions here. Without the feature `metrics` they are empty.
//! `table` has the names, `gauges` what goes up and down, `record` speaks to the recorder.

mod gauges;
#[cfg(feature = "metrics")]
mod record;
#[cfg(not(feature = "metrics"))]
#[path = "ignore.rs"]
mod record;
#[cfg_attr(
    not(feature = "metrics"),
    expect(dead_code, reason = "there is nobody to tell")
)]
mod table;
#[cfg(all(test, feature = "metrics", feature = "shared-cache"))]
mod tests;

use std::time::{Duration, SystemTime};

use self::record::{count, describe, observe, set};
pub(crate) use self::{
    gauges::{Levels, Share, Waiting},
    record::{cached, replied},
};
use crate::{cache::policy::Zone, error::ErrorKind};

/// Whether anything is recorded: guards what would have to be found out first.
pub(crate) const ON: bool = cfg!(feature = "metrics");

/// A caller got a token with so much left, other than a fresh one at once, which is
/// [`cached`].
pub(crate) fn served(zone: Zone, remaining: Duration, waited: bool) {
    let zone = match zone {
        Zone::Fresh => "fresh",
        Zone::Aging => "aging",
        // A token that is over is not handed out; this one ended on the way.
        Zone::Expiring | Zone::Expired => "expiring",
    };
    let outcome = if waited { "waited" } else { "cached" };
    count(&table::REQUESTS, [("zone", zone), ("outcome", outcome)]);
    if zone != "fresh" {
        observe(&table::REMAINING, [], remaining);
    }
}

/// A caller got none.
pub(crate) fn failed(kind: ErrorKind) {
    count(&table::REQUESTS, [("zone", "none"), ("outcome", "failed")]);
    count(&table::FAILURES, [("kind", kind.as_str())]);
}

/// A caller said that Courier had refused its token.
pub(crate) fn rejected(replaced: bool) {
    let outcome = if replaced { "replaced" } else { "kept" };
    count(&table::REJECTED, [("outcome", outcome)]);
}

/// A flight has finished.
pub(crate) fn flight_ended(urgency: &'static str, outcome: &'static str, took: Duration) {
    let outcome = ("outcome", outcome);
    count(&table::FLIGHTS, [("urgency", urgency), outcome]);
    observe(&table::FLIGHT_SECONDS, [outcome], took);
}

/// Courier was asked once, for the `n`th time in a flight. `outcome` is `issued` or the kind of an
/// error.
pub(crate) fn tried(n: u32, outcome: &'static str, took: Duration) {
    let n = match n {
        1 => "1",
        2 => "2",
        _ => "3",
    };
    count(&table::TRIES, [("try", n), ("outcome", outcome)]);
    observe(&table::TRY_SECONDS, [], took);
}

/// Courier may not be asked now.
pub(crate) fn skipped(kind: ErrorKind) {
    count(&table::SKIPPED, [("reason", kind.as_str())]);
}

pub(crate) fn evicted() {
    count(&table::EVICTIONS, []);
}

/// What Courier's clock and this machine's showed at the same time; good to a second.
pub(crate) fn clocks(ours: SystemTime, couriers: SystemTime) {
    let skew = match ours.duration_since(couriers) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    set(&table::CLOCK_SKEW, skew);
}

/// The shared cache was asked, or was not.
#[cfg(feature = "shared-cache")]
pub(crate) fn shared_operation(
    operation: &'static str,
    outcome: &'static str,
    took: Option<Duration>,
) {
    let operation = ("operation", operation);
    count(&table::SHARED_OPERATIONS, [operation, ("outcome", outcome)]);
    if let Some(took) = took {
        observe(&table::SHARED_SECONDS, [operation], took);
    }
}

#[cfg(feature = "shared-cache")]
pub(crate) fn shared_lookup(hit: bool) {
    let outcome = if hit { "hit" } else { "miss" };
    count(&table::SHARED_LOOKUPS, [("outcome", outcome)]);
}

#[cfg(feature = "shared-cache")]
pub(crate) fn shared_poisoned() {
    count(&table::SHARED_POISONED, []);
}
