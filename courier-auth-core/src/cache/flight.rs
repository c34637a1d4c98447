use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tracing::{Instrument, debug, error, info_span, warn};

use super::{
    gone,
    shared::{Home, Shared},
    slot::Slot,
    upstream::{Admission, QUEUE_WAIT},
};
use crate::{
    error::{Error, ErrorKind, chain},
    request::Grant,
    retry::with_retries,
    token::{Token, TokenId},
};

/// A call to Courier on its way, as those see it who wait for it.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Where it runs, and through which connections.
    pub(crate) home: Arc<Home>,
    /// The token that it is to replace because Courier refused it.
    replaces: Option<TokenId>,
    landing: watch::Receiver<Option<Landing>>,
    /// By when its task will have shown the next sign of life.
    due: Mutex<Instant>,
    /// Here and not in the task, so that a task on a runtime that stands still can be relieved of
    /// it.
    admission: Mutex<Option<Admission>>,
}

impl Flight {
    /// Waits for the outcome, at most until `give_up`.
    pub(crate) async fn wait(&self, give_up: Instant) -> Waited {
        let mut landing = self.landing.clone();
        loop {
            let due = self.due();
            // The timer belongs to the caller's runtime, which is known to run; only a caller
            // that has none borrows the flight's.
            let timer = Handle::try_current().unwrap_or_else(|_| self.home.runtime.clone());
            let landed = {
                let _entered = timer.enter();
                timeout_at(due.min(give_up), landing.wait_for(Option::is_some))
            };
            match landed.await {
                Ok(Ok(landing)) => {
                    return landing.clone().map_or(Waited::Stranded, Waited::Landed);
                }
                Ok(Err(_closed)) => return Waited::Stranded,
                Err(_) if Instant::now() >= give_up => return Waited::OutOfPatience,
                Err(_) if due == self.due() => return Waited::Stranded,
                Err(_) => {}
            }
        }
    }

    /// Gives back what it was admitted with: it has landed, or somebody else takes over.
    pub(crate) fn release(&self) -> Option<Admission> {
        self.admission().take()
    }

    fn admission(&self) -> MutexGuard<'_, Option<Admission>> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> Instant {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Promises the next sign of life.
    fn promise(&self, within: Duration) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + within + SLACK;
    }
}

/// How waiting for a flight ended.
#[derive(Debug)]
pub(crate) enum Waited {
    Landed(Landing),
    /// The task is gone, or its runtime stands still.
    Stranded,
    OutOfPatience,
}

/// How a flight ended, for all that wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    Token(Token),
    Failed(Error),
    /// The task was dropped before it was done: its runtime shut down.
    Abandoned,
}

/// The side of a flight that flies it. Whatever happens to it, a landing is published and the
/// slot is cleared: when it is done, when it panics, and when its runtime drops it unpolled.
pub(crate) struct Pilot {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    grant: Grant,
    flight: Arc<Flight>,
    publisher: watch::Sender<Option<Landing>>,
    key_epoch: u64,
    landed: bool,
}

impl Pilot {
    pub(crate) fn new(
        shared: Arc<Shared>,
        slot: Arc<Slot>,
        grant: Grant,
        home: Arc<Home>,
        replaces: Option<TokenId>,
        admission: Admission,
    ) -> Self {
        let (publisher, landing) = watch::channel(None);
        let key_epoch = admission.key_epoch;
        slot.pin();
        Self {
            flight: Arc::new(Flight {
                home,
                replaces,
                landing,
                due: Mutex::new(Instant::now() + SLACK),
                admission: Mutex::new(Some(admission)),
            }),
            shared,
            slot,
            grant,
            publisher,
            key_epoch,
            landed: false,
        }
    }

    pub(crate) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    /// Starts the task, which belongs to none of its callers. Must be called without locks: a
    /// runtime that shuts down drops the task, and with it this value, at once.
    pub(crate) fn take_off(self) {
        let runtime = self.flight.home.runtime.clone();
        let span = info_span!(parent: None, "courier.issue");
        runtime.spawn(self.fly().instrument(span));
    }

    async fn fly(mut self) {
        let outcome = AssertUnwindSafe(self.ask()).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_panic| {
            Err(Error::new(
                ErrorKind::Runtime,
                "the call to Courier panicked: this is a bug, please report it",
            ))
        });
        self.land(outcome);
    }

    async fn ask(&self) -> Result<Token, Error> {
        let flight = Arc::clone(&self.flight);
        let queued = flight
            .admission()
            .as_ref()
            .is_some_and(Admission::is_queued);
        if queued {
            flight.promise(QUEUE_WAIT);
            let permit = self.shared.gate.wait().await?;
            match &mut *flight.admission() {
                Some(admission) => self.shared.gate.board(admission, permit)?,
                None => return Err(gone()),
            }
        }

        let clock = &self.shared.clock;
        let upstream = &flight.home.upstream;
        let grant = &self.grant;
        let asked = with_retries(
            async || Ok((clock.now(), upstream.issue(grant).await?)),
            |within| flight.promise(within),
        );
        let (sent, issued) = timeout(DEADLINE, asked).await.map_err(|_elapsed| {
            Error::new(
                ErrorKind::Timeout,
                "Courier did not answer within 10 seconds",
            )
        })??;
        Token::accept(issued, grant, sent, clock.clone())
    }

    fn land(&mut self, outcome: Result<Token, Error>) {
        let now = self.shared.clock.now();
        let mut outcome = outcome;
        {
            let mut state = self.slot.lock();
            // Only in its own place: a flight that was taken over may not undo its successor.
            if let Some(variant) = state.known_variant(&self.grant)
                && variant.relieve(&self.flight)
            {
                if let Ok(token) = &outcome
                    && let Err(error) = variant.store(token, self.flight.replaces, now)
                {
                    outcome = Err(error);
                }
                if let Err(error) = &outcome
                    && is_about_the_user(error.kind())
                {
                    variant.note_failure(error.clone(), now.mono);
                }
            }
        }
        // Before its permit and its probe are given back: the next one must know.
        let verdict = outcome.as_ref().map(|_token| ());
        self.shared
            .gate
            .record(verdict, &self.grant.user_id, self.key_epoch, now.mono);
        self.shared.note(verdict, now.wall);
        self.log(&outcome);
        self.publish(match outcome {
            Ok(token) => Landing::Token(token),
            Err(error) => Landing::Failed(error),
        });
        self.shared.tidy(&self.grant.user_id, &self.slot);
    }

    fn publish(&mut self, landing: Landing) {
        self.landed = true;
        self.slot.unpin();
        drop(self.flight.release());
        // Nobody may be waiting any more.
        self.publisher.send_replace(Some(landing));
    }

    fn log(&self, outcome: &Result<Token, Error>) {
        debug!(user_id = %self.grant.user_id, ok = outcome.is_ok(), "asked Courier for a token");
        match outcome {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                warn!(error = chain(error), "no new token from Courier");
            }
            Err(error) => error!(error = chain(error), "no new token from Courier"),
        }
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if let Some(variant) = self.slot.lock().known_variant(&self.grant) {
            variant.relieve(&self.flight);
        }
        self.publish(Landing::Abandoned);
    }
}

/// Whether the failure says anything about asking for this user again. A refused API key and an
/// open breaker have clocks of their own, which hold for everybody.
fn is_about_the_user(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::ApiKeyRefused | ErrorKind::CircuitOpen | ErrorKind::Overloaded
    )
}

/// From the permit on. Room for three tries of two seconds and the pauses between them.
const DEADLINE: Duration = Duration::from_secs(10);
/// How late a sign of life may be before the task counts as stranded.
const SLACK: Duration = Duration::from_secs(1);
