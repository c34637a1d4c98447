use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span, debug_span, field::Empty};

use super::{
    admission::{Admission, Epochs, Urgency},
    clock::Moment,
    peers::Held,
    shared::{Home, Shared},
    slot::{Slot, Variant},
    upstream::is_about_the_key,
};
use crate::{
    error::{Error, ErrorKind},
    events,
    request::Grant,
    token::{Token, TokenId},
};

/// A call to Courier on its way, as those see it who wait for it.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Where it runs, and through which connections.
    pub(crate) home: Arc<Home>,
    outcome: OnceLock<Outcome>,
    finished: Notify,
    /// By when its task will have shown the next sign of life.
    due: Mutex<Instant>,
    /// Here and not in the task, so that it can be taken from a task whose runtime stands still.
    admission: Mutex<Option<Admission>>,
}

impl Flight {
    /// Waits for the outcome, at most until `give_up`.
    pub(crate) async fn wait(&self, give_up: Instant) -> Waited {
        loop {
            // Before the look, so that no outcome falls between the two.
            let finished = self.finished.notified();
            if let Some(outcome) = self.outcome.get() {
                return Waited::Finished(outcome.clone());
            }
            let due = self.due();
            let finished = {
                // The timer belongs to the caller's runtime, which is known to run; only a caller
                // that has none borrows the flight's.
                let timer = Handle::try_current().unwrap_or_else(|_| self.home.runtime.clone());
                let _entered = timer.enter();
                timeout_at(due.min(give_up), finished)
            };
            match finished.await {
                Ok(()) => {}
                Err(_) if Instant::now() >= give_up => return Waited::OutOfPatience,
                Err(_) if due == self.due() => return Waited::Stalled,
                Err(_) => {}
            }
        }
    }

    /// Gives back what it was admitted with: it has finished, or somebody else takes over.
    pub(crate) fn release(&self) -> Option<Admission> {
        self.admission().take()
    }

    pub(super) fn admission(&self) -> MutexGuard<'_, Option<Admission>> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody else has what it was admitted with.
    pub(super) fn is_taken_over(&self) -> bool {
        self.admission().is_none()
    }

    /// Whether its task does not run.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.due() < now
    }

    fn due(&self) -> Instant {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all that wait how it ended. What was said first counts.
    pub(super) fn finish(&self, outcome: Outcome) {
        let _first = self.outcome.set(outcome);
        self.finished.notify_waiters();
    }

    /// Promises the next sign of life.
    pub(super) fn promise(&self, until: Instant) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = until + SLACK;
    }
}

/// How waiting for a flight ended.
#[derive(Debug)]
pub(crate) enum Waited {
    Finished(Outcome),
    /// The task is gone, or its runtime stands still.
    Stalled,
    OutOfPatience,
}

/// How a flight ended, for all that wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Token(Token),
    Failed(Error),
    /// Another replica is asking Courier, and whoever has a token keeps it meanwhile.
    Yielded,
    /// The task was dropped before it was done: its runtime shut down.
    Abandoned,
}

/// What a flight is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    pub(crate) urgency: Urgency,
    /// The cached token, if it is to be replaced because Courier refused it.
    pub(crate) replaces: Option<TokenId>,
    /// A token that Courier is said to have refused, cached or not.
    pub(crate) avoid: Option<TokenId>,
}

/// How a flight went, before anybody knows.
pub(super) enum Ending {
    /// What Courier said.
    Asked(Result<Token, Error>),
    /// Another replica had a token. It is in the slot.
    Found(Token),
    /// Somebody else has what it was admitted with: it may not ask.
    TakenOver,
    /// Looked in vain, and Courier was not asked: it may not be, or another replica is at it
    /// (`yielded`).
    PutOff { error: Error, yielded: bool },
    /// Queued in vain: Courier failed for everybody meanwhile, or there are too many.
    Refused(Error),
}

/// The task of a flight. Whatever happens to it, an outcome is published and the
/// slot is cleared: when it is done, when it panics, and when its runtime drops it unpolled.
pub(crate) struct FlightTask {
    pub(super) shared: Arc<Shared>,
    pub(super) slot: Arc<Slot>,
    pub(super) grant: Grant,
    pub(super) purpose: Purpose,
    pub(super) flight: Arc<Flight>,
    pub(super) epochs: Epochs,
    /// When Courier was asked.
    pub(super) sent: Option<Moment>,
    /// To be given back in the end.
    pub(super) lock: Option<Held>,
    pub(super) since: Instant,
    pub(super) span: Span,
    /// Whether only its runtime may drop it: what panics in the meantime is caught.
    suspended: bool,
    finished: bool,
}

impl FlightTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        slot: Arc<Slot>,
        grant: Grant,
        home: Arc<Home>,
        purpose: Purpose,
        admission: Admission,
        now: Instant,
    ) -> Self {
        let epochs = admission.epochs;
        slot.pin();
        Self {
            flight: Arc::new(Flight {
                home,
                outcome: OnceLock::new(),
                finished: Notify::new(),
                due: Mutex::new(now + SLACK),
                admission: Mutex::new(Some(admission)),
            }),
            shared,
            slot,
            grant,
            purpose,
            epochs,
            sent: None,
            lock: None,
            since: now,
            span: Span::none(),
            suspended: false,
            finished: false,
        }
    }

    pub(crate) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    /// Starts the task, which belongs to none of its callers. Must be called without locks: a
    /// runtime that shuts down drops the task, and with it this value, at once.
    pub(crate) fn spawn(mut self) {
        let runtime = self.flight.home.runtime.clone();
        self.shared.show_gauges();
        let span = debug_span!(
            target: events::FLIGHT,
            parent: None,
            "courier.flight",
            courier.user_hash = %events::user_hash(&self.grant.user_id),
            urgency = self.purpose.urgency.name(),
            outcome = Empty,
        );
        span.follows_from(Span::current());
        self.span = span.clone();
        self.suspended = true;
        runtime.spawn(self.run().instrument(span));
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice: the task would be three times as large"
    )]
    fn run(mut self) -> impl Future<Output = ()> {
        async move {
            let outcome = AssertUnwindSafe(self.decide()).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_panic| Ending::Asked(Err(panicked())));
            self.suspended = false;
            let news = self.finish(outcome);
            // Nobody waits any more.
            self.report(news).await;
        }
    }

    async fn decide(&mut self) -> Ending {
        if let Some(outcome) = self.look().await {
            return outcome;
        }
        if let Some(outcome) = self.queue().await {
            return outcome;
        }
        self.ask().await
    }

    /// Clears the slot and publishes the outcome. Returns a token that other replicas want to know
    /// of, with when it was asked for.
    fn finish(&mut self, ending: Ending) -> Option<(Token, Moment)> {
        let now = self.shared.clock.now();
        match ending {
            Ending::Asked(outcome) if outcome.is_ok() || !self.flight.is_taken_over() => {
                return self.finish_asked(outcome, now);
            }
            // Whoever still waits for it joins its successor. What failed where nobody looked after
            // it says nothing of Courier.
            Ending::TakenOver | Ending::Asked(_) => {
                self.clear_flight(|_variant| {});
                self.publish(Outcome::Abandoned, "abandoned");
            }
            Ending::Found(token) => {
                self.clear_flight(|_variant| {});
                self.publish(Outcome::Token(token), "found");
                self.shared.users.tidy(&self.slot);
            }
            Ending::PutOff { error, yielded } => {
                self.clear_flight(|variant| variant.note_look(error.clone(), yielded, now.mono));
                if yielded {
                    self.publish(Outcome::Yielded, "yielded");
                } else {
                    self.publish(Outcome::Failed(error), "put_off");
                }
            }
            // What it is refused for was said, and counted, where it happened.
            Ending::Refused(error) => {
                self.clear_flight(|_variant| {});
                self.publish(Outcome::Failed(error), "put_off");
                self.shared.users.tidy(&self.slot);
            }
        }
        None
    }

    /// As [`finish`](Self::finish), with what Courier said: everybody learns from that.
    fn finish_asked(
        &mut self,
        mut outcome: Result<Token, Error>,
        now: Moment,
    ) -> Option<(Token, Moment)> {
        let mut news = None;
        {
            let mut state = self.slot.lock();
            let forgotten = state.detached;
            // Only in its own place: a flight that was taken over may not undo its successor.
            if let Some(variant) = state.known_variant(&self.grant)
                && variant.clear_flight(&self.flight)
            {
                if let Ok(token) = &outcome {
                    match variant.store(token, self.purpose.replaces, now) {
                        // Of a user who was forgotten meanwhile the others must not hear.
                        Ok(()) if forgotten => {}
                        Ok(()) => news = self.sent.map(|sent| (token.clone(), sent)),
                        Err(error) => outcome = Err(error),
                    }
                }
                if let Err(error) = &outcome
                    // It has a clock of its own, which holds for everybody.
                    && !is_about_the_key(error)
                {
                    variant.note_failure(error.clone(), now.mono);
                }
            }
        }
        // Before its permit and its probe are given back: the next one must know.
        let verdict = outcome.as_ref().map(|_token| ());
        self.shared
            .gate
            .record(verdict, &self.grant.user_id, self.epochs, now.mono);
        self.shared.note(verdict, now.wall);
        self.note_failure(&outcome);
        // Whoever is the first to hear of it need not come back before it is over either.
        if let Err(error) = &mut outcome
            && let Some(rest) = self.shared.gate.rest(now.mono).max(error.retry_after())
        {
            *error = error.clone().with_retry_after(rest);
        }
        match outcome {
            Ok(token) => self.publish(Outcome::Token(token), "issued"),
            Err(error) => self.publish(Outcome::Failed(error), "failed"),
        }
        self.shared.users.tidy(&self.slot);
        news
    }

    /// Takes the flight off its variant, if it is still there: one that was taken over may not undo
    /// its successor.
    fn clear_flight(&self, note: impl FnOnce(&mut Variant)) {
        let mut state = self.slot.lock();
        if let Some(variant) = state.known_variant(&self.grant)
            && variant.clear_flight(&self.flight)
        {
            note(variant);
        }
    }

    fn publish(&mut self, outcome: Outcome, name: &'static str) {
        self.finished = true;
        self.slot.unpin();
        drop(self.flight.release());
        // A subscriber or a recorder of the app's that panics keeps nobody waiting, nor does it end
        // the process because it has panicked before and this is dropped for it.
        let _panic = catch_unwind(AssertUnwindSafe(|| {
            self.note_finish(name);
            self.shared.show_gauges();
        }));
        self.flight.finish(outcome);
    }
}

impl Drop for FlightTask {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.clear_flight(|_variant| {});
        if thread::panicking() && !self.suspended {
            // A subscriber or a recorder of the app's. The runtime goes on.
            self.publish(Outcome::Failed(panicked()), "failed");
            return;
        }
        // Dropped half way, or never polled: that is what a runtime does that shuts down.
        self.flight.home.leave();
        self.publish(Outcome::Abandoned, "abandoned");
    }
}

fn panicked() -> Error {
    Error::new(
        ErrorKind::Runtime,
        "the call to Courier panicked: this is a bug, please report it",
    )
}

/// How late a sign of life may be before the task counts as stalled.
const SLACK: Duration = Duration::from_secs(1);
