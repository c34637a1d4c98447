use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

use super::{
    admission::{Admission, Urgency},
    clock::Moment,
    flight::{Ending, FlightTask},
    log::Tries,
    shared::Shared,
    upstream::{QUEUE_WAIT, overloaded},
};
use crate::{
    error::{Error, ErrorKind},
    metrics,
    retry::{Step, with_retries},
    token::{Issued, Token},
};

/// How a flight asks Courier.
impl FlightTask {
    /// Waits for a permit, unless it has one. `None` if Courier is to be asked.
    pub(super) async fn queue(&mut self) -> Option<Ending> {
        let flight = Arc::clone(&self.flight);
        match flight.admission().as_ref().map(Admission::is_queued) {
            Some(true) => {}
            Some(false) => return None,
            None => return Some(Ending::TakenOver),
        }
        let until = Instant::now() + QUEUE_WAIT;
        let permit = loop {
            let next = until.min(Instant::now() + QUEUE_LOOK);
            flight.promise(next);
            let permit = poll_fn(|cx| match &mut *flight.admission() {
                Some(admission) => admission.poll_permit(cx),
                None => Poll::Ready(None),
            });
            match timeout_at(next, permit).await {
                Ok(permit) => break permit,
                Err(_) if next == until => break None,
                // Those before it may hold what they need no more.
                Err(_) => self.shared.make_room(Urgency::Foreground, Instant::now()),
            }
        };
        let gate = &self.shared.gate;
        let admitted = match (permit, &mut *flight.admission()) {
            (_, None) => return Some(Ending::TakenOver),
            (Some(permit), Some(admission)) => gate.leave_queue(admission, permit),
            (None, Some(admission)) => {
                admission.give_up();
                Err(overloaded())
            }
        };
        match admitted {
            Ok(epochs) => self.epochs = epochs,
            Err(error) => {
                gate.note_skip(Urgency::Foreground, error.kind(), Instant::now());
                return Some(Ending::Refused(error));
            }
        }
        self.shared.show_gauges();
        None
    }

    pub(super) async fn ask(&mut self) -> Ending {
        let mut tries = Tries::default();
        let Ok(answer) = timeout(DEADLINE, self.call(&mut tries)).await else {
            tries.cut_off();
            return Ending::Asked(Err(Error::new(
                ErrorKind::Timeout,
                "Courier did not answer within 10 seconds",
            )));
        };
        let (sent, issued) = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ending::TakenOver,
            Err(error) => return Ending::Asked(Err(error)),
        };
        let clock = &self.shared.clock;
        if metrics::ON
            && let Some(date) = issued.date
        {
            metrics::clocks(clock.now().wall, date);
        }
        let token = Token::accept(issued, &self.grant, sent, clock.clone());
        // A token that cannot be used is an invalid response like any other.
        tries.end(token.as_ref().map(|_token| ()));
        self.sent = Some(sent);
        Ending::Asked(token)
    }

    /// Calls Courier, and once more if the API key that it refuses is not the one in use any more:
    /// whoever waits is not concerned with the old one. `None` if it may not call any more.
    async fn call(&mut self, tries: &mut Tries) -> Result<Option<(Moment, Issued)>, Error> {
        let Shared { clock, gate, .. } = &*self.shared;
        let (flight, grant, epochs) = (&self.flight, &self.grant, &mut self.epochs);
        loop {
            *tries = Tries::default();
            let answer = with_retries(
                async || {
                    // On a runtime that stood still meanwhile.
                    if flight.is_taken_over() {
                        return Ok(None);
                    }
                    Ok(Some((
                        clock.now(),
                        flight.home.upstream.issue(grant).await?,
                    )))
                },
                |step| match step {
                    Step::Attempt { at, until } => {
                        // Before the key is read, so that a new one is never taken for refused
                        // because of the old one.
                        gate.read_key(epochs);
                        tries.begin(at);
                        flight.promise(until);
                    }
                    Step::Failure(error) => tries.end(Err(error)),
                    Step::Pause { until } => flight.promise(until),
                },
            );
            let answer: Result<_, Error> = answer.await;
            let refused = answer
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::ApiKeyRefused);
            if !refused || epochs.key == gate.key_epoch() {
                return answer;
            }
        }
    }
}

/// How often whoever queues shows that it is there, or it would be missed no sooner than its turn
/// is over.
const QUEUE_LOOK: Duration = Duration::from_secs(2);
/// From the permit on. Room for three tries of two seconds and the pauses between them.
const DEADLINE: Duration = Duration::from_secs(10);
