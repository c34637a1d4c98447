use std::time::{Duration, SystemTime};

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::{Map, Value};

use super::{bad_answer, since_epoch};
use crate::{
    error::Error,
    request::{UserId, is_space},
};

/// The claims that matter to a cache. The signature is Courier's secret and cannot be checked; TLS
/// says that the token comes from Courier, and Courier checks it on every use.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) scope: Option<String>,
    /// Seconds since the epoch.
    iat: Option<f64>,
    pub(super) exp: Option<f64>,
}

impl Claims {
    /// No claims when the token is no JWT; an error when it is one with claims that make no sense.
    pub(super) fn read(token: &str) -> Result<Self, Error> {
        if token.split('.').count() != 3 {
            return Ok(Self::default());
        }
        let Ok(claims) = insecure_decode_claims::<Map<String, Value>>(token) else {
            return Ok(Self::default());
        };
        let seconds = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(bad_answer(format!(
                    "Courier issued a token whose `{name}` claim is no time"
                ))),
            },
        };
        let scope = match claims.get("scope") {
            Some(Value::String(scope)) => Some(scope.clone()),
            _ => {
                return Err(bad_answer(
                    "Courier issued a token without a `scope` claim, which belongs to nobody",
                ));
            }
        };
        Ok(Self {
            scope,
            iat: seconds("iat")?,
            exp: seconds("exp")?,
        })
    }

    /// The whole life of the token, from which its windows follow.
    pub(super) fn lifetime(&self, requested: Duration) -> Duration {
        match (self.iat, self.exp) {
            (Some(iat), Some(exp)) => span(iat, exp).min(requested),
            _ => requested,
        }
    }

    /// What is left of it, on Courier's clock where that is known: a machine whose own clock is
    /// wrong neither asks all the time nor hands out dead tokens.
    pub(super) fn life(
        &self,
        date: Option<SystemTime>,
        sent: SystemTime,
        requested: Duration,
    ) -> Duration {
        let Some(exp) = self.exp else {
            // No `exp`: as long as was asked for, never for ever.
            return requested;
        };
        let whole = self.lifetime(requested);
        let date = date.map(since_epoch).filter(|date| self.agrees_with(*date));
        let now = date.unwrap_or_else(|| since_epoch(sent));
        // A clock that is behind the time of issue is behind by at least that much.
        let now = self.iat.map_or(now, |iat| now.max(iat));
        span(now, exp).min(whole)
    }

    /// Whether a `Date` can be when this token was handed out. A gateway with a wrong clock must
    /// not decide over every token.
    fn agrees_with(&self, date: f64) -> bool {
        match (self.iat, self.exp) {
            (Some(iat), Some(exp)) => (iat - DATE_TOLERANCE..exp).contains(&date),
            _ => true,
        }
    }
}

pub(super) fn check_user(scope: &str, wanted: &UserId) -> Result<(), Error> {
    let mut users = scope
        .split(is_space)
        .filter_map(|word| word.strip_prefix("user_id:"));
    if users.next() == Some(wanted.as_str()) && users.next().is_none() {
        return Ok(());
    }
    Err(bad_answer(
        "Courier answered with a token that is not for exactly the requested user; it was thrown \
         away",
    ))
}

/// From one time to a later one; zero if it is not later.
fn span(from: f64, to: f64) -> Duration {
    Duration::try_from_secs_f64(to - from).unwrap_or_default()
}

/// Far beyond any date, far below what overflows a `SystemTime`.
const MAX_SECONDS: f64 = 1e11;
/// `Date` has whole seconds, and Courier's servers may differ a little.
const DATE_TOLERANCE: f64 = 60.0;
