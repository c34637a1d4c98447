use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{CourierClient, exchange};
use crate::{error::Error, retry::with_retries};

/// How Courier's API was reached, see [`CourierClient::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The status of the answer. Courier has nothing at its root, so that a 404 is as good as a 200.
    pub status: u16,
    /// How long the answer took, with all that it takes to connect.
    pub took: Duration,
    /// By how many seconds the clock of the answer is ahead of this machine's, negative if it is
    /// behind; off by one at most if the answer was quick. `None` if the answer names no time.
    pub clock_ahead: Option<i64>,
}

impl CourierClient {
    /// Sees whether Courier's API can be reached, without the API key and without a trace: `GET` of
    /// the base URL.
    ///
    /// Any answer counts, an error too: name resolution, proxy, TLS and network are in order then.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn probe(&self) -> Result<Probe, Error> {
        with_retries(async || self.ask_anything().await, |_| {}).await
    }

    async fn ask_anything(&self) -> Result<Probe, Error> {
        let url = &self.settings.base_url;
        let (begun, sent) = (Instant::now(), SystemTime::now());
        let answer = exchange(self.http.get(url.clone()).send(), url).await?;
        let took = begun.elapsed();
        Ok(Probe {
            status: answer.status(),
            took,
            clock_ahead: answer.date().map(|date| ahead(date, sent + took / 2)),
        })
    }
}

fn ahead(date: SystemTime, here: SystemTime) -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match date.duration_since(here) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::ahead;

    #[test]
    fn clocks_are_compared_in_whole_seconds() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs_f64(seconds);
        assert_eq!(ahead(at(100.0), at(100.9)), 0);
        assert_eq!(ahead(at(100.0), at(160.2)), -60);
        assert_eq!(ahead(at(400.0), at(100.0)), 300);
    }
}
