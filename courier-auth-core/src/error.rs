use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::events::UserHash;

/// Why there is no token.
///
/// One opaque type for everything that can go wrong: [`kind`](Self::kind) says what,
/// [`is_transient`](Self::is_transient) whether trying again may help and
/// [`retry_after`](Self::retry_after) when. The text tells an operator what happened and what to
/// do about it; it never contains the API key or a token. Clones are cheap, because every caller
/// that waited for the same call to Courier receives the same error.
///
/// ```
/// use courier_auth_core::{ErrorKind, TokenProvider, TokenRequest};
///
/// # async fn example(provider: TokenProvider) {
/// match provider.token(&TokenRequest::for_user("user-1")).await {
///     Ok(token) => println!("{} s", token.expires_in().as_secs()),
///     Err(error) if error.is_transient() => {
///         println!("later: {error}, in {:?}", error.retry_after());
///     }
///     Err(error) if error.kind() == ErrorKind::ApiKeyRefused => println!("wake somebody: {error}"),
///     Err(error) => println!("a bug: {error}"),
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            transient: kind.is_transient(),
            status: None,
            retry_after: None,
            source: None,
            user: None,
        }))
    }

    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.source = Some(Arc::new(source)))
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        self.change(|inner| inner.status = Some(status))
    }

    pub(crate) fn with_transient(self, transient: bool) -> Self {
        self.change(|inner| inner.transient = transient)
    }

    pub(crate) fn with_retry_after(self, after: Duration) -> Self {
        self.change(|inner| inner.retry_after = Some(after))
    }

    /// Says whose it is where the id itself must not go.
    pub(crate) fn with_user(self, user: UserHash) -> Self {
        self.change(|inner| inner.user = Some(user))
    }

    /// What went wrong, for code to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later with nothing changed.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// How long to wait before trying again, if known: what Courier asked for, or the rest of our own
    /// backoff.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status of Courier's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    pub(crate) fn user(&self) -> Option<UserHash> {
        self.0.user
    }

    fn change(self, edit: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        edit(&mut inner);
        Self(Arc::new(inner))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// With what is known and nothing else: a `main` that returns the error shows this text.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut text = f.debug_struct("Error");
        text.field("kind", &inner.kind)
            .field("message", &inner.message);
        if let Some(status) = &inner.status {
            text.field("status", status);
        }
        if let Some(after) = &inner.retry_after {
            text.field("retry_after", after);
        }
        if let Some(source) = &inner.source {
            text.field("source", source);
        }
        text.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What went wrong, see [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A user id, scope or lifetime is not valid; nothing was sent. Either a bug in the app, or an
    /// attempt to smuggle a scope into an id.
    InvalidInput,
    /// A setting is missing, malformed or contradicts another one.
    Configuration,
    /// Courier refused the API key (401 or 403).
    ApiKeyRefused,
    /// Courier refused the request (a 4xx other than these and 408, 409 and 429).
    RequestRefused,
    /// Courier limits the number of calls (429).
    RateLimited,
    /// Courier could not be reached, closed the connection or answered with 408, 409 or a server error.
    Unavailable,
    /// Courier did not answer in time.
    Timeout,
    /// The circuit breaker is open after repeated failures.
    CircuitOpen,
    /// Too many users are waiting for a first token and the queue is full, or too many tokens of one
    /// user are being fetched at once.
    Overloaded,
    /// Courier answered with something that is not a token for this user, or with a redirect.
    InvalidResponse,
    /// The task calling Courier was lost, or no Tokio runtime is available.
    Runtime,
}

impl ErrorKind {
    /// Its name in snake case, such as `api_key_refused`, for logs, metrics and health pages.
    ///
    /// ```
    /// # use courier_auth_core::ErrorKind;
    /// assert_eq!(ErrorKind::ApiKeyRefused.as_str(), "api_key_refused");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Configuration => "configuration",
            Self::ApiKeyRefused => "api_key_refused",
            Self::RequestRefused => "request_refused",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::InvalidResponse => "invalid_response",
            Self::Runtime => "runtime",
        }
    }

    fn is_transient(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Unavailable
            | Self::Timeout
            | Self::CircuitOpen
            | Self::Overloaded
            | Self::Runtime => true,
            Self::InvalidInput
            | Self::Configuration
            | Self::ApiKeyRefused
            | Self::RequestRefused
            | Self::InvalidResponse => false,
        }
    }
}

/// As [`as_str`](ErrorKind::as_str).
///
/// ```
/// # use courier_auth_core::ErrorKind;
/// assert_eq!(ErrorKind::RateLimited.to_string(), "rate_limited");
/// ```
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error and its causes on one line, for logs.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    transient: bool,
    status: Option<u16>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    user: Option<UserHash>,
}
