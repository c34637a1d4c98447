mod claims;
mod id;
mod issued;
mod kept;

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use secrecy::ExposeSecret;
#[cfg(feature = "shared-cache")]
use secrecy::SecretString;

pub use self::id::TokenId;
pub(crate) use self::issued::Issued;
use self::{
    claims::{Claims, check_user},
    id::Fingerprint,
    issued::joined,
    kept::Kept,
};
use crate::{
    cache::{
        clock::{Clock, Expiry, Moment},
        policy::{Windows, Zone},
    },
    error::{Error, ErrorKind},
    request::{Grant, Terms, Wanted, scope_string},
};

/// A Courier JWT and what is known about it.
///
/// Cheap to clone. It has no `Display`, and `Debug` does not show the secret: only
/// [`as_str`](Self::as_str) does.
#[derive(Clone)]
pub struct Token(Kept<Facts>);

impl Token {
    /// The JWT itself, for the user's own browser or phone. Anyone who has it can act as the user
    /// until it expires, and Courier cannot revoke it: do not log it or put it into a URL.
    pub fn as_str(&self) -> &str {
        let (_user, token, _scope) = self.texts();
        token
    }

    /// A fingerprint that identifies this token without revealing it.
    pub fn id(&self) -> TokenId {
        self.0.fingerprint.id()
    }

    /// The user the token was issued for.
    pub fn user_id(&self) -> &str {
        let (user, _token, _scope) = self.texts();
        user
    }

    /// The token's scopes as Courier writes them: one space-separated string that begins with the
    /// user.
    pub fn scope(&self) -> Cow<'_, str> {
        match self.texts() {
            (user, _token, "") => Cow::Owned(scope_string(user, &self.0.terms.scopes)),
            (_user, _token, scope) => Cow::Borrowed(scope),
        }
    }

    /// When the token expires on Courier's clock, to the second. For display only: compared with a
    /// local clock that is wrong it misleads, while [`expires_in`](Self::expires_in) stays right.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.expires_at_s())
    }

    /// How much of the token's life is left. Zero once it has expired.
    pub fn expires_in(&self) -> Duration {
        self.remaining(self.now())
    }

    /// How long its holder should wait before asking for the next one: until 48 to 54 minutes after
    /// it was issued, for a lifetime of one hour. Randomized on each call, so that browsers do not
    /// all come back together.
    pub fn refresh_in(&self) -> Duration {
        self.refresh_after(self.expires_in())
    }

    /// As [`refresh_in`](Self::refresh_in), when so much is left.
    pub(crate) fn refresh_after(&self, remaining: Duration) -> Duration {
        self.windows().refresh_in(remaining, fastrand::f64())
    }

    /// Seconds since the epoch.
    pub(crate) fn expires_at_s(&self) -> u64 {
        self.0.expires_at.into()
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(crate) fn remaining(&self, now: Moment) -> Duration {
        self.0.expiry.remaining(now)
    }

    /// What is left of its life, if it is what is wanted and nothing has to be done about it yet.
    pub(crate) fn fresh_for(&self, wanted: Wanted<'_>, now: Moment) -> Option<Duration> {
        let left = self.remaining(now);
        (self.is_for(wanted) && left > self.aging()).then_some(left)
    }

    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        self.zone(now) != Zone::Expired
    }

    pub(crate) fn zone(&self, now: Moment) -> Zone {
        self.windows().zone(self.remaining(now))
    }

    /// How long it will stay usable, a timer's resolution less.
    pub(crate) fn usable_for(&self, now: Moment) -> Duration {
        self.remaining(now)
            .saturating_sub(self.windows().grace + TIMER_RESOLUTION)
    }

    /// How long ago its life began, which is when Courier was asked for it.
    pub(crate) fn age(&self, now: Moment) -> Duration {
        self.0.expiry.elapsed(self.lifetime(), now)
    }

    pub(crate) fn is_for(&self, wanted: Wanted<'_>) -> bool {
        wanted.matches(&self.0.terms)
    }

    /// What was asked for.
    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.0.terms
    }

    /// The user, the JWT, and what Courier wrote as its scope, if that is not what was asked for.
    pub(crate) fn texts(&self) -> (&str, &str, &str) {
        let (user, rest) = self.0.text().split_at(usize::from(self.0.user_bytes));
        let (token, scope) = rest.split_at(usize::from(self.0.token_bytes & !PLAIN));
        (user, token, scope)
    }

    /// Whether neither its user nor its scopes have a character that JSON escapes.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.token_bytes & PLAIN != 0
    }

    /// Before it is cloned and read, where it was not looked at for a while.
    pub(crate) fn fetch(&self) {
        self.0.fetch();
    }

    fn windows(&self) -> Windows {
        Windows::from_aging(self.lifetime(), self.aging())
    }

    fn lifetime(&self) -> Duration {
        Duration::from_millis(u64::from(self.0.lifetime) * TENTH_MS)
    }

    fn aging(&self) -> Duration {
        Duration::from_millis(self.0.aging_ms.into())
    }

    /// Checks Courier's answer and measures how long the token lives.
    ///
    /// `sent` is when the request left; everything is anchored there, before the token was made,
    /// so that an error can only shorten its life.
    pub(crate) fn accept(
        answer: Issued,
        grant: &Grant,
        sent: Moment,
        clock: Clock,
    ) -> Result<Self, Error> {
        Self::check(answer, grant, sent, Duration::MAX, Duration::ZERO, clock)
    }

    /// Checks a token that another replica was issued, as if it came from Courier. By what that
    /// replica says so much of its life is `left`, and it is of this `age`.
    #[cfg(feature = "shared-cache")]
    pub(crate) fn adopt(
        token: &SecretString,
        left: Duration,
        age: Duration,
        grant: &Grant,
        now: Moment,
        clock: Clock,
    ) -> Result<Self, Error> {
        let answer = Issued::new(&grant.user_id, token.expose_secret(), None);
        Self::check(answer, grant, now, left, age, clock)
    }

    fn check(
        answer: Issued,
        grant: &Grant,
        sent: Moment,
        at_most: Duration,
        age: Duration,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (user, token) = answer.texts();
        if user != &*grant.user_id {
            return Err(wrong_user());
        }
        check_shape(token)?;
        let claims = Claims::read(token)?;
        let asked = grant.scope_string();
        let unasked = claims.scope.as_deref().filter(|scope| *scope != asked);
        // What was asked for names the user, and nobody else.
        if let Some(scope) = unasked {
            check_user(scope, &grant.user_id)?;
        }
        let life = claims.life(answer.date, sent.wall, grant.terms.lifetime);
        let life = life.min(at_most);
        // A clock that is ahead leaves less of each token: it would begin in a zone where the next one
        // is asked for.
        let lifetime = claims.lifetime(grant.terms.lifetime).min(life + age);
        // No use in a token that ends before a browser has used it; asking again would be a storm.
        if life <= Windows::new(grant.terms.lifetime, 0.0).grace {
            return Err(invalid_response(
                "Courier issued a token that has expired or is about to: check this machine's \
                 clock and the requested lifetime",
            ));
        }
        let unasked = unasked.unwrap_or_default();
        let plain = is_plain(&asked) && is_plain(unasked);
        let fingerprint = Fingerprint::of(token);
        let token_bytes = length(token)? | if plain { PLAIN } else { 0 };
        let user_bytes = length(user)?;
        let now = clock.now();
        let facts = Facts {
            expiry: Expiry::after(sent.seen_from(now), life),
            expires_at: match claims.exp {
                Some(exp) => whole_seconds(exp),
                None => whole_seconds(since_epoch(sent.wall + life)),
            },
            terms: Arc::clone(&grant.terms),
            lifetime: whole_u32(lifetime.as_millis() / u128::from(TENTH_MS)),
            // Rounded up: jitter moves a refresh earlier and never later.
            aging_ms: whole_u32(Windows::new(lifetime, fastrand::f64()).aging.as_millis() + 1),
            fingerprint,
            user_bytes,
            token_bytes,
            clock,
        };
        let texts = if unasked.is_empty() {
            answer.texts
        } else {
            joined([user, token, unasked])
        };
        Ok(Self(Kept::new(facts, texts.expose_secret())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id())
            .field("user_id", &self.user_id())
            .field("scope", &self.scope())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// There is one for each cached user, so it is small: a test counts its bytes. In this order,
/// because what a look reads should lie in one line of the processor's cache.
#[repr(C)]
struct Facts {
    terms: Arc<Terms>,
    expiry: Expiry,
    /// Its share of jitter included.
    aging_ms: u32,
    /// Of the texts, which are one behind the other.
    user_bytes: u16,
    /// With [`PLAIN`] if neither the user nor the scopes have a character that JSON escapes.
    token_bytes: u16,
    /// Seconds since the epoch, up to the year 2106.
    expires_at: u32,
    /// In tenths of a second, up to 13 years.
    lifetime: u32,
    fingerprint: Fingerprint,
    clock: Clock,
}

fn length(text: &str) -> Result<u16, Error> {
    u16::try_from(text.len()).map_err(|_| too_long())
}

/// Whether a text is the same between the quotes of JSON.
pub(crate) fn is_plain(text: &str) -> bool {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // All bytes, instead of up to the first that is special: the compiler does many at a time.
    !text.bytes().fold(false, |any, byte| any | special(byte))
}

fn check_shape(token: &str) -> Result<(), Error> {
    if token.is_empty() || matches!(token, "null" | "undefined") {
        return Err(invalid_response("Courier answered with an empty token"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(too_long());
    }
    // As in an `Authorization` header. Nothing that means something in HTML, where an app may put
    // it as it is.
    let known = |byte: u8| {
        let sign = matches!(byte, b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'-');
        byte.is_ascii_alphanumeric() | sign
    };
    // All bytes, instead of up to the first that is unknown: the compiler does many at a time.
    if !token.bytes().fold(true, |all, byte| all & known(byte)) {
        return Err(invalid_response(
            "Courier's token contains invalid characters",
        ));
    }
    Ok(())
}

fn too_long() -> Error {
    invalid_response("Courier answered with a token of more than 16 KiB, which no header carries")
}

fn wrong_user() -> Error {
    invalid_response(
        "Courier answered with a token that is not for exactly the requested user; it was thrown \
         away",
    )
}

fn invalid_response(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidResponse, message)
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

fn whole_seconds(seconds: f64) -> u32 {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    whole_u32(whole.as_secs().into())
}

fn whole_u32(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The bit of a token's length that no length needs.
const PLAIN: u16 = 1 << 15;
const _: () = assert!(MAX_TOKEN_BYTES < PLAIN as usize);
const TENTH_MS: u64 = 100;
/// A timer may fire this late.
const TIMER_RESOLUTION: Duration = Duration::from_millis(5);
/// No real one has more than a few hundred bytes; servers refuse headers of this size.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{client::default_terms, request::TokenRequest};

    /// Nothing in such a token says whose it is.
    #[test]
    fn an_opaque_token_is_for_whom_it_was_asked() {
        let request = TokenRequest::for_user("alice");
        let grant = request.grant(&default_terms().unwrap()).unwrap();
        let accept = |user| {
            let clock = Clock::default();
            Token::accept(
                Issued::new(user, "opaque", None),
                &grant,
                clock.now(),
                clock,
            )
        };
        let token = accept("alice").unwrap();
        assert_eq!((token.user_id(), token.as_str()), ("alice", "opaque"));
        for other in ["bob", "alic", "alicealice", ""] {
            assert_eq!(
                accept(other).unwrap_err().kind(),
                ErrorKind::InvalidResponse
            );
        }
    }
}
