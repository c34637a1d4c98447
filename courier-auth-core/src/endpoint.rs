use std::{borrow::Cow, time::Duration, time::UNIX_EPOCH};

use serde::Serialize;
use tracing::error;

use crate::{
    client::Region,
    error::{Error, ErrorKind, chain},
    provider::TokenProvider,
    request::TokenRequest,
    token::{Token, TokenId},
};

/// The token endpoint's wire contract, for adapters to web frameworks.
///
/// An app uses `courier-auth-actix` or `courier-auth-tower`; another framework's adapter needs
/// three steps: [`accept`](Self::accept) the head of a request, ask the app who is signed in, and
/// turn the answer of [`reply`](Self::reply) into a response.
///
/// ```
/// # async fn example(endpoint: courier_auth_core::Endpoint) {
/// use courier_auth_core::TokenRequest;
///
/// let headers = [("if-none-match", b"\"hkzAOoyVoVoTQz_Iwlc8pQ\"".as_slice())];
/// let reply = match endpoint.accept("GET", None, headers) {
///     Err(refusal) => refusal,
///     Ok(call) => {
///         let signed_in = Some(TokenRequest::for_user("user-1")); // None: nobody is
///         endpoint.reply(&call, signed_in).await
///     }
/// };
/// println!("{} {}", reply.status(), reply.body());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    provider: TokenProvider,
    cross_site: bool,
}

impl Endpoint {
    /// Where the endpoint is mounted unless the app says otherwise; the token's path is this and
    /// [`TOKEN_PATH`](Self::TOKEN_PATH).
    pub const DEFAULT_PREFIX: &'static str = "/courier";
    /// The token's path below the prefix.
    pub const TOKEN_PATH: &'static str = "/token";
    /// The methods it answers; others get a 405 with this as `Allow`.
    pub const METHODS: &'static str = "GET, HEAD, POST";

    /// An endpoint that hands out this provider's tokens.
    pub fn new(provider: TokenProvider) -> Self {
        Self {
            provider,
            cross_site: false,
        }
    }

    /// Answers pages of other sites too, as a single-page app on another domain needs. Such an app
    /// also needs CORS, which is set up in the web framework. Default: off.
    #[must_use]
    pub fn allow_cross_site(mut self, allow: bool) -> Self {
        self.cross_site = allow;
        self
    }

    /// The provider behind it.
    pub fn provider(&self) -> &TokenProvider {
        &self.provider
    }

    /// Reads the head of a request: method, query string without `?`, headers.
    ///
    /// # Errors
    ///
    /// The reply to send instead, when the method is not answered (405) or the request comes from
    /// a page of another site (403). The app need not be asked who is signed in.
    pub fn accept<'a>(
        &self,
        method: &str,
        query: Option<&str>,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Call, Reply> {
        let mut call = Call {
            head: method == "HEAD",
            held: Held::Nothing,
            rejected: query.and_then(rejected),
        };
        if !matches!(method, "GET" | "HEAD" | "POST") {
            return Err(self.finish(
                &call,
                problem(&METHOD_NOT_ALLOWED).with("allow", Self::METHODS),
            ));
        }
        let conditional = method != "POST";
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("if-none-match") && conditional {
                call.held.add(value);
            } else if name.eq_ignore_ascii_case("sec-fetch-site")
                && value.trim_ascii().eq_ignore_ascii_case(b"cross-site")
                && !self.cross_site
            {
                return Err(self.finish(&call, problem(&CROSS_SITE)));
            }
        }
        Ok(call)
    }

    /// Answers a call for the user who is signed in, `None` if nobody is.
    pub async fn reply(&self, call: &Call, signed_in: Option<TokenRequest>) -> Reply {
        let reply = match signed_in {
            None => problem(&SIGNED_OUT),
            Some(request) => match self.token(call, &request).await {
                Ok(token) if call.held.contains(&token.id()) => not_modified(&token),
                Ok(token) => ok(&token, self.provider.region()),
                Err(error) => failed(&error),
            },
        };
        self.finish(call, reply)
    }

    /// Answers where no token comes of it, e.g. when an extractor fails: nobody signed in (`None`)
    /// or an error.
    pub fn failure(&self, error: Option<&Error>) -> Reply {
        let reply = error.map_or_else(|| problem(&SIGNED_OUT), failed);
        self.finish(&Call::default(), reply)
    }

    async fn token(&self, call: &Call, request: &TokenRequest) -> Result<Token, Error> {
        match (&call.rejected, &call.held) {
            (Some(rejected), _) => self.provider.reject(request, rejected).await,
            (None, Held::These(ids)) => self.provider.refresh(request, &ids[0]).await,
            (None, Held::Nothing | Held::Whatever) => self.provider.token(request).await,
        }
    }

    fn finish(&self, call: &Call, mut reply: Reply) -> Reply {
        let policy = if self.cross_site {
            "cross-origin"
        } else {
            "same-origin"
        };
        reply.headers.extend([
            ("cache-control", Cow::Borrowed("no-store")),
            ("x-content-type-options", Cow::Borrowed("nosniff")),
            ("cross-origin-resource-policy", Cow::Borrowed(policy)),
            ("vary", Cow::Borrowed("Cookie, Authorization")),
        ]);
        reply.content_length = reply.body.len();
        if call.head {
            reply.body.clear();
        }
        reply
    }
}

/// A request that [`Endpoint::accept`] let through.
#[derive(Debug, Default)]
pub struct Call {
    head: bool,
    held: Held,
    rejected: Option<TokenId>,
}

/// The endpoint's answer, to be turned into a framework's response as it is.
#[derive(Clone)]
#[must_use]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: String,
    content_length: usize,
}

impl Reply {
    /// The answer to a request whose app has forgotten to set the adapter up: 500, and an ERROR in
    /// the log that says what to do.
    pub fn not_configured(fix: &'static str) -> Self {
        error!("{fix}");
        let mut reply = problem(&NOT_CONFIGURED).with("cache-control", "no-store");
        reply.content_length = reply.body.len();
        reply
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
    pub fn into_body(self) -> String {
        self.body
    }

    /// The length to announce, which for `HEAD` is that of the body that `GET` would have; `None`
    /// for 304, which announces none.
    pub fn content_length(&self) -> Option<usize> {
        (self.status != 304).then_some(self.content_length)
    }

    fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
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

/// What `If-None-Match` says about the tokens that the browser holds.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    These(Vec<TokenId>),
    /// `*`
    Whatever,
}

impl Held {
    /// Adds one line of the header: `*`, or tags that may be weak. What cannot be an id of ours is
    /// passed over.
    fn add(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        for tag in line.split(',').map(str::trim) {
            if tag == "*" {
                *self = Self::Whatever;
                return;
            }
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let id = tag
                .strip_prefix('"')
                .and_then(|tag| tag.strip_suffix('"'))
                .and_then(TokenId::parse);
            match (&mut *self, id) {
                (Self::These(ids), Some(id)) => ids.push(id),
                (Self::Nothing, Some(id)) => *self = Self::These(vec![id]),
                (Self::Whatever, _) | (_, None) => {}
            }
        }
    }

    fn contains(&self, id: &TokenId) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(ids) => ids.contains(id),
            Self::Whatever => true,
        }
    }
}

fn rejected(query: &str) -> Option<TokenId> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("rejected="))
        .and_then(TokenId::parse)
}

fn ok(token: &Token, region: Region) -> Reply {
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
    let body = serde_json::to_string(&Body {
        token: token.as_str(),
        user_id: token.user_id().as_str(),
        scope: token.scope(),
        expires_in: token.expires_in().as_secs(),
        refresh_in: whole_seconds(token.refresh_in()),
        expires_at: token
            .expires_at()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs(),
        token_id: id.as_str(),
        region: region.as_str(),
    })
    .expect("strings and integers are JSON");
    Reply {
        status: 200,
        headers: vec![
            ("content-type", Cow::Borrowed("application/json")),
            ("etag", etag(&id)),
        ],
        body,
        content_length: 0,
    }
}

fn not_modified(token: &Token) -> Reply {
    let retry_after = whole_seconds(token.refresh_in()).to_string();
    Reply {
        status: 304,
        headers: vec![
            ("etag", etag(&token.id())),
            ("retry-after", retry_after.into()),
        ],
        body: String::new(),
        content_length: 0,
    }
}

fn etag(id: &TokenId) -> Cow<'static, str> {
    format!("\"{id}\"").into()
}

/// What went wrong between us and Courier, without Courier's own words: a browser that reads of a
/// 401 believes that its user was refused.
fn failed(error: &Error) -> Reply {
    let reply = match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Configuration => {
            error!(error = chain(error), "no token can be asked for");
            return problem(&INVALID_REQUEST);
        }
        ErrorKind::ApiKeyRefused | ErrorKind::RequestRefused | ErrorKind::BadAnswer => {
            problem(&COURIER_REFUSED)
        }
        ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::CircuitOpen
        | ErrorKind::Overloaded
        | ErrorKind::Runtime => problem(&COURIER_UNAVAILABLE),
    };
    // Spread, so that browsers that failed together do not come back together.
    let after = error.retry_after().unwrap_or_default() + MAX_SPREAD.mul_f64(fastrand::f64());
    reply.with("retry-after", whole_seconds(after).to_string())
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

fn problem(problem: &Problem) -> Reply {
    Reply {
        status: problem.status,
        headers: vec![("content-type", Cow::Borrowed("application/problem+json"))],
        body: serde_json::to_string(problem).expect("strings and integers are JSON"),
        content_length: 0,
    }
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
const MAX_SPREAD: Duration = Duration::from_secs(5);
