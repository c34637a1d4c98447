use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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

impl Moment {
    /// This moment as the clocks of `now` would have shown it, if that is earlier: the wall clock
    /// may have been set back since.
    pub(crate) fn seen_from(self, now: Self) -> Self {
        let ago = now.mono.saturating_duration_since(self.mono);
        let wall = now.wall.checked_sub(ago).unwrap_or(self.wall);
        Self {
            wall: self.wall.min(wall),
            mono: self.mono,
        }
    }
}

/// When something ends, on both clocks. There is one for each cached user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    /// Nanoseconds since the epoch, which fit until the year 2554.
    wall: u64,
    mono: Tick,
}

impl Expiry {
    /// The end of something that lasts for `life` from `start`.
    pub(crate) fn after(start: Moment, life: Duration) -> Self {
        Self {
            wall: wall_nanos(start.wall).saturating_add(nanos(life)),
            mono: Tick::of(start.mono + life),
        }
    }

    pub(crate) fn remaining(&self, now: Moment) -> Duration {
        let wall = self.wall.saturating_sub(wall_nanos(now.wall));
        Duration::from_nanos(wall).min(self.mono.since(Tick::of(now.mono)))
    }

    /// How much of the whole `life` of what ends then has passed.
    pub(crate) fn elapsed(&self, life: Duration, now: Moment) -> Duration {
        life.saturating_sub(self.mono.since(Tick::of(now.mono)))
    }
}

/// An `Instant` in half its size: nanoseconds from the first one that was taken.
#[derive(Clone, Copy, Debug)]
struct Tick(i64);

impl Tick {
    fn of(instant: Instant) -> Self {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let first = *FIRST;
        Self(match instant.checked_duration_since(first) {
            Some(after) => nanos(after).cast_signed(),
            None => -nanos(first.saturating_duration_since(instant)).cast_signed(),
        })
    }

    /// How long ago the earlier one was; zero if it was not.
    fn since(self, earlier: Self) -> Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
    }
}

fn wall_nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// Up to 292 years, which no lifetime comes near.
fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds
        .saturating_add(u64::from(duration.subsec_nanos()))
        .min(i64::MAX as u64)
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

/// A wall clock that follows Tokio's (paused) time, sleeps like a laptop and can be set wrong.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    start: Moment,
    state: Mutex<ManualState>,
}

#[cfg(test)]
#[derive(Debug, Default)]
struct ManualState {
    /// Time during which the monotonic clock stood still.
    slept: Duration,
    ahead: Duration,
    behind: Duration,
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
            state: Mutex::default(),
        })
    }

    /// What the machine's clocks say.
    pub(crate) fn now(&self) -> Moment {
        let state = self.state.lock().expect("no panic while held");
        let mono = Instant::now();
        Moment {
            wall: self.start.wall + (mono - self.start.mono) + state.slept + state.ahead
                - state.behind,
            mono,
        }
    }

    /// What time it really is, for example at Courier.
    pub(crate) fn true_time(&self) -> SystemTime {
        let state = self.state.lock().expect("no panic while held");
        self.start.wall + (Instant::now() - self.start.mono) + state.slept
    }

    /// The machine sleeps: time passes, the monotonic clock stands still.
    pub(crate) fn sleep(&self, time: Duration) {
        self.state.lock().expect("no panic while held").slept += time;
    }

    /// Somebody sets the wall clock forward.
    pub(crate) fn set_forward(&self, by: Duration) {
        self.state.lock().expect("no panic while held").ahead += by;
    }

    /// Somebody sets the wall clock back.
    pub(crate) fn set_back(&self, by: Duration) {
        self.state.lock().expect("no panic while held").behind += by;
    }
}
