use std::{
    borrow::Cow,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;
use tracing::error;

use crate::{
    client::Region,
    error::{Error, ErrorKind, chain},
    token::Token,
};

/// The endpoint's answer, to be turned into a framework's response as it is.
#[derive(Clone)]
#[must_use]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, str>,
    content_length: usize,
}

impl Reply {
    /// The answer to a request whose app has forgotten to set the adapter up: 500, and an ERROR in
    /// the log that says what to do.
    pub fn not_configured(fix: &'static str) -> Self {
        error!("{fix}");
        Self::problem(&NOT_CONFIGURED).finish(false, false)
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Header names, in lower case, and values. `Content-Length` is not among them, see
    /// [`content_length`](Self::content_length).
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, &**value))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The body; empty for `HEAD` and 304.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Cow<'static, str> {
        self.body
    }

    /// The length to announce, which for `HEAD` is that of the body that `GET` would have; `None`
    /// for 304, which announces none.
    pub fn content_length(&self) -> Option<usize> {
        (self.status != 304).then_some(self.content_length)
    }
}

impl Reply {
    /// `refused`: the page says that Courier refused this very token, and there is no other yet.
    pub(super) fn token(token: &Token, region: Region, refused: bool) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            token: &'a str,
            user_id: &'a str,
            scope: &'a str,
            expires_in: u64,
            refresh_in: u64,
            expires_at: u64,
            token_id: &'a str,
            region: &'a str,
        }
        let id = token.id();
        Self::json(
            200,
            "application/json",
            &Body {
                token: token.as_str(),
                user_id: token.user_id().as_str(),
                scope: token.scope(),
                expires_in: token.expires_in().as_secs(),
                refresh_in: again_in(token, refused),
                expires_at: token
                    .expires_at()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs(),
                token_id: id.as_str(),
                region: region.as_str(),
            },
        )
        .with("etag", format!("\"{id}\""))
    }

    pub(super) fn not_modified(token: &Token, refused: bool) -> Self {
        Self::empty(304)
            .with("etag", format!("\"{}\"", token.id()))
            .with("retry-after", again_in(token, refused).to_string())
    }

    pub(super) fn signed_out() -> Self {
        Self::problem(&SIGNED_OUT)
    }

    pub(super) fn cross_site() -> Self {
        Self::problem(&CROSS_SITE)
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::problem(&METHOD_NOT_ALLOWED).with("allow", allowed)
    }

    pub(super) fn script(script: &'static str) -> Self {
        Self::text(200, "text/javascript; charset=utf-8", script)
    }

    pub(super) fn script_not_modified() -> Self {
        Self::empty(304)
    }

    pub(super) fn script_method_not_allowed(allowed: &'static str) -> Self {
        Self::problem(&SCRIPT_METHOD_NOT_ALLOWED).with("allow", allowed)
    }

    /// What went wrong between us and Courier, without Courier's own words: a browser that reads
    /// of a 401 believes that its user was refused.
    pub(super) fn failed(error: &Error) -> Self {
        let problem = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::Configuration => {
                error!(error = chain(error), "no token can be asked for");
                return Self::problem(&INVALID_REQUEST);
            }
            ErrorKind::ApiKeyRefused | ErrorKind::RequestRefused | ErrorKind::BadAnswer => {
                &COURIER_REFUSED
            }
            ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::CircuitOpen
            | ErrorKind::Overloaded
            | ErrorKind::Runtime => &COURIER_UNAVAILABLE,
        };
        // Spread, so that browsers that failed together do not come back together.
        let after = error.retry_after().unwrap_or_default() + MAX_SPREAD.mul_f64(fastrand::f64());
        Self::problem(problem).with("retry-after", whole_seconds(after).to_string())
    }

    /// What every answer of the endpoint has.
    pub(super) fn finish(mut self, head: bool, cross_site: bool) -> Self {
        let policy = if cross_site {
            "cross-origin"
        } else {
            "same-origin"
        };
        self.headers.extend([
            ("cache-control", Cow::Borrowed("no-store")),
            ("x-content-type-options", Cow::Borrowed("nosniff")),
            ("cross-origin-resource-policy", Cow::Borrowed(policy)),
            ("vary", Cow::Borrowed("Cookie, Authorization")),
        ]);
        self.without_body_if(head)
    }

    /// What every answer for the script has: it is public, and the same for everybody.
    pub(super) fn finish_script(mut self, head: bool) -> Self {
        self.headers.extend([
            ("cache-control", Cow::Borrowed("no-cache")),
            ("x-content-type-options", Cow::Borrowed("nosniff")),
            (
                "cross-origin-resource-policy",
                Cow::Borrowed("cross-origin"),
            ),
            ("access-control-allow-origin", Cow::Borrowed("*")),
        ]);
        self.without_body_if(head)
    }

    fn without_body_if(mut self, head: bool) -> Self {
        if head {
            self.body = Cow::Borrowed("");
        }
        self
    }

    fn problem(problem: &Problem) -> Self {
        Self::json(problem.status, "application/problem+json", problem)
    }

    fn json(status: u16, content_type: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("strings and integers are JSON");
        Self::text(status, content_type, body)
    }

    fn text(status: u16, content_type: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: vec![("content-type", Cow::Borrowed(content_type))],
            content_length: body.len(),
            body,
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Cow::Borrowed(""),
            content_length: 0,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may hold a token.
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// When the page should ask again. One whose token was refused waits for another: soon, but not
/// before another would be asked for.
fn again_in(token: &Token, refused: bool) -> u64 {
    let due = token.refresh_in();
    whole_seconds(match refused {
        true => due.min(AFTER_REFUSAL.mul_f64(1.0 + fastrand::f64())),
        false => due,
    })
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// A kind of problem, as RFC 9457 has it.
#[derive(Serialize)]
struct Problem {
    status: u16,
    title: &'static str,
    /// Stable, for programs.
    code: &'static str,
    detail: &'static str,
}

const SIGNED_OUT: Problem = Problem {
    status: 401,
    title: "Unauthorized",
    code: "signed_out",
    detail: "Nobody is signed in. Sign in to this app and ask again.",
};
const CROSS_SITE: Problem = Problem {
    status: 403,
    title: "Forbidden",
    code: "cross_site",
    detail: "Tokens are not given to pages of other sites.",
};
const METHOD_NOT_ALLOWED: Problem = Problem {
    status: 405,
    title: "Method Not Allowed",
    code: "method_not_allowed",
    detail: "Ask for a token with GET or POST.",
};
const SCRIPT_METHOD_NOT_ALLOWED: Problem = Problem {
    status: 405,
    title: "Method Not Allowed",
    code: "method_not_allowed",
    detail: "Ask for the script with GET.",
};
const INVALID_REQUEST: Problem = Problem {
    status: 500,
    title: "Internal Server Error",
    code: "invalid_token_request",
    detail: "The app asks for a token that cannot be issued. Its log says why.",
};
const NOT_CONFIGURED: Problem = Problem {
    status: 500,
    title: "Internal Server Error",
    code: "not_configured",
    detail: "The app has not set up its token endpoint. Its log says how.",
};
const COURIER_REFUSED: Problem = Problem {
    status: 502,
    title: "Bad Gateway",
    code: "courier_refused",
    detail: "Courier does not issue a token to this app. The app's log says why.",
};
const COURIER_UNAVAILABLE: Problem = Problem {
    status: 503,
    title: "Service Unavailable",
    code: "courier_unavailable",
    detail: "Courier cannot be asked for a token at the moment. Try again later.",
};
/// The time between two replacements of a refused token.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
const MAX_SPREAD: Duration = Duration::from_secs(5);
