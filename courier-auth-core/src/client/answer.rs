use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{Response, StatusCode, Url, header::HeaderMap};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::api_key::ApiKey;
use crate::{
    error::{Error, ErrorKind},
    token::{Issued, Token},
};

/// What a call was for, with the secret and the user that went with it: for the words of its
/// errors.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Token(&'a ApiKey, &'a str),
    Archive(&'a ApiKey),
    Inbox(&'a Token),
}

impl Asked<'_> {
    fn secret(&self) -> (&str, &'static str) {
        match self {
            Self::Token(key, _) | Self::Archive(key) => {
                (key.secret.expose_secret(), "[the API key]")
            }
            Self::Inbox(token) => (token.as_str(), "[the token]"),
        }
    }

    fn user(&self) -> Option<&str> {
        match self {
            Self::Token(_, user) => Some(user),
            Self::Inbox(token) => Some(token.user_id()),
            Self::Archive(_) => None,
        }
    }
}

/// An answer of Courier's, read to its (bounded) end.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) async fn read(response: &mut Response) -> Result<Self, reqwest::Error> {
        let mut body = Bytes::new();
        while body.len() < MAX_ANSWER_BYTES
            && let Some(chunk) = response.chunk().await?
        {
            // Nearly every answer comes in one piece, which need not be copied.
            if body.is_empty() {
                body = chunk;
                continue;
            }
            let mut longer = BytesMut::from(body);
            longer.extend_from_slice(&chunk);
            body = longer.freeze();
        }
        body.truncate(MAX_ANSWER_BYTES);
        Ok(Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    pub(super) fn into_issued(self, user: &str) -> Result<Issued, Error> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            token: Cow<'a, str>,
        }
        let Ok(body) = serde_json::from_slice::<Body>(&self.body) else {
            let content_type = self.header("content-type").unwrap_or("not given");
            let content_type: String = content_type.chars().take(MAX_TYPE_CHARS).collect();
            return Err(Error::new(
                ErrorKind::InvalidResponse,
                format!(
                    "Courier's answer holds no token (content type {content_type:?}): see whether \
                     the base URL is that of Courier's API",
                ),
            )
            .with_status(self.status.as_u16()));
        };
        Ok(Issued::new(user, &body.token, self.date()))
    }

    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// When it was sent, by the clock of whoever sent it.
    pub(super) fn date(&self) -> Option<SystemTime> {
        self.header("date").and_then(http_date)
    }

    /// What the inbox says of a mutation. `field` is what it was to do.
    pub(super) fn into_done(self, field: &str, asked: Asked<'_>) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Body {
            data: Option<Map<String, Value>>,
            #[serde(default)]
            errors: Option<Vec<Said>>,
        }
        let status = self.status.as_u16();
        let error = |kind, message: String| Err(Error::new(kind, message).with_status(status));
        let Ok(body) = serde_json::from_slice::<Body>(&self.body) else {
            return error(
                ErrorKind::InvalidResponse,
                "Courier's inbox answered with something other than GraphQL: see whether the URL \
                 is that of its inbox API"
                    .to_owned(),
            );
        };
        if let Some(said) = body.errors.unwrap_or_default().into_iter().next() {
            let said = said.clean(asked);
            return error(
                ErrorKind::RequestRefused,
                format!("Courier's inbox refused the request ({status}{said})"),
            );
        }
        match body.data.as_ref().and_then(|data| data.get(field)) {
            None => error(
                ErrorKind::InvalidResponse,
                "Courier's inbox did not say whether it did what it was asked for".to_owned(),
            ),
            Some(Value::Bool(false)) => error(
                ErrorKind::RequestRefused,
                "Courier's inbox has no such message for this user: see the message id, which for \
                 what was sent to a tenant ends with the user's"
                    .to_owned(),
            ),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn if_success(self, asked: Asked<'_>) -> Result<Self, Error> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.into_error(asked))
        }
    }

    fn into_error(self, asked: Asked<'_>) -> Error {
        let status = self.status.as_u16();
        let said = self.said().clean(asked);
        let (kind, message) = match status {
            401 | 403 if matches!(asked, Asked::Inbox(_)) => (
                ErrorKind::RequestRefused,
                format!(
                    "Courier's inbox refused the user's token ({status}{said}): see that the \
                     workspace's Courier Inbox provider accepts JWTs, and that the inbox's URL \
                     belongs to the workspace's region"
                ),
            ),
            401 | 403 => (
                ErrorKind::ApiKeyRefused,
                format!(
                    "Courier refused the API key ({status}{said}): see that it is complete, \
                     belongs to this environment and region, and has not been revoked"
                ),
            ),
            429 => (
                ErrorKind::RateLimited,
                format!("Courier limits the number of calls ({status}{said})"),
            ),
            408 | 409 | 500.. => (
                ErrorKind::Unavailable,
                format!("Courier cannot answer at the moment ({status}{said})"),
            ),
            300..=399 => (
                ErrorKind::InvalidResponse,
                format!(
                    "Courier's address answers with a redirect ({status}), which is not followed: \
                     see whether the base URL is that of Courier's API"
                ),
            ),
            _ => {
                let see = match asked {
                    Asked::Token(..) => "the scopes, the lifetime and the base URL",
                    Asked::Archive(_) => "the request id and the base URL",
                    Asked::Inbox(_) => "the URL of the inbox",
                };
                (
                    ErrorKind::RequestRefused,
                    format!("Courier refused the request ({status}{said}): see {see}"),
                )
            }
        };
        let mut error = Error::new(kind, message).with_status(status);
        match self.header("x-should-retry") {
            Some("true") => error = error.with_transient(true),
            Some("false") => error = error.with_transient(false),
            _ => {}
        }
        match self.retry_after(SystemTime::now()) {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    /// Courier's `type` and `message`, if the body has them.
    fn said(&self) -> Said {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// As Courier's SDKs read it: milliseconds first, then seconds, then a date. More than a
    /// minute is taken for a minute.
    fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let number = |name, unit| {
            let value: f64 = self.header(name)?.trim().parse().ok()?;
            Duration::try_from_secs_f64(value * unit).ok()
        };
        let after = number("retry-after-ms", 0.001)
            .or_else(|| number("retry-after", 1.0))
            .or_else(|| {
                let date = http_date(self.header("retry-after")?)?;
                let now = self.date().unwrap_or(now);
                date.duration_since(now).ok()
            })?;
        (!after.is_zero()).then_some(after.min(MAX_RETRY_AFTER))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What Courier says about an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    message: Option<String>,
    r#type: Option<String>,
}

impl Said {
    /// Cleaned for a log line, and with a space before it.
    fn clean(self, asked: Asked<'_>) -> String {
        let (secret, name) = asked.secret();
        let clean = |text: String| -> String {
            // A message that quotes the key or the user must not carry them into logs.
            let mut text = text.replace(secret, name);
            if let Some(user) = asked.user() {
                text = replace_word(&text, user, "[the user]");
            }
            text.chars()
                .map(|c| if is_printable(c) { c } else { ' ' })
                .take(MAX_MESSAGE_CHARS)
                .collect()
        };
        match (self.r#type.map(clean), self.message.map(clean)) {
            (Some(kind), Some(message)) => format!(" {kind}, \"{message}\""),
            (Some(kind), None) => format!(" {kind}"),
            (None, Some(message)) => format!(" \"{message}\""),
            (None, None) => String::new(),
        }
    }
}

/// Replaces a word where it is not part of another: ids are often as short as `1`.
fn replace_word(text: &str, word: &str, with: &str) -> String {
    let mut replaced = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let alone = !text[..at].ends_with(char::is_alphanumeric)
            && !text[end..].starts_with(char::is_alphanumeric);
        if alone {
            replaced += &text[done..at];
            replaced += with;
            done = end;
        }
    }
    replaced + &text[done..]
}

/// What it means that there was no answer.
pub(super) fn transport_error(error: reqwest::Error, base_url: &Url) -> Error {
    let host = base_url.host_str().unwrap_or_default();
    let error = error.without_url();
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "did not answer in time")
    } else if error.is_connect() {
        (ErrorKind::Unavailable, "cannot be reached")
    } else {
        // Also whatever nobody has thought of: a strange failure must not end the retries.
        (ErrorKind::Unavailable, "broke off the connection")
    };
    Error::new(kind, format!("Courier ({host}) {message}")).with_source(error)
}

fn http_date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}

/// Neither a control character nor one that `Debug` shows as a number, line separators among them.
fn is_printable(c: char) -> bool {
    !c.is_control() && c.escape_debug().len() <= 2
}

/// Room for a token of the greatest size and JSON around it.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const MAX_MESSAGE_CHARS: usize = 200;
const MAX_TYPE_CHARS: usize = 100;
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_replaced_and_not_what_contains_it() {
        let replaced = |text, word| replace_word(text, word, "[]");
        assert_eq!(
            replaced("user_id:1 of 101 (1)", "1"),
            "user_id:[] of 101 ([])"
        );
        assert_eq!(replaced("ann", "ann"), "[]");
        assert_eq!(replaced("annann ann", "ann"), "annann []");
        assert_eq!(replaced("", "ann"), "");
    }
}
