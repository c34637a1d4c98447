use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{
        GeneralPurpose,
        general_purpose::{NO_PAD, URL_SAFE_NO_PAD},
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::{invalid_response, since_epoch, wrong_user};
use crate::{error::Error, request::is_space};

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
    /// No claims when the token is no JWT; an error when it is one whose claims make no sense or
    /// cannot be read. Read by somebody else, these might name another user.
    pub(super) fn read(token: &str) -> Result<Self, Error> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(Self::default());
        };
        let payload = URL_SAFE_NO_PAD.decode(payload).ok();
        let claims = payload.and_then(|payload| serde_json::from_slice::<Payload>(&payload).ok());
        let Some(claims) = claims else {
            if is_header(header) {
                return Err(invalid_response(
                    "Courier issued a JWT whose claims cannot be read, so its user cannot be verified",
                ));
            }
            return Ok(Self::default());
        };
        let seconds = |name: &str, claim: Value| match claim {
            Value::Null => Ok(None),
            claim => match claim.as_f64() {
                Some(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(invalid_response(format!(
                    "Courier issued a token whose `{name}` claim is not a valid timestamp"
                ))),
            },
        };
        let Value::String(scope) = claims.scope else {
            return Err(invalid_response(
                "Courier issued a token without a `scope` claim, so its user cannot be verified",
            ));
        };
        Ok(Self {
            scope: Some(scope),
            iat: seconds("iat", claims.iat)?,
            exp: seconds("exp", claims.exp)?,
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

/// What a JWT holds, without the claims that nobody needs. One that is not there is null.
#[derive(Debug, Default)]
struct Payload {
    scope: Value,
    iat: Value,
    exp: Value,
}

/// By hand, because a derived one refuses a claim that comes twice, and what is refused counts as
/// no JWT. The last one counts, as in most readers of JSON.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PayloadVisitor)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Payload, A::Error> {
        let mut payload = Payload::default();
        while let Some(name) = claims.next_key()? {
            match name {
                Name::Scope => payload.scope = claims.next_value()?,
                Name::Iat => payload.iat = claims.next_value()?,
                Name::Exp => payload.exp = claims.next_value()?,
                Name::Other => {
                    let _: IgnoredAny = claims.next_value()?;
                }
            }
        }
        Ok(payload)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Scope,
    Iat,
    Exp,
    #[serde(other)]
    Other,
}

/// Whether this is how a JWT begins: an object in JSON, as far as the least strict of readers can
/// tell.
fn is_header(header: &str) -> bool {
    let header = header.trim_end_matches('=');
    let header = header.replace('+', "-").replace('/', "_");
    ANY_BASE64.decode(header).is_ok_and(|header| {
        let header = header.trim_ascii();
        header.starts_with(b"{") && header.ends_with(b"}")
    })
}

pub(super) fn check_user(scope: &str, wanted: &str) -> Result<(), Error> {
    let mut users = scope
        .split(is_space)
        .filter_map(|word| word.strip_prefix("user_id:"));
    if users.next() == Some(wanted) && users.next().is_none() {
        return Ok(());
    }
    Err(wrong_user())
}

/// From one time to a later one; zero if it is not later.
fn span(from: f64, to: f64) -> Duration {
    Duration::try_from_secs_f64(to - from).unwrap_or_default()
}

const ANY_BASE64: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
/// Far beyond any date, far below what overflows a `SystemTime`.
const MAX_SECONDS: f64 = 1e11;
/// `Date` has whole seconds, and Courier's servers may differ a little.
const DATE_TOLERANCE: f64 = 60.0;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;
    use crate::error::ErrorKind;

    fn read(payload: &str) -> Result<Claims, Error> {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        Claims::read(&format!("e30.{payload}.c2ln"))
    }

    /// Were it refused as JSON, it would be no JWT, and nobody would look whose it is.
    #[test]
    fn of_a_claim_that_comes_twice_the_last_counts() {
        let claims = read(
            r#"{"scope":"user_id:bob x","exp":1,"scope":"user_id:alice x","iat":1,"exp":2.5}"#,
        );
        let claims = claims.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(claims.scope.as_deref(), Some("user_id:alice x"));
        assert_eq!((claims.iat, claims.exp), (Some(1.0), Some(2.5)));
    }

    #[test]
    fn claims_that_nobody_needs_may_be_anything() {
        let claims = read(r#"{"a":{"scope":[{}]},"scope":"user_id:alice x","jti":1e999,"b":null}"#);
        let claims = claims.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(claims.scope.as_deref(), Some("user_id:alice x"));
        assert_eq!((claims.iat, claims.exp), (None, None));
    }

    /// It was taken for a token that says nothing about itself, and given to whom it was asked for.
    #[test]
    fn a_jwt_whose_claims_cannot_be_read_is_refused() {
        let mallorys = r#"{"scope":"user_id:mallory x","exp":2}"#;
        let deep = "[".repeat(200) + &"]".repeat(200);
        let unreadable = [
            r#"{"scope":"user_id:mallory x","exp":1e999}"#.to_owned(),
            r#"{"scope":"user_id:mallory \ud800 x","exp":2}"#.to_owned(),
            format!(r#"{{"scope":"user_id:mallory x","exp":{deep}}}"#),
            format!("\u{feff}{mallorys}"),
            format!("{mallorys},"),
            "\"user_id:mallory x\"".to_owned(),
            String::new(),
        ];
        let kind = |token: String| Claims::read(&token).map_err(|error| error.kind());
        for payload in &unreadable {
            let read = read(payload).map_err(|error| error.kind());
            assert!(matches!(read, Err(ErrorKind::InvalidResponse)), "{payload}");
        }
        // With padding, as no JWT has it.
        for payload in [URL_SAFE.encode(mallorys), STANDARD.encode(mallorys)] {
            assert!(payload.ends_with('='), "{payload}");
            for header in ["e30", "e30=", "eyJhbGciOiJIUzI1NiJ9"] {
                let read = kind(format!("{header}.{payload}.c2ln"));
                assert!(
                    matches!(read, Err(ErrorKind::InvalidResponse)),
                    "{header}.{payload}"
                );
            }
        }
        for opaque in ["v4.public.c2ln", "a.b.c", "..", "e30.e30"] {
            assert!(matches!(kind(opaque.to_owned()), Ok(claims) if claims.scope.is_none()));
        }
    }

    /// A reader that is less strict, or strict about other things, may see claims in it.
    #[test]
    fn a_jwt_whose_header_is_odd_is_one_all_the_same() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"scope":"user_id:mallory x","exp":1e999}"#);
        let other_digits = STANDARD.encode(r#"{"alg":"HS256","x":"???>>>"}"#);
        assert!(other_digits.contains(['+', '/']), "{other_digits}");
        let headers = [
            // `{}`, and a bit too many.
            "e31".to_owned(),
            // `{}`, and more padding than there is room for.
            "e30==".to_owned(),
            other_digits,
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","x":1e999}"#),
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","x":"\ud800"}"#),
            URL_SAFE_NO_PAD.encode(" {\"alg\":\"HS256\"}\n"),
        ];
        for header in headers {
            let read = Claims::read(&format!("{header}.{payload}.c2ln"));
            let read = read.map_err(|error| error.kind());
            assert!(matches!(read, Err(ErrorKind::InvalidResponse)), "{header}");
        }
    }

    #[test]
    fn a_claim_that_is_no_time_is_refused() {
        for exp in ["\"1\"", "true", "-1", "1e12", "[]"] {
            let payload = format!(r#"{{"scope":"user_id:alice x","exp":{exp}}}"#);
            assert!(read(&payload).is_err(), "{exp}");
        }
        assert!(read(r#"{"exp":1}"#).is_err(), "nobody's");
        assert!(read(r#"{"scope":["user_id:alice"]}"#).is_err(), "nobody's");
    }
}
