use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::OwnedSemaphorePermit;

use super::breaker::Probe;

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Foreground,
    Background,
}

impl Urgency {
    /// For logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
            Self::Background => "background",
        }
    }
}

/// What a flight holds until it has landed.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) epochs: Epochs,
    pub(super) probes: Vec<Probe>,
    pub(super) permit: Option<Permit>,
    pub(super) ticket: Option<Ticket>,
    pub(super) look: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// Whether it is good for a look and not for a call.
    pub(crate) fn is_for_a_look(&self) -> bool {
        self.look.is_some()
    }

    /// Whether it has to [`wait`](super::upstream::Gate::wait) for its permit.
    pub(crate) fn is_queued(&self) -> bool {
        self.permit.is_none()
    }
}

/// When a flight was let through: what has changed since is not to be learnt from its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Epochs {
    /// API keys before the one that it sent.
    pub(crate) key: u64,
    pub(super) latch: u64,
    pub(super) breaker: u64,
}

/// The right to one call.
#[derive(Debug)]
pub(crate) struct Permit {
    _call: OwnedSemaphorePermit,
    _background: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// A background call holds one of the permits of its kind as well.
    pub(super) fn new(
        call: OwnedSemaphorePermit,
        background: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            _call: call,
            _background: background,
        }
    }
}

/// A place in the queue for a permit.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    pub(super) fn take(queued: &Arc<AtomicUsize>) -> Option<Self> {
        let place = queued.fetch_add(1, Ordering::Relaxed);
        // Gives the place back when it was one too many.
        let ticket = Self(Arc::clone(queued));
        (place < MAX_QUEUED).then_some(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const MAX_QUEUED: usize = 256;
