//! Whatever Courier answers as a token: it is refused, or is the user's and lives no longer than
//! was asked for.
//!
//! Inputs are the files in `__fuzz__` and random ones. `BOLERO_RANDOM_ITERATIONS=1000000` makes
//! more of them; a failure prints its seed, which `BOLERO_RANDOM_SEED` repeats.

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bolero::{TypeGenerator, check};
use serde_json::{Map, Value, json};

use super::{Issued, Token};
use crate::{
    cache::clock::{Clock, ManualClock, Moment},
    client::default_terms,
    request::{Grant, TokenRequest},
};

/// The input is a token.
#[test]
fn any_token() {
    check!().with_iterations(INPUTS).for_each(|input| {
        let token = String::from_utf8_lossy(input);
        accept(&token, None, HOUR);
    });
}

/// Apps put tokens into HTML, JSON and headers as they are.
#[test]
fn a_token_has_no_character_that_means_anything() {
    for character in '\0'..='\u{17f}' {
        let accepted = accept(&format!("a{character}b"), None, HOUR).is_some();
        let harmless = character.is_ascii_alphanumeric() || "._~+/=-".contains(character);
        assert_eq!(accepted, harmless, "{character:?}");
    }
}

/// The input is what a token holds.
#[test]
fn any_claims() {
    check!().with_iterations(INPUTS).for_each(|input| {
        if let Some(token) = accept(&jwt(input), None, HOUR) {
            let claims = serde_json::from_slice(input).expect("what cannot be read is refused");
            is_as_claimed(&token, &claims, HOUR);
        }
    });
}

#[test]
fn claims_and_clocks_that_do_not_fit() {
    check!()
        .with_iterations(INPUTS)
        .with_type::<Answer>()
        .for_each(|answer| {
            let claims = answer.claims();
            let payload = Value::Object(claims.clone()).to_string();
            let lifetime = Duration::from_secs(MIN + answer.lifetime % (MAX - MIN));
            if let Some(token) = accept(&jwt(payload.as_bytes()), answer.date.time(), lifetime) {
                is_as_claimed(&token, &claims, lifetime);
            }
        });
}

/// Lets the token in or not, for a user who wanted one for so long.
fn accept(token: &str, date: Option<f64>, lifetime: Duration) -> Option<Token> {
    let clock = Clock::Manual(ManualClock::new());
    let sent = clock.now();
    let date = date.map(|date| UNIX_EPOCH + Duration::from_secs_f64(date.clamp(0.0, 1e12)));
    let issued = Issued::new(USER, token, date);
    let token = Token::accept(issued, &grant(lifetime), sent, clock).ok()?;
    let life = token.remaining(sent);
    assert!(life > Duration::ZERO && life <= lifetime, "{life:?}");
    assert!(token.refresh_in() <= token.expires_in(), "{token:?}");
    let passed = life / 2;
    let age = token.age(Moment {
        wall: sent.wall + passed,
        mono: sent.mono + passed,
    });
    let error = Duration::from_millis(100);
    assert!(age <= passed && passed < age + error, "{age:?} {passed:?}");
    Some(token)
}

/// Names the user and nobody else, and does not outlive the span between its own claims.
fn is_as_claimed(token: &Token, claims: &Map<String, Value>, lifetime: Duration) {
    let granted = grant(lifetime).scope_string();
    let scope = claims.get("scope").and_then(Value::as_str);
    let scope = scope.unwrap_or(&granted);
    let users: Vec<_> = scope
        .split(|c: char| c.is_whitespace() || c == '\u{feff}')
        .filter(|word| word.starts_with("user_id:"))
        .collect();
    assert_eq!(users, [format!("user_id:{USER}")], "{scope:?}");
    assert_eq!(token.scope(), scope);

    let seconds = |name| claims.get(name).and_then(Value::as_f64);
    if let (Some(iat), Some(exp)) = (seconds("iat"), seconds("exp")) {
        let life = token.expires_in().as_secs_f64();
        assert!(life <= exp - iat + 1e-3, "{life} s for {iat}..{exp}");
    }
}

fn grant(lifetime: Duration) -> Grant {
    let defaults = default_terms().expect("the defaults");
    let request = TokenRequest::for_user(USER).lifetime(lifetime);
    request.grant(&defaults).expect("a grant")
}

fn jwt(payload: &[u8]) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload);
    format!("eyJhbGciOiJIUzI1NiJ9.{payload}.signature")
}

/// Courier's answer, as odd as it may be.
#[derive(Debug, TypeGenerator)]
struct Answer {
    lifetime: u64,
    date: Time,
    iat: Time,
    exp: Time,
    scope: Option<Vec<Word>>,
    scope_is: Json,
}

#[derive(Debug, TypeGenerator)]
enum Time {
    Missing,
    Null,
    /// Seconds from when the request was sent.
    Near(i16),
    NearInFractions(i16, u8),
    Far(i64),
    Huge(u64),
    Float(f64),
    Text(i16),
}

#[derive(Debug, TypeGenerator)]
enum Word {
    User,
    Other,
    Bare,
    Scope,
    Space(Space),
}

#[derive(Debug, TypeGenerator)]
enum Space {
    Blank,
    Line,
    VerticalTab,
    NoBreak,
    Separator,
    ByteOrderMark,
}

#[derive(Debug, TypeGenerator)]
enum Json {
    Text,
    List,
    Null,
}

impl Answer {
    fn claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        for (name, time) in [("iat", &self.iat), ("exp", &self.exp)] {
            if let Some(value) = time.value() {
                claims.insert(name.into(), value);
            }
        }
        if let Some(words) = &self.scope {
            let text: String = words.iter().take(6).map(Word::text).collect();
            let scope = match self.scope_is {
                Json::Text => text.into(),
                Json::List => json!([text]),
                Json::Null => Value::Null,
            };
            claims.insert("scope".into(), scope);
        }
        claims
    }
}

impl Time {
    fn value(&self) -> Option<Value> {
        Some(match self {
            Self::Missing => return None,
            Self::Null => Value::Null,
            Self::Near(seconds) => json!(NOW + i64::from(*seconds)),
            Self::Far(seconds) => json!(seconds),
            Self::Huge(seconds) => json!(seconds),
            Self::NearInFractions(..) | Self::Float(_) => json!(self.time()),
            Self::Text(seconds) => json!((NOW + i64::from(*seconds)).to_string()),
        })
    }

    fn time(&self) -> Option<f64> {
        match self {
            Self::Missing | Self::Null | Self::Text(_) => None,
            Self::Near(seconds) => Some(NOW as f64 + f64::from(*seconds)),
            Self::NearInFractions(seconds, part) => {
                Some(NOW as f64 + f64::from(*seconds) + f64::from(*part) / 256.0)
            }
            Self::Far(seconds) => Some(*seconds as f64),
            Self::Huge(seconds) => Some(*seconds as f64),
            Self::Float(seconds) => seconds.is_finite().then_some(*seconds),
        }
    }
}

impl Word {
    fn text(&self) -> &'static str {
        match self {
            Self::User => "user_id:user-1 ",
            Self::Other => "user_id:alice",
            Self::Bare => "user_id:",
            Self::Scope => "inbox:read:messages",
            Self::Space(Space::Blank) => " ",
            Self::Space(Space::Line) => "\n",
            Self::Space(Space::VerticalTab) => "\u{b}",
            Self::Space(Space::NoBreak) => "\u{a0}",
            Self::Space(Space::Separator) => "\u{2028}",
            Self::Space(Space::ByteOrderMark) => "\u{feff}",
        }
    }
}

const INPUTS: usize = 20_000;
const USER: &str = "user-1";
const HOUR: Duration = Duration::from_secs(3600);
/// The lifetimes that may be asked for.
const MIN: u64 = 10;
const MAX: u64 = 36525 * 24 * 60 * 6;
/// Where [`ManualClock`] starts.
const NOW: i64 = 1_800_000_000;
