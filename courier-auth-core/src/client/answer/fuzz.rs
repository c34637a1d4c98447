//! Whatever Courier, or what stands in front of it, answers: the error is fit for a log line, and
//! a pause that is asked for is understood and bounded.
//!
//! Inputs are the files in `__fuzz__` and random ones. `BOLERO_RANDOM_ITERATIONS=1000000` makes
//! more of them; a failure prints its seed, which `BOLERO_RANDOM_SEED` repeats.

use std::time::{Duration, UNIX_EPOCH};

use bolero::{TypeGenerator, check};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::json;

use super::{Answer, ApiKey, Asked};
use crate::error::{Error, chain};

/// The input is the body of an error, and of an answer that should be a token.
#[test]
fn any_body() {
    check!().with_iterations(INPUTS).for_each(|body| {
        for status in [302, 400, 401, 404, 429, 503] {
            is_fit_for_a_log(&error(status, HeaderMap::new(), body));
        }
        let answer = answer(200, HeaderMap::new(), body);
        if let Err(error) = answer.into_issued("user-1") {
            is_fit_for_a_log(&error);
        }
        if let Err(error) = done(body) {
            is_fit_for_a_log(&error);
        }
    });
}

#[test]
fn words_that_are_not_for_a_log() {
    check!()
        .with_iterations(INPUTS)
        .with_type::<(u16, Vec<Word>, Vec<Word>, u16)>()
        .for_each(|(status, kind, message, length)| {
            let text = |words: &[Word]| words.iter().map(Word::text).collect::<String>();
            let content_type = format!("text/html; \t{}", "\"x".repeat((*length % 1000).into()));
            let content_type = content_type.parse().expect("a header value");
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
            let body = json!({ "type": text(kind), "message": text(message) }).to_string();
            let status = 100 + status % 900;
            is_fit_for_a_log(&error(status, headers.clone(), body.as_bytes()));
            let errors = json!({ "data": null, "errors": [{ "message": text(message) }] });
            let errors = errors.to_string();
            is_fit_for_a_log(&done(errors.as_bytes()).expect_err("there are errors"));
            let answer = answer(200, headers, body.as_bytes());
            is_fit_for_a_log(&answer.into_issued("user-1").expect_err("there is no token"));
        });
}

/// The input is the lines of a head: `name: value`.
#[test]
fn any_headers() {
    check!().with_iterations(INPUTS).for_each(|head| {
        let mut headers = HeaderMap::new();
        for line in head.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(&line[..colon]),
                HeaderValue::from_bytes(line[colon + 1..].trim_ascii()),
            ) {
                headers.append(name, value);
            }
        }
        pause(headers);
    });
}

/// The pause is that of the first header that Courier's SDKs would believe.
#[test]
fn headers_that_mean_something() {
    check!()
        .with_iterations(INPUTS)
        .with_type::<(Option<u16>, After, Option<u16>)>()
        .for_each(|(millis, after, date)| {
            let mut headers = HeaderMap::new();
            let mut set = |name: &'static str, value: String| {
                headers.insert(name, value.parse().expect("a header value"));
            };
            if let Some(millis) = millis {
                set("retry-after-ms", format!("{}", u32::from(*millis) + 1));
            }
            if let Some(text) = after.text() {
                set("retry-after", text);
            }
            // Without a clock of Courier's, a time means nothing that can be foretold here.
            let now = match after {
                After::At(_) => Some(date.unwrap_or_default()),
                _ => *date,
            };
            if let Some(now) = now {
                set("date", http_date(now));
            }
            let wanted = match (millis, after) {
                (Some(millis), _) => Some(Duration::from_millis(u64::from(*millis) + 1)),
                (None, After::Seconds(seconds)) => Some(Duration::from_secs((*seconds).into())),
                (None, After::At(at)) => {
                    let seconds = at.checked_sub(now.unwrap_or_default());
                    seconds.map(|seconds| Duration::from_secs(seconds.into()))
                }
                (None, After::Nothing | After::Nonsense(_)) => None,
            };
            let wanted = wanted.filter(|pause| !pause.is_zero());
            assert_eq!(pause(headers), wanted.map(|pause| pause.min(MINUTE)));
        });
}

fn pause(headers: HeaderMap) -> Option<Duration> {
    let pause = error(503, headers.clone(), b"").retry_after();
    assert!(pause.is_none_or(|pause| pause > Duration::ZERO && pause <= MINUTE));
    let token = br#"{"token":"5e2b2615"}"#;
    let issued = answer(200, headers, token)
        .into_issued("user-1")
        .expect("a token");
    // As the cache reads it.
    let _since = issued.date.map(|date| date.duration_since(UNIX_EPOCH));
    pause
}

/// One line of bounded length, without the API key.
fn is_fit_for_a_log(error: &Error) {
    let line = chain(error);
    assert!(line.chars().count() < 600, "{} chars", line.chars().count());
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!line.contains(breaks), "{line:?}");
    assert!(!line.contains(KEY), "{line:?}");
    assert!(!format!("{error:?}").contains(KEY), "{error:?}");
}

fn error(status: u16, headers: HeaderMap, body: &[u8]) -> Error {
    let key = ApiKey::new(KEY.to_owned(), "the key").expect("a key");
    answer(status, headers, body).into_error(Asked::Token(&key, "user-1"))
}

/// The body is what the inbox says of a mutation.
fn done(body: &[u8]) -> Result<(), Error> {
    let key = ApiKey::new(KEY.to_owned(), "the key").expect("a key");
    // It is the secret that matters, and not which one it is.
    answer(200, HeaderMap::new(), body).into_done("read", Asked::Archive(&key))
}

fn answer(status: u16, headers: HeaderMap, body: &[u8]) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.to_vec().into(),
    }
}

fn http_date(seconds: u16) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(seconds)))
}

#[derive(Debug, TypeGenerator)]
enum After {
    Nothing,
    Seconds(u8),
    At(u16),
    Nonsense(Nonsense),
}

#[derive(Debug, TypeGenerator)]
enum Nonsense {
    Words,
    Negative(u8),
    NotANumber,
    Infinite,
    Huge,
}

impl After {
    fn text(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::At(seconds) => Some(http_date(*seconds)),
            Self::Nonsense(Nonsense::Words) => Some("soon".into()),
            Self::Nonsense(Nonsense::Negative(seconds)) => Some(format!("-1{seconds}")),
            Self::Nonsense(Nonsense::NotANumber) => Some("NaN".into()),
            Self::Nonsense(Nonsense::Infinite) => Some("inf".into()),
            Self::Nonsense(Nonsense::Huge) => Some("1e300".into()),
        }
    }
}

#[derive(Debug, TypeGenerator)]
enum Word {
    Key,
    HalfTheKey,
    OtherHalf,
    Char(char),
    Plain,
    Long,
    Quote,
    Control(u8),
    LineSeparator,
    Private,
}

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Key => KEY.into(),
            Self::HalfTheKey => KEY[..12].into(),
            Self::OtherHalf => KEY[12..].into(),
            Self::Char(c) => c.to_string(),
            Self::Plain => "Invalid scope. ".into(),
            Self::Long => "wrong ".repeat(40),
            Self::Quote => "\"\\'".repeat(10),
            Self::Control(c) => char::from(c % 32).to_string(),
            Self::LineSeparator => "\u{2028}\u{2029}\u{85}".into(),
            Self::Private => "\u{e000}\u{10ffff}\u{202e}".repeat(20),
        }
    }
}

const INPUTS: usize = 10_000;
const KEY: &str = "pk_prod_0123456789ABCDEF";
const MINUTE: Duration = Duration::from_secs(60);
