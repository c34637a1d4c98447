//! What is to be sent back, and how, in terms that any server can carry out.

use std::fmt;
use std::time::Duration;

/// What the emulator answers to one request.
///
/// A server that mounts the emulator waits for [`delay`](Self::delay), then sends status, headers and body the way
/// [`ending`](Self::ending) says.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values. `content-length` is left to the server.
    pub headers: Vec<(String, String)>,
    /// The whole body, also where [`ending`](Self::ending) says that only a part of it is sent.
    pub body: Vec<u8>,
    /// How long to wait before the first byte. Zero unless a fault says otherwise.
    pub delay: Duration,
    /// How the answer is sent.
    pub ending: Ending,
}

/// How an [`Answer`] is sent. A server that cannot do one of the faulty endings should close the connection instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// In full, as HTTP has it.
    #[default]
    Complete,
    /// Not at all: the connection stays open and silent until the client closes it.
    Hang,
    /// Not at all: the connection is reset.
    Reset,
    /// Half a status line, then the connection is closed.
    TruncatedHead,
    /// The head with the full `content-length` and half the body, then the connection is closed.
    TruncatedBody,
    /// In full, but the body comes in small pieces spread over this time.
    SlowBody(Duration),
}

impl Ending {
    pub(super) fn sends_status(self) -> bool {
        !matches!(self, Self::Hang | Self::Reset | Self::TruncatedHead)
    }

    pub(super) fn sends_everything(self) -> bool {
        matches!(self, Self::Complete | Self::SlowBody(_))
    }
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::empty(status).header("content-type", content_type)
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            ending: Ending::Complete,
        }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Courier's error body, with the `type` that belongs to the status: for a server that answers more calls than the
    /// emulator knows.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "message": message, "type": error_type(status) });
        Self::json(status, &body)
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The body may be a token, so only its length is shown.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("delay", &self.delay)
            .field("ending", &self.ending)
            .finish()
    }
}

/// The `type` that Courier gives to errors of this status.
fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "authorization_error",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn the_body_does_not_show() {
        let answer = Answer::json(200, &serde_json::json!({ "token": "canary" }));
        assert!(!format!("{answer:?}").contains("canary"));
    }
}
