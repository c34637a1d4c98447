use tokio::time::Instant;
use tracing::debug;

use crate::{
    error::{Error, ErrorKind, chain},
    events, metrics,
};

/// The requests that one flight sends to Courier, for logs and metrics.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: u32,
    since: Option<Instant>,
}

impl Tries {
    pub(super) fn begin(&mut self) {
        self.count += 1;
        self.since = Some(Instant::now());
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
        let took = since.elapsed();
        let outcome = kind.map_or("issued", ErrorKind::as_str);
        metrics::tried(self.count, outcome, took);
        debug!(
            target: events::COURIER,
            r#try = self.count,
            outcome,
            http.status = error.and_then(Error::status),
            error.message = error.map(|error| chain(error)),
            elapsed_ms = took.as_millis() as u64,
            "a request to Courier has ended"
        );
    }
}
