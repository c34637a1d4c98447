use std::time::{Duration, SystemTime};

#[cfg(test)]
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// One reading of both clocks.
///
/// The monotonic clock stands still while a laptop sleeps, the wall clock can be set back; a
/// token is over when either says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) mono: Instant,
}

/// When something ends, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    wall: SystemTime,
    mono: Instant,
}

impl Expiry {
    /// The end of something that lasts for `life` from `start`.
    pub(crate) fn after(start: Moment, life: Duration) -> Self {
        Self {
            wall: start.wall + life,
            mono: start.mono + life,
        }
    }

    pub(crate) fn remaining(&self, now: Moment) -> Duration {
        let wall = self.wall.duration_since(now.wall).unwrap_or_default();
        wall.min(self.mono.saturating_duration_since(now.mono))
    }
}

/// Where the time comes from: the system, or a test.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    #[cfg(test)]
    Manual(Arc<ManualClock>),
}

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::System => Moment {
                wall: SystemTime::now(),
                mono: Instant::now(),
            },
            #[cfg(test)]
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A wall clock that follows Tokio's (paused) time and can be stepped against it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    start: Moment,
    /// Forward and backward steps so far.
    steps: Mutex<(Duration, Duration)>,
}

#[cfg(test)]
impl ManualClock {
    /// Starts at a whole second, so that `exp` claims are exact.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Moment {
                wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
                mono: Instant::now(),
            },
            steps: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Moment {
        let mono = Instant::now();
        let (forward, backward) = *self.steps.lock().expect("no panic while held");
        Moment {
            wall: self.start.wall + (mono - self.start.mono) + forward - backward,
            mono,
        }
    }

    /// Steps the wall clock forward: somebody set it, or the machine slept.
    pub(crate) fn step_forward(&self, by: Duration) {
        self.steps.lock().expect("no panic while held").0 += by;
    }

    /// Steps the wall clock back.
    pub(crate) fn step_back(&self, by: Duration) {
        self.steps.lock().expect("no panic while held").1 += by;
    }
}
