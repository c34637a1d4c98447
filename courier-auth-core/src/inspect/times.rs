//! When a token begins and ends.

use serde_json::Value;

use super::{
    Code, Finding,
    Severity::{Error, Info, Warning},
    claims::Claims,
};

/// The times of a token, in Unix seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) iat: Option<f64>,
    pub(super) exp: Option<f64>,
    nbf: Option<f64>,
}

impl Times {
    pub(super) fn read(claims: &Claims, findings: &mut Vec<Finding>) -> Self {
        let mut time = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => {
                let seconds = value.as_f64();
                let seconds = seconds.filter(|seconds| (0.0..MAX_SECONDS).contains(seconds));
                if seconds.is_none() {
                    findings.push(malformed(name, value));
                }
                seconds
            }
        };
        Self {
            iat: time("iat"),
            exp: time("exp"),
            nbf: time("nbf"),
        }
    }

    pub(super) fn check(self, has_exp: bool, now: f64, findings: &mut Vec<Finding>) {
        let begins = self.nbf.into_iter().chain(self.iat).fold(now, f64::max);
        if begins - now > CLOCK_TOLERANCE {
            findings.push(Finding::new(
                match self.nbf {
                    Some(nbf) if nbf - now > CLOCK_TOLERANCE => Error,
                    _ => Warning,
                },
                Code::NotYetValid,
                format!(
                    "It begins {} from now: the clock of this machine is behind, or that of whoever \
                     issued it is ahead. See that both are set by NTP.",
                    duration(begins - now)
                ),
            ));
        }
        match self.exp {
            Some(exp) => self.check_end(exp, now, findings),
            None if has_exp => {}
            None => findings.push(Finding::new(
                Warning,
                Code::NoExpiry,
                "It has no `exp` and never ends. Courier cannot revoke a token: always send \
                 `expires_in`.",
            )),
        }
    }

    fn check_end(self, exp: f64, now: f64, findings: &mut Vec<Finding>) {
        let left = exp - now;
        let life = self.iat.map(|iat| exp - iat);
        let soon = life.map_or(SOON, |life| (life / 12.0).min(SOON));
        findings.push(if left <= 0.0 {
            Finding::new(
                Error,
                Code::Expired,
                format!(
                    "It ended {} ago, so that Courier answers 401 and the Inbox stays as it is or \
                     empty. The SDKs renew nothing by themselves: have the page ask for the next \
                     token in time.",
                    duration(-left)
                ),
            )
        } else if left <= soon {
            Finding::new(
                Warning,
                Code::ExpiresSoon,
                format!(
                    "It ends in {}: the page should have asked for the next one by now.",
                    duration(left)
                ),
            )
        } else {
            Finding::new(
                Info,
                Code::Expires,
                format!("It ends in {}.", duration(left)),
            )
        });
        if let Some(life) = life.filter(|life| *life <= SHORT_LIFE) {
            findings.push(Finding::new(
                Warning,
                Code::ShortLived,
                format!(
                    "It was issued for {} only. Courier reads a number in quotes without a unit as \
                     milliseconds: `\"3600\"` is 3 seconds, so write `\"1 hour\"`.",
                    duration(life.max(0.0))
                ),
            ));
        } else if life.unwrap_or(left) > LONG_LIFE {
            findings.push(Finding::new(
                Warning,
                Code::LongLived,
                format!(
                    "It lives for {}, and Courier cannot revoke it: whoever has a copy acts as the \
                     user until then.",
                    duration(life.unwrap_or(left))
                ),
            ));
        }
    }
}

/// A duration in its two greatest units, for people.
pub(super) fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no time is negative here, and what is too large saturates"
    )]
    let mut left = seconds.round() as u64;
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        if left >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", left / size));
            left %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

fn malformed(name: &str, value: &Value) -> Finding {
    let milliseconds = value.as_f64().is_some_and(|value| value >= MAX_SECONDS);
    let how = match (milliseconds, value) {
        (true, _) => "is far in the future: a time in milliseconds, where a JWT has seconds?",
        (false, Value::String(_)) => "is text, where a JWT has a number of seconds.",
        (false, _) => "is not a valid timestamp: a JWT has a number of seconds since 1970.",
    };
    Finding::new(Error, Code::MalformedTime, format!("`{name}` {how}"))
}

/// Far beyond any date: the year 5138.
const MAX_SECONDS: f64 = 1e11;
/// How far apart clocks usually are at most.
const CLOCK_TOLERANCE: f64 = 60.0;
/// From here on, or from the twelfth part of its life if that is less, a page should hold the next.
const SOON: f64 = 5.0 * 60.0;
const SHORT_LIFE: f64 = 60.0;
const LONG_LIFE: f64 = 90.0 * 86_400.0;
