use std::{
    borrow::Cow,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;
use tracing::{debug, error};

use super::{
    body::token_body,
    problem::{
        COURIER_REFUSED, COURIER_UNAVAILABLE, CROSS_SITE, INVALID_REQUEST, METHOD_NOT_ALLOWED,
        NOT_CONFIGURED, Problem, SCRIPT_METHOD_NOT_ALLOWED, SIGNED_OUT,
    },
};
use crate::{
    client::Region,
    error::{Error, ErrorKind, chain},
    events::{self, OnceAMinute},
    metrics,
    token::{Token, TokenId},
};

/// The endpoint's answer, to be turned into a framework's response as it is.
#[derive(Clone)]
#[must_use]
pub struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    allow: Option<&'static str>,
    etag: Option<Quoted>,
    retry_after: Option<Seconds>,
    /// What all answers of a kind have.
    common: &'static [(&'static str, &'static str)],
    /// Text.
    body: Cow<'static, [u8]>,
    content_length: usize,
}

impl Reply {
    /// The answer to a request whose app has forgotten to set the adapter up: 500, and an ERROR in
    /// the log that says what to do.
    pub fn not_configured(fix: &'static str) -> Self {
        error!(target: events::ENDPOINT, "{fix}");
        metrics::replied(500);
        Self::problem(&NOT_CONFIGURED).finish(false)
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Header names, in lower case, and values. `Content-Length` is not among them, see
    /// [`content_length`](Self::content_length).
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fixed = self.fixed_headers();
        let fixed = fixed.map(|(name, value)| -> (&'static str, &str) { (name, value) });
        let own = self.own_headers();
        fixed.chain(own.map(|(name, value)| (name, str::from_utf8(value).unwrap_or_default())))
    }

    /// Those of the [`headers`](Self::headers) whose values are known when the crate is compiled,
    /// for frameworks that need not copy these.
    pub fn fixed_headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let content_type = self.content_type.map(|value| ("content-type", value));
        let allow = self.allow.map(|value| ("allow", value));
        content_type
            .into_iter()
            .chain(allow)
            .chain(self.common.iter().copied())
    }

    /// The rest of the [`headers`](Self::headers), at most two of them, which are ASCII.
    pub fn own_headers(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let etag = self.etag.as_ref().map(|tag| ("etag", tag.0.as_slice()));
        let retry_after = self.retry_after.as_ref();
        let retry_after = retry_after.map(|seconds| ("retry-after", seconds.as_bytes()));
        etag.into_iter().chain(retry_after)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The body; empty for `HEAD` and 304.
    pub fn body(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The body's bytes, without a copy.
    pub fn into_body(self) -> Cow<'static, [u8]> {
        self.body
    }

    /// The length to announce, which for `HEAD` is that of the body that `GET` would have; `None`
    /// for 304, which announces none.
    pub fn content_length(&self) -> Option<usize> {
        (self.status != 304).then_some(self.content_length)
    }
}

impl Reply {
    /// `id`: the token's, which is at hand.
    ///
    /// `refused`: the page says that Courier refused this very token, and there is no other yet.
    ///
    /// `left`: of the token's life.
    pub(super) fn token(
        token: &Token,
        id: &TokenId,
        left: Duration,
        region: Region,
        refused: bool,
    ) -> Self {
        let again_in = again_in(token, left, refused);
        let body = token_body(token, id, region, left.as_secs(), again_in);
        Self::text(200, "application/json", body).with_etag(id)
    }

    pub(super) fn not_modified(token: &Token, id: &TokenId, left: Duration, refused: bool) -> Self {
        Self::empty(304)
            .with_etag(id)
            .with_retry_after(again_in(token, left, refused))
    }

    pub(super) fn signed_out() -> Self {
        Self::problem(&SIGNED_OUT)
    }

    pub(super) fn cross_site() -> Self {
        Self::problem(&CROSS_SITE)
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::problem(&METHOD_NOT_ALLOWED).with_allow(allowed)
    }

    pub(super) fn script(script: &'static str) -> Self {
        Self::text(200, "text/javascript; charset=utf-8", script.as_bytes())
    }

    pub(super) fn script_not_modified() -> Self {
        Self::empty(304)
    }

    pub(super) fn script_method_not_allowed(allowed: &'static str) -> Self {
        Self::problem(&SCRIPT_METHOD_NOT_ALLOWED).with_allow(allowed)
    }

    /// What went wrong between us and Courier, without Courier's own words: a browser that reads
    /// of a 401 believes that its user was refused.
    pub(super) fn failed(error: &Error) -> Self {
        let problem = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::Configuration => {
                note_malformed(error);
                return Self::problem(&INVALID_REQUEST);
            }
            ErrorKind::ApiKeyRefused | ErrorKind::RequestRefused | ErrorKind::InvalidResponse => {
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
        // Rounded up: who comes a moment too early is sent away once more.
        let after = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Self::problem(problem).with_retry_after(after.max(1))
    }

    /// What every answer of the endpoint has.
    pub(super) fn finish(mut self, head: bool) -> Self {
        self.common = &PRIVATE;
        self.without_body_if(head)
    }

    /// What every answer for the script has: it is public, and the same for everybody.
    pub(super) fn finish_script(mut self, head: bool) -> Self {
        self.common = &PUBLIC;
        self.without_body_if(head)
    }

    fn without_body_if(mut self, head: bool) -> Self {
        if head {
            self.body = Cow::Borrowed(b"");
        }
        self
    }

    fn problem(problem: &Problem) -> Self {
        Self::json(problem.status, "application/problem+json", problem)
    }

    fn json(status: u16, content_type: &'static str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("strings and integers are JSON");
        Self::text(status, content_type, body)
    }

    fn text(status: u16, content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let body = body.into();
        Self {
            content_type: Some(content_type),
            content_length: body.len(),
            body,
            ..Self::empty(status)
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            allow: None,
            etag: None,
            retry_after: None,
            common: &[],
            body: Cow::Borrowed(b""),
            content_length: 0,
        }
    }

    pub(super) fn with_etag(mut self, id: &TokenId) -> Self {
        self.etag = Some(Quoted::new(id));
        self
    }

    fn with_allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(Seconds::new(seconds));
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold a token.
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers().collect::<Vec<_>>())
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// A token's id as an entity tag. Text in place, as [`Seconds`] is: a header that is no allocation.
#[derive(Clone)]
struct Quoted([u8; 24]);

impl Quoted {
    fn new(id: &TokenId) -> Self {
        let mut text = [b'"'; 24];
        text[1..23].copy_from_slice(id.as_bytes());
        Self(text)
    }
}

#[derive(Clone)]
struct Seconds {
    text: [u8; 20],
    length: u8,
}

impl Seconds {
    fn new(seconds: u64) -> Self {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(seconds).as_bytes();
        let mut text = [0; 20];
        text[..digits.len()].copy_from_slice(digits);
        Self {
            text,
            length: digits.len() as u8,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

/// When the page should ask again. One whose token was refused waits for another: soon, but not
/// before another would be asked for.
fn again_in(token: &Token, left: Duration, refused: bool) -> u64 {
    let due = token.refresh_after(left);
    whole_seconds(if refused {
        due.min(AFTER_REFUSAL.mul_f64(1.0 + fastrand::f64()))
    } else {
        due
    })
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// Once a minute at ERROR, or one user's page would fill the log.
fn note_malformed(error: &Error) {
    static LATELY: Mutex<OnceAMinute> = Mutex::new(OnceAMinute::new());
    let mut lately = LATELY.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = lately.count(Instant::now());
    drop(lately);
    // An event's level is a constant.
    macro_rules! say {
        ($level:ident) => {
            $level!(
                target: events::ENDPOINT,
                {
                    courier.user_hash = error.user().map(tracing::field::display),
                    error.kind = error.kind().as_str(),
                    error.message = chain(error),
                    requests = tally.and_then(|tally| tally.count),
                    within_s = tally.and_then(|tally| tally.within_s),
                },
                "no token can be asked for"
            )
        };
    }
    match tally {
        Some(_) => say!(error),
        None => say!(debug),
    }
}

const NO_STORE: (&str, &str) = ("cache-control", "no-store");
const NO_SNIFFING: (&str, &str) = ("x-content-type-options", "nosniff");
const FOR_SAME_ORIGIN: (&str, &str) = ("cross-origin-resource-policy", "same-origin");
const FOR_ANY_ORIGIN: (&str, &str) = ("cross-origin-resource-policy", "cross-origin");
const PER_USER: (&str, &str) = ("vary", "Cookie, Authorization");
/// Also where pages of other sites are answered: CORS, with which these ask, does not look at the
/// resource policy, and whoever asks without has no business with a token.
const PRIVATE: [(&str, &str); 4] = [NO_STORE, NO_SNIFFING, FOR_SAME_ORIGIN, PER_USER];
const PUBLIC: [(&str, &str); 4] = [
    ("cache-control", "no-cache"),
    NO_SNIFFING,
    FOR_ANY_ORIGIN,
    ("access-control-allow-origin", "*"),
];

/// The time between two replacements of a refused token.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
const MAX_SPREAD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Rounded down, it sent browsers back a moment before the token could be asked for.
    #[test]
    fn who_failed_is_not_told_to_come_back_too_early() {
        let after = Duration::from_millis(4900);
        let error = Error::new(ErrorKind::CircuitOpen, "down").with_retry_after(after);
        for _ in 0..1000 {
            let reply = Reply::failed(&error);
            let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!(seconds >= 5, "{seconds}");
        }
    }
}
