//! What operators are told of callers and flights: events and metrics.

use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::{Caller, TokenCache, flight::FlightTask};
use crate::{
    error::{Error, ErrorKind, chain},
    events, metrics,
    request::Grant,
    token::Token,
};

impl TokenCache {
    /// How it went for a caller that did not get a fresh token at once.
    pub(super) fn note(&self, grant: &Grant, outcome: &Result<Token, Error>, caller: &Caller) {
        let start = caller.start;
        if let Some(replaced) = caller.replaced {
            metrics::rejected(replaced);
        }
        match outcome {
            Ok(token) if metrics::ON => {
                let now = self.shared.clock.now();
                metrics::served(token.zone(now), token.remaining(now), start.is_some());
            }
            Ok(_) => {}
            Err(error) => metrics::failed(error.kind()),
        }
        let error = outcome.as_ref().err();
        if start.is_some() || error.is_some() {
            debug!(
                target: events::REQUEST,
                outcome = if error.is_some() { "failed" } else { "waited" },
                courier.user_id = %grant.user_id,
                error.kind = error.map(|error| error.kind().as_str()),
                elapsed_ms = start.map(|start| start.elapsed().as_millis() as u64),
                "a caller had to wait or got no token"
            );
        }
    }
}

impl FlightTask {
    pub(super) fn note_finish(&self, outcome: &'static str) {
        self.span.record("outcome", outcome);
        macro_rules! say {
            ($what:literal) => {
                debug!(
                    target: events::FLIGHT,
                    outcome,
                    courier.user_id = %self.grant.user_id,
                    elapsed_ms = self.since.elapsed().as_millis() as u64,
                    $what
                )
            };
        }
        match outcome {
            "issued" | "failed" => say!("asked Courier for a token"),
            _ => say!("did not ask Courier for a token"),
        }
        if metrics::ON {
            metrics::flight_ended(self.purpose.urgency.name(), outcome, self.since.elapsed());
        }
    }

    pub(super) fn note_failure(&self, outcome: &Result<Token, Error>) {
        let Err(error) = outcome else { return };
        // An event's level is a constant.
        macro_rules! say {
            ($level:ident) => {
                $level!(
                    target: events::FLIGHT,
                    urgency = self.purpose.urgency.name(),
                    courier.user_hash = %events::user_hash(&self.grant.user_id),
                    courier.region = self.shared.gate.region.as_str(),
                    error.kind = error.kind().as_str(),
                    error.message = chain(error),
                    "no new token from Courier"
                )
            };
        }
        if error.is_transient() {
            say!(warn);
        } else {
            say!(error);
        }
    }
}

/// The requests that one flight sends to Courier, for logs and metrics.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: u32,
    since: Option<Instant>,
}

impl Tries {
    pub(super) fn begin(&mut self, at: Instant) {
        self.count += 1;
        self.since = Some(at);
    }

    pub(super) fn end(&mut self, outcome: Result<(), &Error>) {
        let kind = outcome.err().map(Error::kind);
        self.note(kind, outcome.err());
    }

    /// The flight's time was up. Its last request may have been under way.
    pub(super) fn cut_off(&mut self) {
        self.note(Some(ErrorKind::Timeout), None);
    }

    fn note(&mut self, kind: Option<ErrorKind>, error: Option<&Error>) {
        let Some(since) = self.since.take() else {
            return;
        };
        let outcome = kind.map_or("issued", ErrorKind::as_str);
        if metrics::ON {
            metrics::tried(self.count, outcome, since.elapsed());
        }
        debug!(
            target: events::COURIER,
            r#try = self.count,
            outcome,
            http.status = error.and_then(Error::status),
            error.message = error.map(|error| chain(error)),
            elapsed_ms = since.elapsed().as_millis() as u64,
            "a request to Courier has ended"
        );
    }
}
