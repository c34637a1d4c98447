//! The emulator's clock: the machine's, in whole seconds, moved as a fault says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix seconds, `skew` of them ahead. Never before 1970 nor after 9999.
pub(super) fn unix_now(skew: i64) -> i64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    let real = real.map_or(0, |since| since.as_secs());
    let skewed = real.saturating_add_signed(skew).min(LAST_SECOND);
    skewed.cast_signed()
}

/// The value of a `Date` header.
pub(super) fn http_date(unix: i64) -> String {
    let seconds = u64::try_from(unix).unwrap_or_default().min(LAST_SECOND);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// 31 December 9999, the last day an HTTP date can name.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::{LAST_SECOND, http_date, unix_now};

    #[test]
    fn no_skew_leaves_the_years_a_date_can_name() {
        assert_eq!(unix_now(i64::MIN), 0);
        assert_eq!(unix_now(i64::MAX), LAST_SECOND.cast_signed());
        assert_eq!(http_date(i64::MIN), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
