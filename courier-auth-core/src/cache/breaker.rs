use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::error::Error;

/// Leaves Courier alone for a while, then lets one caller try.
///
/// Used for failures that touch several users, for a refused API key, and for the store that
/// replicas share. Never terminal: after each pause exactly one probe goes through, and a probe that
/// is dropped without a verdict makes room for the next.
pub(crate) struct Breaker {
    first_pause: Duration,
    longest_pause: Duration,
    state: Mutex<State>,
}

impl Breaker {
    pub(crate) fn new(first_pause: Duration, longest_pause: Duration) -> Arc<Self> {
        Arc::new(Self {
            first_pause,
            longest_pause,
            state: Mutex::new(State {
                phase: Phase::Closed,
                epoch: 0,
                doublings: 0,
                reason: None,
                probes: 0,
            }),
        })
    }

    /// Lets a caller through, as the probe if it is the first after a pause; or says why not and
    /// for how long.
    pub(crate) fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, Refusal> {
        let mut state = self.lock();
        let epoch = state.epoch;
        let wait = match state.phase {
            Phase::Closed => return Ok(Pass { epoch, probe: None }),
            Phase::Open { until } if now < until => until - now,
            Phase::Probing { begun, .. } if now < begun + PROBE_LIMIT => PROBE_WAIT,
            Phase::Open { .. } | Phase::Probing { .. } => {
                state.probes += 1;
                let id = state.probes;
                state.phase = Phase::Probing { id, begun: now };
                let breaker = Arc::clone(self);
                return Ok(Pass {
                    epoch,
                    probe: Some(Probe { breaker, id }),
                });
            }
        };
        Err(Refusal {
            after: wait,
            reason: state.reason.clone(),
        })
    }

    /// Whether [`admit`](Self::admit) would let a caller through.
    #[cfg(feature = "shared-cache")]
    pub(crate) fn would_admit(&self, now: Instant) -> bool {
        match self.lock().phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::Probing { begun, .. } => now >= begun + PROBE_LIMIT,
        }
    }

    /// What is left of the pause.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        match self.lock().phase {
            Phase::Open { until } => until.checked_duration_since(now),
            Phase::Closed | Phase::Probing { .. } => None,
        }
    }

    /// How often it has opened. The failure of a call that was let through at another time is no
    /// news.
    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Pauses, longer each time until it is closed; jittered by `u` so that replicas do not probe
    /// together. Not for a call that was let through before the last time, however late it fails:
    /// that says nothing new.
    ///
    /// Returns for how long, if it does.
    pub(crate) fn open(&self, epoch: u64, now: Instant, reason: Error, u: f64) -> Option<Duration> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        let doublings = state.doublings.min(16);
        let pause = (self.first_pause * 2_u32.pow(doublings)).min(self.longest_pause);
        let asked = reason.retry_after().unwrap_or_default();
        let pause = pause.mul_f64(0.8 + 0.4 * u).max(asked);
        let pause = pause.min(self.longest_pause);
        state.phase = Phase::Open { until: now + pause };
        state.epoch += 1;
        state.doublings = state.doublings.saturating_add(1);
        state.reason = Some(reason);
        Some(pause)
    }

    /// Lets everybody through again. Returns whether that is news.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        let was_open = !matches!(state.phase, Phase::Closed);
        state.phase = Phase::Closed;
        state.doublings = 0;
        state.reason = None;
        was_open
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.lock().phase, Phase::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breaker").field(&self.lock().phase).finish()
    }
}

/// A call that may be made.
#[derive(Debug)]
pub(crate) struct Pass {
    /// How often the breaker had opened by then: what its failure is worth depends on it.
    pub(crate) epoch: u64,
    pub(crate) probe: Option<Probe>,
}

/// Why a caller may not ask Courier now.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) after: Duration,
    pub(crate) reason: Option<Error>,
}

/// The right to be the one that tries.
#[derive(Debug)]
pub(crate) struct Probe {
    breaker: Arc<Breaker>,
    id: u64,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut state = self.breaker.lock();
        if let Phase::Probing { id, begun } = state.phase
            && id == self.id
        {
            // No verdict: the next caller probes. The pause was over when this one began.
            state.phase = Phase::Open { until: begun };
        }
    }
}

struct State {
    phase: Phase,
    /// Counts openings.
    epoch: u64,
    /// Openings since it was closed.
    doublings: u32,
    reason: Option<Error>,
    probes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing { id: u64, begun: Instant },
}

/// What a caller is told to wait while somebody else probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Longer than any call with its time in the queue. A probe that is out for longer is lost: its
/// runtime stands still.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::error::ErrorKind;

    const FIRST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(60);

    fn down() -> Error {
        Error::new(ErrorKind::Unavailable, "down")
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_after_each_pause() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let now = Instant::now();
        let first = breaker.admit(now).unwrap();
        assert!(first.probe.is_none());
        breaker.open(first.epoch, now, down(), 0.5);
        assert_eq!(breaker.admit(now).unwrap_err().after, FIRST);
        let probe = breaker.admit(now + FIRST).unwrap().probe;
        assert!(probe.is_some());
        assert!(breaker.admit(now + FIRST).is_err(), "one probe at a time");
        breaker.close();
        drop(probe);
        assert!(breaker.admit(now + FIRST).unwrap().probe.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_without_verdict_makes_room_for_the_next() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let now = Instant::now();
        breaker.open(0, now, down(), 0.5);
        tokio::time::advance(FIRST).await;
        let now = Instant::now();
        drop(breaker.admit(now).unwrap());
        assert!(breaker.admit(now).unwrap().probe.is_some());
    }

    /// On a real clock a verdict carries a time that lies before the probe is given back.
    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_pauses_again_whatever_comes_first() {
        let breaker = Breaker::new(FIRST, LONGEST);
        breaker.open(0, Instant::now(), down(), 0.5);
        tokio::time::advance(FIRST).await;
        let verdict = Instant::now();
        let Pass { epoch, probe } = breaker.admit(verdict).unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        drop(probe);
        assert_eq!(breaker.open(epoch, verdict, down(), 0.5), Some(2 * FIRST));
        assert!(breaker.admit(Instant::now()).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_probe_does_not_end_a_newer_one() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let now = Instant::now();
        breaker.open(0, now, down(), 0.5);
        let old = breaker.admit(now + FIRST).unwrap();
        breaker.open(old.epoch, now + FIRST, down(), 0.5);
        let later = now + 4 * FIRST;
        let new = breaker.admit(later).unwrap();
        assert!(new.probe.is_some());
        drop(old);
        assert!(breaker.admit(later).is_err());
    }

    /// Its runtime stands still, and whoever would take its flight over does not come.
    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_never_given_back_does_not_stop_everybody_for_ever() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let now = Instant::now();
        breaker.open(0, now, down(), 0.5);
        let begun = now + 10 * FIRST;
        let lost = breaker.admit(begun).unwrap();
        assert!(lost.probe.is_some());
        let later = begun + Duration::from_secs(30);
        let sooner = later - Duration::from_millis(1);
        #[cfg(feature = "shared-cache")]
        assert!(!breaker.would_admit(sooner) && breaker.would_admit(later));
        assert!(breaker.admit(sooner).is_err());
        let next = breaker.admit(later).unwrap();
        assert!(next.probe.is_some());
        assert!(breaker.admit(later).is_err(), "one probe at a time");
        drop(lost);
        assert!(breaker.admit(later).is_err(), "the lost one says nothing");
    }

    /// Neither during the pause, nor when it is over, nor beside the probe or after it.
    #[tokio::test(start_paused = true)]
    async fn a_failure_from_before_a_pause_says_nothing() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let now = Instant::now();
        let early = breaker.admit(now).unwrap();
        let late = breaker.admit(now).unwrap();
        assert_eq!(breaker.epoch(), late.epoch);
        breaker.open(early.epoch, now, down(), 0.5);
        assert_ne!(breaker.epoch(), late.epoch);
        let over = now + FIRST;
        for at in [now, over] {
            assert_eq!(breaker.open(late.epoch, at, down(), 0.5), None);
        }
        let probe = breaker.admit(over).unwrap();
        assert!(probe.probe.is_some());
        assert_eq!(breaker.open(late.epoch, over, down(), 0.5), None);
        let pause = breaker.open(probe.epoch, over, down(), 0.5);
        assert_eq!(pause, Some(2 * FIRST));
        breaker.close();
        assert_eq!(breaker.open(late.epoch, over, down(), 0.5), None);
        assert!(breaker.admit(over).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest() {
        let breaker = Breaker::new(FIRST, LONGEST);
        let mut now = Instant::now();
        for expected in [5, 10, 20, 40, 60, 60] {
            let epoch = breaker.admit(now).unwrap().epoch;
            breaker.open(epoch, now, down(), 0.5);
            let after = breaker.admit(now).unwrap_err().after;
            assert_eq!(after, Duration::from_secs(expected));
            now += after;
        }
        // The next outage may be a short one.
        breaker.close();
        assert_eq!(breaker.open(breaker.epoch(), now, down(), 0.5), Some(FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_as_long_as_was_asked_for_up_to_the_longest() {
        for (asked, expected) in [(3, 5), (30, 30), (600, 60)] {
            let breaker = Breaker::new(FIRST, LONGEST);
            let reason = down().with_retry_after(Duration::from_secs(asked));
            let pause = breaker.open(0, Instant::now(), reason, 0.5);
            assert_eq!(pause, Some(Duration::from_secs(expected)));
        }
    }
}
