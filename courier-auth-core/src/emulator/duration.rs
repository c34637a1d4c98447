//! How Courier reads `expires_in`: the grammar of the npm package `ms` 2.1.3, which its JWT library uses.

/// Milliseconds, or `None` where `ms` returns `undefined` or throws.
///
/// Its regular expression is `^(-?(?:\d+)?\.?\d+) *(unit)?$` without regard to case. A number without a unit is
/// milliseconds, and a space is allowed before the unit but not after it.
pub(super) fn parse_ms(text: &str) -> Option<f64> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let (number, unit) = text.split_at(number_length(text)?);
    let number: f64 = number.parse().ok()?;
    Some(number * unit_ms(unit.trim_start_matches(' '))?)
}

/// The `exp` of a token issued at `issued_at` for so many seconds, both in Unix seconds.
pub(super) fn expiry(issued_at: i64, seconds: f64) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "JavaScript counts in f64, and the cast back saturates"
    )]
    let exp = (issued_at as f64 + seconds).floor() as i64;
    exp
}

/// The length of `-?(?:\d+)?\.?\d+` at the start of `text`.
fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits_from = |start: usize| {
        let digits = bytes.iter().skip(start);
        digits.take_while(|byte| byte.is_ascii_digit()).count()
    };
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let whole = sign + digits_from(sign);
    if bytes.get(whole) == Some(&b'.') {
        let fraction = digits_from(whole + 1);
        return (fraction > 0).then_some(whole + 1 + fraction);
    }
    (whole > sign).then_some(whole)
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => WEEK,
        "y" | "yr" | "yrs" | "year" | "years" => YEAR,
        _ => return None,
    })
}

const SECOND: f64 = 1000.0;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;
const WEEK: f64 = 7.0 * DAY;
const YEAR: f64 = 365.25 * DAY;

/// `ms` reads nothing longer.
const MAX_LENGTH: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{expiry, parse_ms};

    const NOW: i64 = 1_788_367_067;

    fn lifetime(text: &str) -> Option<i64> {
        parse_ms(text).map(|ms| expiry(NOW, ms / 1000.0) - NOW)
    }

    #[test]
    fn what_ms_2_1_3_reads() {
        for (text, seconds) in [
            ("2 hours", 7200),
            ("1d", 86_400),
            ("3 days", 259_200),
            ("10h", 36_000),
            ("2.5 hrs", 9000),
            (".5h", 1800),
            ("-.5h", -1800),
            ("1 D", 86_400),
            ("1DAY", 86_400),
            ("2  days", 172_800),
            ("2 weeks", 1_209_600),
            ("1m", 60),
            ("5s", 5),
            ("1y", 31_557_600),
            ("90 secs", 90),
            ("-1h", -3600),
            ("100ms", 0),
            // Floored, not truncated.
            ("-100ms", -1),
            ("3600", 3),
            ("60", 0),
            ("0", 0),
            ("3600 ", 3),
        ] {
            assert_eq!(lifetime(text), Some(seconds), "{text:?}");
        }
    }

    #[test]
    fn what_ms_2_1_3_does_not_read() {
        for text in [
            "",
            " ",
            "-",
            ".",
            "-.",
            "s",
            "1 month",
            "1mo",
            "1.",
            "1.s",
            "1..5s",
            " 1d",
            "1d ",
            "1\td",
            "1 day 2 hours",
            "+1d",
            "--1d",
            "- 1d",
            "1e3s",
            "1,5h",
            "$YOUR_NUMBER days",
            "١d",
            "1\u{a0}d",
            "1 \u{17f}",
            "1d\n",
            "inf",
            "NaN",
            "infinity",
            "0x10s",
            "1_000s",
        ] {
            assert_eq!(parse_ms(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_longest_text_has_a_hundred_characters() {
        assert_eq!(lifetime(&format!("{:0>99}s", 7)), Some(7));
        assert_eq!(lifetime(&format!("{:0>100}s", 7)), None);
    }

    #[test]
    fn an_expiry_saturates() {
        let years = format!("{}y", "9".repeat(99));
        assert_eq!(
            parse_ms(&years).map(|ms| expiry(NOW, ms / 1000.0)),
            Some(i64::MAX)
        );
        assert_eq!(expiry(NOW, f64::NEG_INFINITY), i64::MIN);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"\PC*|-?[0-9.]{0,40} {0,3}[a-zA-Z]{0,12}") {
            if let Some(ms) = parse_ms(&text) {
                prop_assert!(ms.is_finite());
            }
        }

        #[test]
        fn number_and_unit_are_read_back(
            number in -1_000_000_i32..1_000_000,
            spaces in " {0,3}",
            (unit, seconds) in prop::sample::select(vec![
                ("s", 1_i64), ("Secs", 1), ("m", 60), ("MINUTES", 60), ("h", 3600), ("hrs", 3600),
                ("d", 86_400), ("Day", 86_400), ("w", 604_800), ("weeks", 604_800), ("y", 31_557_600),
            ]),
        ) {
            prop_assert_eq!(
                lifetime(&format!("{number}{spaces}{unit}")),
                Some(i64::from(number) * seconds)
            );
        }
    }
}
