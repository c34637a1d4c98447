//! Whether a replica may call Courier: permits, the queue for them, and the breaker. As `upstream`
//! and `breaker` in courier-auth-core, on simulated time.

use std::collections::VecDeque;

use crate::setup::{SECOND, Time};

#[derive(Debug, Default)]
pub(crate) struct Gate {
    calls: usize,
    background: usize,
    looks: usize,
    /// Flights that wait for a permit. Those that gave up are skipped when their turn comes.
    queue: VecDeque<u32>,
    queued: usize,
    phase: Phase,
    openings: u32,
    failures: u32,
    first: Option<u32>,
    several_users: bool,
}

/// What a flight was admitted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) permit: bool,
    pub(crate) background: bool,
    pub(crate) probe: bool,
    pub(crate) look: bool,
}

/// Refused, and for how long.
pub(crate) struct Refused(pub(crate) Time);

impl Gate {
    /// Whether a flight may look for another replica's token first.
    pub(crate) fn admit_look(&mut self) -> Option<Admission> {
        (self.looks < MAX_LOOKS).then(|| {
            self.looks += 1;
            Admission {
                look: true,
                ..Admission::default()
            }
        })
    }

    pub(crate) fn admit(&mut self, background: bool, now: Time) -> Result<Admission, Refused> {
        let permit =
            self.calls < MAX_CALLS && (!background || self.background < MAX_BACKGROUND_CALLS);
        if !permit && (background || self.queued >= MAX_QUEUED) {
            return Err(Refused(SECOND));
        }
        let probe = self.check(now)?;
        if permit {
            self.calls += 1;
            self.background += usize::from(background);
        }
        Ok(Admission {
            permit,
            background: permit && background,
            probe,
            look: false,
        })
    }

    pub(crate) fn queue(&mut self, flight: u32) {
        self.queue.push_back(flight);
        self.queued += 1;
    }

    /// A flight in the queue gave up.
    pub(crate) fn unqueue(&mut self, flight: u32) {
        if let Some(at) = self.queue.iter().position(|queued| *queued == flight) {
            self.queue.remove(at);
            self.queued -= 1;
        }
    }

    /// The next of the queue, if there is a permit for it: it holds one now.
    pub(crate) fn next(&mut self) -> Option<u32> {
        if self.calls >= MAX_CALLS {
            return None;
        }
        let flight = self.queue.pop_front()?;
        self.queued -= 1;
        self.calls += 1;
        Some(flight)
    }

    /// Whether Courier is worth a call; `true` if the call is the probe.
    pub(crate) fn check(&mut self, now: Time) -> Result<bool, Refused> {
        match self.phase {
            Phase::Closed => Ok(false),
            Phase::Open { until } if now >= until => {
                self.phase = Phase::Probing { since: until };
                Ok(true)
            }
            Phase::Open { until } => Err(Refused(until - now)),
            Phase::Probing { .. } => Err(Refused(SECOND)),
        }
    }

    pub(crate) fn release(&mut self, admission: Admission) {
        self.calls -= usize::from(admission.permit);
        self.background -= usize::from(admission.background);
        self.looks -= usize::from(admission.look);
        if admission.probe
            && let Phase::Probing { since } = self.phase
        {
            self.phase = Phase::Open { until: since };
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.first = None;
        self.several_users = false;
        self.phase = Phase::Closed;
        self.openings = 0;
    }

    pub(crate) fn failed(&mut self, user: u32, now: Time, u: f64) {
        self.failures += 1;
        self.several_users |= *self.first.get_or_insert(user) != user;
        if self.failures < FAILURES_TO_OPEN || !self.several_users {
            return;
        }
        if matches!(self.phase, Phase::Open { until } if until > now) {
            return;
        }
        let pause = (FIRST_PAUSE << self.openings.min(16)).min(LONGEST_PAUSE);
        let pause = ((pause as f64 * (0.8 + 0.4 * u)) as Time).min(LONGEST_PAUSE);
        self.phase = Phase::Open { until: now + pause };
        self.openings += 1;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.calls + self.background + self.looks + self.queued == 0 && self.queue.is_empty()
    }
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Time,
    },
    Probing {
        since: Time,
    },
}

const MAX_CALLS: usize = 16;
const MAX_BACKGROUND_CALLS: usize = 12;
const MAX_QUEUED: usize = 256;
const MAX_LOOKS: usize = 1024;
pub(crate) const QUEUE_WAIT: Time = 10 * SECOND;
const FAILURES_TO_OPEN: u32 = 5;
const FIRST_PAUSE: Time = 5 * SECOND;
const LONGEST_PAUSE: Time = 60 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_and_queue() {
        let gate = &mut Gate::default();
        for _ in 0..MAX_BACKGROUND_CALLS {
            assert!(gate.admit(true, 0).is_ok_and(|admitted| admitted.permit));
        }
        assert!(gate.admit(true, 0).is_err(), "background never queues");
        for _ in MAX_BACKGROUND_CALLS..MAX_CALLS {
            assert!(gate.admit(false, 0).is_ok_and(|admitted| admitted.permit));
        }
        for flight in 0..MAX_QUEUED as u32 {
            assert!(gate.admit(false, 0).is_ok_and(|admitted| !admitted.permit));
            gate.queue(flight);
        }
        assert!(gate.admit(false, 0).is_err(), "the queue is bounded");
        assert_eq!(gate.next(), None);
        gate.unqueue(0);
        gate.release(Admission {
            permit: true,
            background: true,
            ..Admission::default()
        });
        assert_eq!(gate.next(), Some(1));
    }

    #[test]
    fn pauses_of_the_breaker() {
        let gate = &mut Gate::default();
        for _ in 0..10 {
            gate.failed(1, 0, 0.5);
        }
        assert!(gate.check(0).is_ok(), "one user's trouble is no outage");
        gate.failed(2, 0, 0.5);
        let mut now = 0;
        for pause in [5, 10, 20, 40, 60, 60] {
            assert!(gate.check(now + pause * SECOND - 1).is_err());
            now += pause * SECOND;
            assert!(gate.check(now).is_ok_and(|probe| probe));
            assert!(gate.check(now).is_err(), "one probe at a time");
            gate.failed(3, now, 0.5);
        }
        gate.succeeded();
        assert!(gate.check(now).is_ok_and(|probe| !probe));
    }
}
