use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::dangerous::insecure_decode_claims;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    cache::{
        clock::{Clock, Expiry, Moment, Tick},
        policy::{Windows, Zone},
    },
    error::{Error, ErrorKind},
    request::{Grant, UserId, Wanted, is_space, scope_string},
    scope::Scopes,
};

/// A Courier JWT and what is known about it.
///
/// Cheap to clone. It has no `Display`, and `Debug` does not show the secret: only
/// [`as_str`](Self::as_str) does.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

impl Token {
    /// The JWT itself, for the user's own browser or phone. Whoever has it acts as the user until
    /// it expires, and Courier cannot revoke it: do not log it, do not put it into a URL.
    pub fn as_str(&self) -> &str {
        &self.0.secret.expose_secret()[..usize::from(self.0.length)]
    }

    /// A fingerprint that names this token without revealing it.
    pub fn id(&self) -> TokenId {
        self.0.id
    }

    /// The user the token was issued for.
    pub fn user_id(&self) -> &UserId {
        &self.0.user_id
    }

    /// The token's scopes as Courier writes them: one string, separated by spaces, that begins
    /// with the user.
    pub fn scope(&self) -> Cow<'_, str> {
        match self.unasked_scope() {
            Some(scope) => Cow::Borrowed(scope),
            None => Cow::Owned(scope_string(&self.0.user_id, &self.0.scopes)),
        }
    }

    /// When the token ends on Courier's clock, to the second. For display: a clock of yours that
    /// is wrong makes this wrong, [`expires_in`](Self::expires_in) is not.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.expires_at_s())
    }

    /// How much of the token's life is left. Zero once it has expired.
    pub fn expires_in(&self) -> Duration {
        self.remaining(self.now())
    }

    /// When its holder should ask for the next one: for a token of one hour 48 to 54 minutes after
    /// it was issued, drawn anew on each call so that browsers do not come back together.
    pub fn refresh_in(&self) -> Duration {
        self.refresh_after(self.expires_in())
    }

    /// As [`refresh_in`](Self::refresh_in), when so much is left.
    pub(crate) fn refresh_after(&self, remaining: Duration) -> Duration {
        self.windows().refresh_in(remaining, fastrand::f64())
    }

    /// Seconds since the epoch.
    pub(crate) fn expires_at_s(&self) -> u64 {
        self.0.expires_at
    }

    pub(crate) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(crate) fn remaining(&self, now: Moment) -> Duration {
        self.0.expiry.remaining(now)
    }

    /// Whether nothing has to be done about it yet.
    pub(crate) fn is_fresh(&self, now: Moment) -> bool {
        self.remaining(now) > self.aging()
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

    /// How long ago Courier answered with it.
    pub(crate) fn age(&self, now: Moment) -> Duration {
        Tick::of(now.mono).since(self.0.since)
    }

    pub(crate) fn is_for(&self, wanted: Wanted<'_>) -> bool {
        self.asked_lifetime() == wanted.lifetime && self.0.scopes.same(wanted.scopes)
    }

    /// The scopes that were asked for, without the user.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// The lifetime that was asked for.
    pub(crate) fn asked_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.asked_s))
    }

    /// What Courier wrote instead of the user and the scopes that were asked for.
    pub(crate) fn unasked_scope(&self) -> Option<&str> {
        let scope = &self.0.secret.expose_secret()[usize::from(self.0.length)..];
        (!scope.is_empty()).then_some(scope)
    }

    fn windows(&self) -> Windows {
        Windows {
            aging: self.aging(),
            ..Windows::new(millis(self.0.lifetime_ms), 0.0)
        }
    }

    fn aging(&self) -> Duration {
        millis(self.0.aging_ms)
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
        Self::check(answer, grant, sent, Duration::MAX, clock)
    }

    /// Checks a token that another replica was issued, as if it came from Courier, of whose life
    /// that replica says so much is `left`.
    #[cfg(feature = "shared-cache")]
    pub(crate) fn adopt(
        token: SecretString,
        left: Duration,
        grant: &Grant,
        now: Moment,
        clock: Clock,
    ) -> Result<Self, Error> {
        let answer = Issued { token, date: None };
        Self::check(answer, grant, now, left, clock)
    }

    fn check(
        answer: Issued,
        grant: &Grant,
        sent: Moment,
        at_most: Duration,
        clock: Clock,
    ) -> Result<Self, Error> {
        let secret = answer.token;
        check_shape(secret.expose_secret())?;
        let claims = Claims::read(secret.expose_secret())?;
        if let Some(scope) = &claims.scope {
            check_user(scope, &grant.user_id)?;
        }
        let life = claims.life(answer.date, sent.wall, grant.lifetime);
        let life = life.min(at_most);
        let lifetime = claims.lifetime(grant.lifetime);
        // No use in a token that ends before a browser has used it; asking again would be a storm.
        if life <= Windows::new(grant.lifetime, 0.0).grace {
            return Err(bad_answer(
                "Courier issued a token that has expired or is about to: check this machine's \
                 clock and the requested lifetime",
            ));
        }
        let id = TokenId::of(secret.expose_secret());
        let (length, secret) = with_scope(
            secret,
            claims.scope.filter(|scope| *scope != grant.scope_string()),
        )?;
        let now = clock.now();
        Ok(Self(Arc::new(Inner {
            expiry: Expiry::after(sent.seen_from(now), life),
            since: Tick::of(now.mono),
            expires_at: match claims.exp {
                Some(exp) => whole_seconds(exp),
                None => whole_seconds(since_epoch(sent.wall + life)),
            },
            user_id: grant.user_id.clone(),
            scopes: grant.scopes.clone(),
            asked_s: whole_u32(grant.lifetime.as_secs().into()),
            lifetime_ms: whole_u32(lifetime.as_millis()),
            // Rounded up: jitter moves a refresh earlier and never later.
            aging_ms: whole_u32(Windows::new(lifetime, fastrand::f64()).aging.as_millis() + 1),
            id,
            length,
            clock,
            secret,
        })))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.0.id)
            .field("user_id", &self.0.user_id)
            .field("scope", &self.scope())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// There is one for each cached user, so it is small: a test counts its bytes.
struct Inner {
    /// The JWT; behind it what Courier wrote as its scope, if that is not what was asked for.
    secret: SecretString,
    user_id: UserId,
    scopes: Scopes,
    expiry: Expiry,
    since: Tick,
    /// Seconds since the epoch.
    expires_at: u64,
    asked_s: u32,
    /// Up to 49 days. No window of a token is wider than that of a token of four hours.
    lifetime_ms: u32,
    /// Its share of jitter included.
    aging_ms: u32,
    /// Of the JWT.
    length: u16,
    id: TokenId,
    clock: Clock,
}

/// The name of a token that does not reveal it: the first 16 bytes of its SHA-256, base64url.
///
/// Browsers send it back to say which token they hold (`If-None-Match`) or which one Courier
/// refused (`?rejected=`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 22]);

impl TokenId {
    /// The id of a token.
    #[expect(clippy::missing_panics_doc, reason = "16 bytes always fill 22 digits")]
    pub fn of(token: &str) -> Self {
        let digest = Sha256::digest(token);
        let mut id = [0; 22];
        URL_SAFE_NO_PAD
            .encode_slice(&digest[..16], &mut id)
            .expect("16 bytes are 22 base64 digits");
        Self(id)
    }

    /// Reads an id that a browser sent back; `None` if it cannot be one.
    pub fn parse(id: &str) -> Option<Self> {
        let digits: [u8; 22] = id.as_bytes().try_into().ok()?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        digits
            .iter()
            .all(|byte| known(*byte))
            .then_some(Self(digits))
    }

    /// The id's 22 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// What Courier answered, unchecked.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: SecretString,
    /// The `Date` header: Courier's clock.
    pub(crate) date: Option<SystemTime>,
}

/// The claims that matter to a cache. The signature is Courier's secret and cannot be checked; TLS
/// says that the token comes from Courier, and Courier checks it on every use.
#[derive(Debug, Default)]
struct Claims {
    scope: Option<String>,
    /// Seconds since the epoch.
    iat: Option<f64>,
    exp: Option<f64>,
}

impl Claims {
    /// No claims when the token is no JWT; an error when it is one with claims that make no sense.
    fn read(token: &str) -> Result<Self, Error> {
        if token.split('.').count() != 3 {
            return Ok(Self::default());
        }
        let Ok(claims) = insecure_decode_claims::<Map<String, Value>>(token) else {
            return Ok(Self::default());
        };
        let seconds = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(bad_answer(format!(
                    "Courier issued a token whose `{name}` claim is no time"
                ))),
            },
        };
        let scope = match claims.get("scope") {
            Some(Value::String(scope)) => Some(scope.clone()),
            _ => {
                return Err(bad_answer(
                    "Courier issued a token without a `scope` claim, which belongs to nobody",
                ));
            }
        };
        Ok(Self {
            scope,
            iat: seconds("iat")?,
            exp: seconds("exp")?,
        })
    }

    /// The whole life of the token, from which its windows follow.
    fn lifetime(&self, requested: Duration) -> Duration {
        match (self.iat, self.exp) {
            (Some(iat), Some(exp)) => span(iat, exp).min(requested),
            _ => requested,
        }
    }

    /// What is left of it, on Courier's clock where that is known: a machine whose own clock is
    /// wrong neither asks all the time nor hands out dead tokens.
    fn life(&self, date: Option<SystemTime>, sent: SystemTime, requested: Duration) -> Duration {
        let Some(exp) = self.exp else {
            // No `exp`: as long as was asked for, never for ever.
            return requested;
        };
        let whole = self.lifetime(requested);
        let date = date.map(since_epoch).filter(|date| self.agrees_with(*date));
        let now = date.unwrap_or_else(|| since_epoch(sent));
        // A clock that is behind the time of issue is behind by at least that much.
        let now = self.iat.map_or(now, |iat| now.max(iat));
        span(now, exp).min(whole)
    }

    /// Whether a `Date` can be when this token was handed out. A gateway with a wrong clock must
    /// not decide over every token.
    fn agrees_with(&self, date: f64) -> bool {
        match (self.iat, self.exp) {
            (Some(iat), Some(exp)) => (iat - DATE_TOLERANCE..exp).contains(&date),
            _ => true,
        }
    }
}

/// The token's length, and the token with a scope behind it.
fn with_scope(token: SecretString, scope: Option<String>) -> Result<(u16, SecretString), Error> {
    let length = u16::try_from(token.expose_secret().len()).map_err(|_| too_long())?;
    let both = match scope {
        Some(scope) => {
            // Of the right size: one that grows leaves parts of the token in freed memory.
            let mut both = String::with_capacity(usize::from(length) + scope.len());
            both += token.expose_secret();
            both += &scope;
            both.into()
        }
        None => token,
    };
    Ok((length, both))
}

fn check_shape(token: &str) -> Result<(), Error> {
    if token.is_empty() || matches!(token, "null" | "undefined") {
        return Err(bad_answer("Courier answered with an empty token"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(too_long());
    }
    // As in an `Authorization` header. Nothing that means something in HTML, where an app may put
    // it as it is.
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
    if !token.bytes().all(known) {
        return Err(bad_answer(
            "Courier answered with a token that contains characters no token has",
        ));
    }
    Ok(())
}

fn check_user(scope: &str, wanted: &UserId) -> Result<(), Error> {
    let mut users = scope
        .split(is_space)
        .filter_map(|word| word.strip_prefix("user_id:"));
    if users.next() == Some(wanted.as_str()) && users.next().is_none() {
        return Ok(());
    }
    Err(bad_answer(
        "Courier answered with a token that is not for exactly the requested user; it was thrown \
         away",
    ))
}

fn too_long() -> Error {
    bad_answer("Courier answered with a token of more than 16 KiB, which no header carries")
}

fn bad_answer(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::BadAnswer, message)
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// From one time to a later one; zero if it is not later.
fn span(from: f64, to: f64) -> Duration {
    Duration::try_from_secs_f64(to - from).unwrap_or_default()
}

fn whole_seconds(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs()
}

fn whole_u32(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

/// A timer may fire this late.
const TIMER_RESOLUTION: Duration = Duration::from_millis(5);
/// No real one has more than a few hundred bytes; servers refuse headers of this size.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Far beyond any date, far below what overflows a `SystemTime`.
const MAX_SECONDS: f64 = 1e11;
/// `Date` has whole seconds, and Courier's servers may differ a little.
const DATE_TOLERANCE: f64 = 60.0;

#[cfg(test)]
mod fuzz;
