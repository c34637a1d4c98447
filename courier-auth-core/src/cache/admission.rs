use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

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

/// What a flight holds until it has finished.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) epochs: Epochs,
    pub(super) probes: Vec<Probe>,
    pub(super) permit: Option<Permit>,
    pub(super) ticket: Option<Ticket>,
    pub(super) look: Option<LookPermit>,
}

/// The right to look for another replica's token, or a place in the queue for it.
#[derive(Debug)]
pub(super) enum LookPermit {
    Now(#[expect(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit),
    Later(Ticket),
}

impl Admission {
    /// Whether it is good for a look and not for a call.
    pub(crate) fn is_for_a_look(&self) -> bool {
        self.look.is_some()
    }

    /// Waits until it may look. `false` if it is not for a look.
    pub(crate) fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Some(LookPermit::Later(ticket)) = &mut self.look {
            self.look = match ticket.permit.poll_unpin(cx) {
                Poll::Ready(look) => look.ok().map(LookPermit::Now),
                Poll::Pending => return Poll::Pending,
            };
        }
        Poll::Ready(self.look.is_some())
    }

    /// Leaves the queue without a permit.
    pub(crate) fn give_up(&mut self) {
        self.ticket = None;
    }

    /// Whether it has to wait for its permit.
    pub(crate) fn is_queued(&self) -> bool {
        self.permit.is_none()
    }

    /// Waits in the queue for the permit. `None` if it is not in the queue.
    pub(crate) fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        match &mut self.ticket {
            Some(ticket) => {
                let permit = ticket.permit.poll_unpin(cx);
                permit.map(|call| Some(Permit::new(call.ok()?, None)))
            }
            None => Poll::Ready(None),
        }
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
pub(crate) struct Ticket {
    queued: Arc<AtomicUsize>,
    /// Here and not in the task that polls it: a task on a runtime that stands still would keep its
    /// place in the queue, and the permit that it is given there.
    permit: BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>>,
}

impl Ticket {
    /// A place in the queue, if it is not longer than `most`.
    pub(super) fn take(
        queued: &Arc<AtomicUsize>,
        permits: &Arc<Semaphore>,
        most: usize,
    ) -> Option<Self> {
        let place = queued.fetch_add(1, Ordering::Relaxed);
        // Gives the place back when it was one too many.
        let ticket = Self {
            queued: Arc::clone(queued),
            permit: Arc::clone(permits).acquire_owned().boxed(),
        };
        (place < most).then_some(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
