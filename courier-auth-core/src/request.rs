use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc, time::Duration};

use tracing::debug;

use crate::{
    error::{Error, ErrorKind},
    events,
    scope::{Scope, Scopes},
};

/// The id under which Courier knows a user.
///
/// Courier's `scope` is one space-separated string without quoting, so an id such as
/// `bob user_id:alice` would ask for Alice's token. An id is therefore checked here, before anything
/// is sent: at most 256 bytes, not empty, no whitespace (Unicode's included), no control characters,
/// no `*`.
///
/// ```
/// use courier_auth_core::UserId;
///
/// assert_eq!(UserId::new("auth0|5f7c8ec7")?.as_str(), "auth0|5f7c8ec7");
/// assert_eq!(UserId::from(42).as_str(), "42");
/// assert!(UserId::new("bob user_id:alice").is_err());
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// Checks an id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the id cannot be sent safely, see the type.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Error> {
        id.as_ref().try_into()
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        Self::new(id)
    }
}

impl TryFrom<&str> for UserId {
    type Error = Error;

    fn try_from(id: &str) -> Result<Self, Error> {
        check_user_id(id)?;
        Ok(Self(id.to_owned()))
    }
}

impl TryFrom<String> for UserId {
    type Error = Error;

    fn try_from(id: String) -> Result<Self, Error> {
        check_user_id(&id)?;
        Ok(Self(id))
    }
}

impl TryFrom<&String> for UserId {
    type Error = Error;

    fn try_from(id: &String) -> Result<Self, Error> {
        Self::new(id)
    }
}

impl From<&Self> for UserId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

macro_rules! integer_ids {
    ($($integer:ty),*) => {$(
        impl From<$integer> for UserId {
            fn from(id: $integer) -> Self {
                Self(id.to_string())
            }
        }
    )*};
}
integer_ids!(i32, i64, i128, u32, u64, u128, usize);

/// Which user a token is for, what it may do and how long it lives.
///
/// Scopes and lifetime are the provider's unless set here. Each combination is cached separately, so
/// use only a few.
///
/// ```
/// use std::time::Duration;
/// use courier_auth_core::{Scope, TokenRequest};
///
/// let inbox = TokenRequest::for_user("user-1");
/// let preferences = TokenRequest::for_user(42)
///     .scopes(Scope::RECOMMENDED)
///     .lifetime(Duration::from_secs(15 * 60));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenRequest {
    user_id: Result<UserId, Error>,
    scopes: Option<Result<Scopes, Error>>,
    lifetime: Option<Result<Duration, Error>>,
}

impl TokenRequest {
    /// A request for the token of this user, given as a [`UserId`], a string or an integer. Where ids
    /// have a type of their own, such as a UUID, give `id.to_string()`.
    ///
    /// An id that is not valid is reported by the call that uses the request, before anything is
    /// sent.
    pub fn for_user<U>(user_id: U) -> Self
    where
        U: TryInto<UserId>,
        Error: From<U::Error>,
    {
        Self {
            user_id: user_id.try_into().map_err(Error::from),
            scopes: None,
            lifetime: None,
        }
    }

    /// What the token may do. Default: the provider's, which are [`Scope::MINIMAL`] unless set.
    ///
    /// Up to 32 combinations of scopes and lifetime are cached per user.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item: Into<Scope>>) -> Self {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// How long the token lives, from 10 seconds to ten years, in whole seconds. Default: the
    /// provider's, which is one hour unless set.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(check_lifetime(lifetime));
        self
    }

    /// The user the request is for.
    ///
    /// # Errors
    ///
    /// When the id is malformed, see [`UserId`].
    pub fn user_id(&self) -> Result<&UserId, Error> {
        self.user_id.as_ref().map_err(Clone::clone)
    }

    /// User, scopes and lifetime, or what is wrong with them.
    fn said(&self) -> impl PartialEq {
        fn told<T>(what: &Result<T, Error>) -> Result<&T, String> {
            what.as_ref().map_err(Error::to_string)
        }
        let (scopes, lifetime) = (self.scopes.as_ref(), self.lifetime.as_ref());
        (told(&self.user_id), scopes.map(told), lifetime.map(told))
    }

    /// The request with the provider's defaults filled in.
    pub(crate) fn wanted<'a>(&'a self, defaults: &'a Terms) -> Result<Wanted<'a>, Error> {
        Ok(Wanted {
            user_id: self.user_id()?.as_str(),
            scopes: match &self.scopes {
                Some(scopes) => scopes.as_ref().map_err(Clone::clone)?,
                None => &defaults.scopes,
            },
            lifetime: match &self.lifetime {
                Some(lifetime) => lifetime.clone()?,
                None => defaults.lifetime,
            },
        })
    }

    /// As [`wanted`](Self::wanted), to keep.
    pub(crate) fn grant(&self, defaults: &Terms) -> Result<Grant, Error> {
        self.wanted(defaults).map(Grant::from)
    }
}

/// For tests of whatever makes requests: they are equal if they ask for the same, or are wrong in the
/// same way. What is left to the provider does not equal what is said, even if the provider has the
/// same.
///
/// ```
/// use courier_auth_core::{Scope, TokenRequest};
///
/// fn request(user_id: u64, is_admin: bool) -> TokenRequest {
///     let request = TokenRequest::for_user(user_id);
///     if is_admin { request.scopes(Scope::RECOMMENDED) } else { request }
/// }
///
/// assert_eq!(request(7, true), TokenRequest::for_user("7").scopes(Scope::RECOMMENDED));
/// assert_ne!(request(7, false), request(7, true));
/// ```
impl PartialEq for TokenRequest {
    fn eq(&self, other: &Self) -> bool {
        self.said() == other.said()
    }
}

impl Eq for TokenRequest {}

/// What a token may do, and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) scopes: Scopes,
    pub(crate) lifetime: Duration,
}

/// Exactly what is asked of Courier; all of it is part of the cache key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// A checked [`UserId`], shared by all that is kept for the user.
    pub(crate) user_id: Arc<str>,
    pub(crate) terms: Arc<Terms>,
}

/// A [`Grant`] on loan. Nothing is cloned to look a token up: the default scopes are shared by all
/// threads, which would count their clones against each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) lifetime: Duration,
}

impl<'a> From<&'a Grant> for Wanted<'a> {
    fn from(grant: &'a Grant) -> Self {
        Self {
            user_id: &grant.user_id,
            scopes: &grant.terms.scopes,
            lifetime: grant.terms.lifetime,
        }
    }
}

impl Wanted<'_> {
    /// Whether these are the terms.
    pub(crate) fn matches(&self, terms: &Terms) -> bool {
        self.lifetime == terms.lifetime && self.scopes.same(&terms.scopes)
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            scopes: self.scopes.clone(),
            lifetime: self.lifetime,
        }
    }
}

impl From<Wanted<'_>> for Grant {
    fn from(wanted: Wanted<'_>) -> Self {
        Self {
            user_id: wanted.user_id.into(),
            terms: Arc::new(wanted.terms()),
        }
    }
}

impl Grant {
    /// The scope string of Courier's API.
    pub(crate) fn scope_string(&self) -> String {
        scope_string(&self.user_id, &self.terms.scopes)
    }
}

/// The scopes with the user before them, as Courier writes them.
pub(crate) fn scope_string(user_id: &str, scopes: &Scopes) -> String {
    ["user_id:", user_id, " ", scopes.as_str()].concat()
}

fn check_user_id(id: &str) -> Result<(), Error> {
    check_id("user id", id).map_err(|error| {
        let hash = events::user_hash(id);
        let id: String = id.chars().take(MAX_ID_BYTES).collect();
        // The error's text does not say whose it is, and somebody has to find out.
        debug!(
            target: events::REQUEST,
            { courier.user_id = ?id, courier.user_hash = %hash, error.message = %error },
            "a user id cannot be sent"
        );
        error.with_user(hash)
    })
}

pub(crate) fn check_id(what: &str, id: &str) -> Result<(), Error> {
    // Nearly every id. All bytes, instead of up to the first that is odd: the compiler does many at
    // a time.
    let plain = |byte: u8| byte.is_ascii_graphic() & (byte != b'*');
    let all_plain = id.bytes().fold(true, |all, byte| all & plain(byte));
    if (1..=MAX_ID_BYTES).contains(&id.len()) && all_plain {
        return Ok(());
    }
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > MAX_ID_BYTES {
        "is longer than 256 bytes"
    } else if id.chars().any(is_space) {
        "contains whitespace, which would begin another scope"
    } else if id.chars().any(char::is_control) {
        "contains a control character"
    } else if id.contains('*') {
        "contains `*`, which Courier may read as a wildcard"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("the {what} {problem}; nothing was sent to Courier"),
    ))
}

pub(crate) fn check_lifetime(lifetime: Duration) -> Result<Duration, Error> {
    if lifetime < MIN_LIFETIME || lifetime > MAX_LIFETIME {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the lifetime of a token must lie between 10 seconds and ten years",
        ));
    }
    Ok(Duration::from_secs(lifetime.as_secs()))
}

/// Whitespace, and what JavaScript's `\s` or older Unicode counts as such and Rust does not.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{180e}' | '\u{200b}')
}

const MAX_ID_BYTES: usize = 256;
/// Below this a token would be spent before the browser has used it.
const MIN_LIFETIME: Duration = Duration::from_secs(10);
/// Courier documents no limit; this one catches milliseconds given as seconds.
/// In years of 365.25 days, as Courier counts them.
const MAX_LIFETIME: Duration = Duration::from_secs(36525 * 24 * 60 * 6);

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn defaults() -> Terms {
        Terms {
            scopes: Scopes::new(Scope::MINIMAL).unwrap(),
            lifetime: Duration::from_secs(3600),
        }
    }

    #[test]
    fn the_scope_string_names_the_user_once_and_sorts_the_scopes() {
        let request = TokenRequest::for_user("u:1").scopes([
            Scope::INBOX_WRITE_EVENTS,
            Scope::INBOX_READ_MESSAGES,
            Scope::INBOX_WRITE_EVENTS,
        ]);
        let grant = request.grant(&defaults()).unwrap();
        assert_eq!(
            grant.scope_string(),
            "user_id:u:1 inbox:read:messages inbox:write:events"
        );
    }

    #[test]
    fn equal_sets_are_one_variant() {
        let one = TokenRequest::for_user(1).scopes(Scope::FULL);
        let two = TokenRequest::for_user(1).scopes(Scope::FULL.iter().rev());
        assert_eq!(
            one.grant(&defaults()).unwrap(),
            two.grant(&defaults()).unwrap()
        );
    }
}
