//! Points in time as Courier writes them.

use std::{fmt, num::NonZeroU8, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{
    OffsetDateTime, UtcOffset,
    format_description::well_known::{
        Iso8601, Rfc3339,
        iso8601::{Config, EncodedConfig, TimePrecision},
    },
};

/// Milliseconds since 1970, written as `2026-11-24T02:33:51.306Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The machine's time.
    #[must_use]
    pub fn now() -> Self {
        Self::from_date(SystemTime::now().into())
    }

    /// A point in time, by the milliseconds since 1970. Years of more than four digits become the last or the first.
    #[must_use]
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.clamp(FIRST, LAST))
    }

    /// The milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Reads a date with time and offset, as RFC 3339 has it.
    pub(super) fn parse(text: &str) -> Result<Self, time::error::Parse> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::from_date)
    }

    fn from_date(date: OffsetDateTime) -> Self {
        let millis = date.unix_timestamp_nanos().div_euclid(NANOS_PER_MILLI);
        Self::from_unix_millis(i64::try_from(millis).unwrap_or(LAST))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * NANOS_PER_MILLI;
        let date = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        let date = date.to_offset(UtcOffset::UTC).format(&Iso8601::<MILLIS>);
        f.write_str(&date.map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

async_graphql::scalar!(Timestamp);

const MILLIS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: NonZeroU8::new(3),
    })
    .encode();
const NANOS_PER_MILLI: i128 = 1_000_000;
/// The years 0 and 9999: what the format can write.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Timestamp;

    #[test]
    fn it_has_milliseconds_and_a_z() {
        let written = |millis| Timestamp::from_unix_millis(millis).to_string();
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(1_795_487_631_306), "2026-11-24T02:33:51.306Z");
        assert_eq!(written(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(written(i64::MIN), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_it_writes_it_reads() {
        for text in ["2026-11-24T02:33:51.306Z", "2026-11-24T03:33:51.306+01:00"] {
            let read = Timestamp::parse(text).unwrap();
            assert_eq!(read.to_string(), "2026-11-24T02:33:51.306Z");
        }
        assert!(Timestamp::parse("yesterday").is_err());
    }
}
