use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{CourierClient, exchange};
use crate::{error::Error, retry::with_retries};

/// The outcome of a probe of Courier's API, see [`CourierClient::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The status of the answer. Courier serves nothing at its root, so a 404 is as good as a 200.
    pub status: u16,
    /// How long the answer took, including the time to connect.
    pub took: Duration,
    /// By how many seconds Courier's clock is ahead of this machine's, negative if it is behind. Off
    /// by at most one if the answer was quick. `None` if the answer has no `Date`.
    pub clock_ahead: Option<i64>,
}

impl CourierClient {
    /// Checks whether Courier's API can be reached, without sending the API key and without side
    /// effects: a `GET` of the base URL.
    ///
    /// Any answer counts, even an error: name resolution, proxy, TLS and network then work.
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
        let answer = exchange(self.connections.rest.get(url.clone()).send(), url).await?;
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
