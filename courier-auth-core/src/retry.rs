//! The one retry layer. Nothing above or below it repeats a call to Courier.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::{Error, ErrorKind};

/// Runs `attempt` up to three times, as long as its error says that it may help.
///
/// Issuing twice yields two valid tokens and changes nothing else, so repeating the POST is safe.
/// `hear` is told of each attempt and each pause before it begins, and of each failure.
pub(crate) async fn with_retries<T, F>(
    mut attempt: impl FnMut() -> F,
    mut hear: impl FnMut(Step<'_>),
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut tries = 0;
    loop {
        let at = Instant::now();
        let until = at + TRY_TIMEOUT;
        hear(Step::Attempt { at, until });
        let error = match timeout_at(until, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => Error::new(
                ErrorKind::Timeout,
                "Courier did not answer within 2 seconds: see whether it is reachable from here",
            ),
        };
        hear(Step::Failure(&error));
        tries += 1;
        let Some(pause) = pause(&error, tries, fastrand::f64()) else {
            return Err(error);
        };
        let until = Instant::now() + pause;
        hear(Step::Pause { until });
        sleep_until(until).await;
    }
}

/// Where [`with_retries`] has got to.
pub(crate) enum Step<'a> {
    Attempt { at: Instant, until: Instant },
    Failure(&'a Error),
    Pause { until: Instant },
}

/// How long to wait before the next attempt; `None` if there is none.
fn pause(error: &Error, tries: u32, u: f64) -> Option<Duration> {
    if tries >= TRIES || !error.is_transient() {
        return None;
    }
    match error.retry_after() {
        Some(after) if after > MAX_RETRY_AFTER => None,
        Some(after) => Some(after),
        None => Some((FIRST_PAUSE * 3_u32.pow(tries - 1)).mul_f64(u)),
    }
}

const TRIES: u32 = 3;
/// A token call is small; what takes longer is not coming.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A longer `Retry-After` is left to the backoff, so that nobody waits for it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "down")
    }

    #[test]
    fn pauses_grow_and_are_fully_jittered() {
        assert_eq!(pause(&unavailable(), 1, 0.0), Some(Duration::ZERO));
        assert_eq!(
            pause(&unavailable(), 1, 1.0),
            Some(Duration::from_millis(100))
        );
        assert_eq!(
            pause(&unavailable(), 2, 1.0),
            Some(Duration::from_millis(300))
        );
        assert_eq!(pause(&unavailable(), 3, 1.0), None);
    }

    #[test]
    fn a_short_retry_after_is_slept_and_a_long_one_is_not() {
        let after = |seconds| unavailable().with_retry_after(Duration::from_secs(seconds));
        assert_eq!(pause(&after(2), 1, 0.5), Some(Duration::from_secs(2)));
        assert_eq!(pause(&after(3), 1, 0.5), None);
    }

    #[test]
    fn a_permanent_error_is_not_repeated() {
        let refused = Error::new(ErrorKind::RequestRefused, "no");
        assert_eq!(pause(&refused, 1, 0.5), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_call_is_tried_three_times() {
        let mut tries = 0;
        let outcome: Result<(), _> = with_retries(
            || {
                tries += 1;
                std::future::pending()
            },
            |_| {},
        )
        .await;
        assert_eq!(
            outcome.map_err(|error| error.kind()),
            Err(ErrorKind::Timeout)
        );
        assert_eq!(tries, 3);
    }
}
