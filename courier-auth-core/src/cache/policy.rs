//! When a token is served, refreshed, waited for or refused: numbers in, decision out.
//!
//! Nothing here reads a clock, takes a lock or draws a random number, and nothing is imported
//! from the rest of the crate, so that simulations and benchmarks can include this file by path.
//! Random numbers come in as `u`, uniform in `[0, 1)`.
//!
//! With `L` = the token's lifetime and `r` = what is left of it:
//!
//! | zone     | bound                                   | `L` = 1 h       |
//! |----------|-----------------------------------------|-----------------|
//! | fresh    | `r > A·j`, `A = min(L/4, 60 min)`       | > 15-20 min     |
//! | aging    | `E < r`, `E = min(5 min, L/12)`         | 5 … 15-20 min   |
//! | expiring | `G < r`, `G = min(30 s, L/20)`          | 30 s … 5 min    |
//! | expired  | `r <= G`                                | < 30 s          |
//!
//! `j` in `[1, 4/3)` is drawn once per token and only ever moves a refresh earlier. The windows
//! are fractions of the lifetime, so that short tokens do not storm.

use std::time::Duration;

/// The bounds between the zones of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Windows {
    /// `A·j`: from here on a better token is fetched in the background.
    pub(crate) aging: Duration,
    /// `E`: from here on a caller waits a moment for the better token.
    pub(crate) expiring: Duration,
    /// `G`: network time and clock skew; with less than this left a token is not handed out.
    pub(crate) grace: Duration,
}

impl Windows {
    pub(crate) fn new(lifetime: Duration, u: f64) -> Self {
        let jitter = 1.0 + u / 3.0;
        Self::from_aging(lifetime, (lifetime / 4).min(MAX_AGING).mul_f64(jitter))
    }

    /// With an `A·j` that was drawn before.
    pub(crate) fn from_aging(lifetime: Duration, aging: Duration) -> Self {
        Self {
            aging,
            expiring: (lifetime / 12).min(MAX_EXPIRING),
            grace: (lifetime / 20).min(MAX_GRACE),
        }
    }

    pub(crate) fn zone(&self, remaining: Duration) -> Zone {
        if remaining > self.aging {
            Zone::Fresh
        } else if remaining > self.expiring {
            Zone::Aging
        } else if remaining > self.grace {
            Zone::Expiring
        } else {
            Zone::Expired
        }
    }

    /// When the holder of a token should ask for the next one: inside the aging zone, spread so
    /// that tabs and replicas do not come together, with time left for several tries.
    pub(crate) fn refresh_in(&self, remaining: Duration, u: f64) -> Duration {
        // In whole milliseconds: with `Duration`s it takes three times as long.
        let millis = |time: Duration| time.as_secs() * 1000 + u64::from(time.subsec_millis());
        let left = millis(remaining);
        let ahead = (millis(self.expiring) as f64 * (1.2 + 1.2 * u)) as u64;
        let latest = left.saturating_sub(2 * millis(self.grace));
        let earliest = millis(MIN_REFRESH_IN).min(left / 2);
        let wanted = left.saturating_sub(ahead);
        Duration::from_millis(wanted.min(latest).max(earliest))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Fresh,
    Aging,
    Expiring,
    /// No token, or none that may be handed out.
    Expired,
}

/// What the caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A token.
    Any,
    /// A newer one than the one that is cached, which the caller holds.
    Newer,
    /// Another one at once, because Courier refused the one that is cached.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Hand out the cached token.
    Serve,
    /// Hand out the cached token and fetch a better one meanwhile.
    ServeAndRefresh,
    /// Wait this long for a better token; then hand out the cached one if it is usable.
    Wait(Duration),
    /// There is nothing to hand out and it is too early to ask Courier again.
    Refuse,
}

/// The table. `backing_off` = the last refresh failed and its backoff has not passed.
pub(crate) fn plan(zone: Zone, demand: Demand, backing_off: bool) -> Plan {
    // Before the zones, so that an upstream that fails costs nothing per request.
    if backing_off {
        return match zone {
            Zone::Expired => Plan::Refuse,
            Zone::Fresh | Zone::Aging | Zone::Expiring => Plan::Serve,
        };
    }
    match (zone, demand) {
        (Zone::Expired, _) | (_, Demand::Other) => Plan::Wait(HARD_WAIT),
        (Zone::Expiring, _) => Plan::Wait(SOFT_WAIT),
        (Zone::Aging, Demand::Newer) => Plan::Wait(RENEWAL_WAIT),
        (Zone::Aging, Demand::Any) => Plan::ServeAndRefresh,
        (Zone::Fresh, _) => Plan::Serve,
    }
}

/// How long to leave Courier alone about one user after `failures` (>= 1) failed refreshes.
///
/// Computed when it is asked for rather than when the refresh failed, so that a token that runs
/// out meanwhile shortens the wait.
pub(crate) fn backoff(failures: u32, zone: Zone, u: f64) -> Duration {
    let (first, cap) = match zone {
        Zone::Fresh | Zone::Aging => (Duration::from_secs(5), Duration::from_secs(60)),
        Zone::Expiring => (Duration::from_secs(5), Duration::from_secs(15)),
        Zone::Expired => (Duration::from_secs(1), Duration::from_secs(15)),
    };
    let doublings = failures.saturating_sub(1).min(16);
    (first * 2_u32.pow(doublings))
        .min(cap)
        .mul_f64(0.5 + 0.5 * u)
}

/// Whether a token that Courier is said to have refused is worth another call: a browser that
/// reports every token must not become a way to hammer Courier.
pub(crate) fn may_replace(age: Duration, since_last: Option<Duration>, recent: usize) -> bool {
    age >= MIN_REPLACED_AGE
        && since_last.is_none_or(|since| since >= REPLACEMENT_GAP)
        && recent < MAX_REPLACEMENTS
}

/// How long to wait before another replica's token is looked for again: that replica, if there is
/// one, has asked Courier by then.
pub(crate) fn look_again(u: f64) -> Duration {
    Duration::from_secs_f64(1.0 + u)
}

/// How long the replacements that count as recent lie back.
pub(crate) const REPLACEMENT_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Replacements per user within the window.
pub(crate) const MAX_REPLACEMENTS: usize = 3;
/// A token younger than this was issued moments ago; another would be refused as well.
const MIN_REPLACED_AGE: Duration = Duration::from_secs(10);
const REPLACEMENT_GAP: Duration = Duration::from_secs(30);

/// How long a caller without a usable token waits.
pub(crate) const HARD_WAIT: Duration = Duration::from_secs(5);
/// How long a caller waits who can still have the old token, close to its end.
const SOFT_WAIT: Duration = Duration::from_secs(1);
/// How long a browser that comes for the next token waits, with minutes to spare.
const RENEWAL_WAIT: Duration = Duration::from_millis(750);

const MAX_AGING: Duration = Duration::from_secs(60 * 60);
/// Higher than AWS's 60 s on purpose: the token goes to a browser, which needs time to come back.
const MAX_EXPIRING: Duration = Duration::from_secs(5 * 60);
const MAX_GRACE: Duration = Duration::from_secs(30);
const MIN_REFRESH_IN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn windows_for_the_usual_lifetimes() {
        // lifetime, A, E, G
        let table = [
            (MINUTE, 15.0, 5.0, 3.0),
            (5 * MINUTE, 75.0, 25.0, 15.0),
            (HOUR, 900.0, 300.0, 30.0),
            (24 * HOUR, 3600.0, 300.0, 30.0),
        ];
        for (lifetime, aging, expiring, grace) in table {
            let windows = Windows::new(secs(lifetime), 0.0);
            assert_eq!(
                windows,
                Windows {
                    aging: Duration::from_secs_f64(aging),
                    expiring: Duration::from_secs_f64(expiring),
                    grace: Duration::from_secs_f64(grace),
                },
                "lifetime {lifetime} s"
            );
        }
    }

    #[test]
    fn refresh_in_for_the_usual_lifetimes() {
        // lifetime, latest (u = 0), earliest (u -> 1)
        let table = [
            (MINUTE, 54, 48),
            (5 * MINUTE, 270, 240),
            (HOUR, 54 * MINUTE, 48 * MINUTE),
            (24 * HOUR, 24 * HOUR - 6 * MINUTE, 24 * HOUR - 12 * MINUTE),
        ];
        for (lifetime, latest, earliest) in table {
            let windows = Windows::new(secs(lifetime), 0.0);
            assert_eq!(windows.refresh_in(secs(lifetime), 0.0), secs(latest));
            assert_eq!(windows.refresh_in(secs(lifetime), 1.0), secs(earliest));
            let at_that_time = secs(lifetime - latest);
            assert_eq!(windows.zone(at_that_time), Zone::Aging);
        }
    }

    #[test]
    fn refresh_in_of_a_token_near_its_end() {
        let windows = Windows::new(secs(HOUR), 0.0);
        assert_eq!(windows.refresh_in(secs(200), 0.5), secs(30));
        assert_eq!(windows.refresh_in(secs(40), 0.5), secs(20));
        assert_eq!(windows.refresh_in(Duration::ZERO, 0.5), Duration::ZERO);
    }

    #[test]
    fn zones_at_their_bounds() {
        let windows = Windows::new(secs(HOUR), 0.0);
        for (remaining, zone) in [
            (secs(HOUR), Zone::Fresh),
            (secs(901), Zone::Fresh),
            (secs(900), Zone::Aging),
            (secs(301), Zone::Aging),
            (secs(300), Zone::Expiring),
            (secs(31), Zone::Expiring),
            (secs(30), Zone::Expired),
            (Duration::ZERO, Zone::Expired),
        ] {
            assert_eq!(windows.zone(remaining), zone, "{remaining:?}");
        }
    }

    #[test]
    fn jitter_only_moves_a_refresh_earlier() {
        for lifetime in [10, MINUTE, HOUR, 24 * HOUR, 1000 * 24 * HOUR] {
            let plain = Windows::new(secs(lifetime), 0.0);
            for step in 0..100 {
                let jittered = Windows::new(secs(lifetime), f64::from(step) / 100.0);
                assert!(jittered.aging >= plain.aging);
                assert!(jittered.aging < secs(lifetime));
            }
        }
    }

    #[test]
    fn the_table() {
        use Demand::{Any, Newer, Other};
        use Plan::{Refuse, Serve, ServeAndRefresh, Wait};
        for (zone, demand, wanted, backing_off) in [
            (Zone::Fresh, Any, Serve, Serve),
            (Zone::Fresh, Newer, Serve, Serve),
            (Zone::Fresh, Other, Wait(HARD_WAIT), Serve),
            (Zone::Aging, Any, ServeAndRefresh, Serve),
            (Zone::Aging, Newer, Wait(RENEWAL_WAIT), Serve),
            (Zone::Aging, Other, Wait(HARD_WAIT), Serve),
            (Zone::Expiring, Any, Wait(SOFT_WAIT), Serve),
            (Zone::Expiring, Newer, Wait(SOFT_WAIT), Serve),
            (Zone::Expiring, Other, Wait(HARD_WAIT), Serve),
            (Zone::Expired, Any, Wait(HARD_WAIT), Refuse),
            (Zone::Expired, Newer, Wait(HARD_WAIT), Refuse),
            (Zone::Expired, Other, Wait(HARD_WAIT), Refuse),
        ] {
            assert_eq!(plan(zone, demand, false), wanted, "{zone:?} {demand:?}");
            assert_eq!(plan(zone, demand, true), backing_off, "{zone:?} {demand:?}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        for (failures, zone, longest) in [
            (1, Zone::Fresh, 5),
            (2, Zone::Aging, 10),
            (5, Zone::Aging, 60),
            (u32::MAX, Zone::Aging, 60),
            (1, Zone::Expiring, 5),
            (3, Zone::Expiring, 15),
            (1, Zone::Expired, 1),
            (4, Zone::Expired, 8),
            (9, Zone::Expired, 15),
        ] {
            assert_eq!(backoff(failures, zone, 1.0), secs(longest));
            assert_eq!(backoff(failures, zone, 0.0), secs(longest) / 2);
        }
    }

    #[test]
    fn replacements_are_few() {
        assert!(may_replace(secs(10), None, 0));
        assert!(!may_replace(secs(9), None, 0));
        assert!(may_replace(secs(10), Some(secs(30)), 2));
        assert!(!may_replace(secs(10), Some(secs(29)), 1));
        assert!(!may_replace(secs(10), Some(secs(90)), 3));
    }
}
