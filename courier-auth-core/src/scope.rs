use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    request::check_id,
};

/// One permission inside a token.
///
/// Courier enforces scopes per API call, not when a token is issued: a token without a needed
/// scope is issued without complaint, and the Inbox then stays silently empty. The constants are
/// the documented scopes; those that name a brand or a tenant are functions. The user's own
/// `user_id:` scope is added by the crate and cannot be set by hand.
///
/// | What the browser or phone shows | Scopes |
/// |---|---|
/// | Inbox and toasts | [`MINIMAL`](Self::MINIMAL), the default |
/// | only a badge with the unread count | [`READ_ONLY`](Self::READ_ONLY) |
/// | Inbox, toasts and the preferences page | [`RECOMMENDED`](Self::RECOMMENDED) |
/// | all of these, and push tokens for mobile SDKs | [`FULL`](Self::FULL) |
/// | the embedded template designer | the `TENANTS_…` constants and `tenant_…` functions |
///
/// Source: Courier's pages "Authenticate Courier Inbox SDKs" and "Create a JWT".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Cow<'static, str>);

/// Inbox and toasts.
impl Scope {
    /// List and count messages, and receive new ones live.
    pub const INBOX_READ_MESSAGES: Self = Self::fixed("inbox:read:messages");
    /// Mark messages read, unread, opened, clicked or archived.
    pub const INBOX_WRITE_EVENTS: Self = Self::fixed("inbox:write:events");
    /// Read messages through Courier's older client API.
    pub const READ_MESSAGES: Self = Self::fixed("read:messages");
}

/// Preferences.
impl Scope {
    /// Show the user's notification preferences.
    pub const READ_PREFERENCES: Self = Self::fixed("read:preferences");
    /// Change the user's notification preferences.
    pub const WRITE_PREFERENCES: Self = Self::fixed("write:preferences");
}

/// Push tokens of mobile devices.
impl Scope {
    /// List the user's device tokens.
    pub const READ_USER_TOKENS: Self = Self::fixed("read:user-tokens");
    /// Add and remove the user's device tokens; the mobile SDKs do so on sign-in.
    pub const WRITE_USER_TOKENS: Self = Self::fixed("write:user-tokens");
}

/// Brands.
impl Scope {
    /// Read all brands, for a themed preferences page.
    pub const READ_BRANDS: Self = Self::fixed("read:brands");
    /// Change all brands.
    pub const WRITE_BRANDS: Self = Self::fixed("write:brands");

    /// Read one brand.
    ///
    /// ```
    /// use courier_auth_core::Scope;
    ///
    /// assert_eq!(Scope::read_brand("acme")?.as_str(), "read:brands:acme");
    /// assert!(Scope::read_brand("acme write:brands").is_err());
    /// # Ok::<(), courier_auth_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the id is empty, longer than 256 bytes or contains `*`, `:`, whitespace or control
    /// characters.
    pub fn read_brand(brand_id: &str) -> Result<Self, Error> {
        named("brand id", brand_id, |id| format!("read:brands:{id}"))
    }

    /// Change one brand.
    ///
    /// # Errors
    ///
    /// As [`read_brand`](Self::read_brand).
    pub fn write_brand(brand_id: &str) -> Result<Self, Error> {
        named("brand id", brand_id, |id| format!("write:brands:{id}"))
    }
}

/// Tenants, for the embedded template designer. An Inbox needs none of these: one token serves
/// all tenants of a user.
impl Scope {
    /// Read all data of all tenants.
    pub const TENANTS_READ: Self = Self::fixed("tenants:read");
    /// Read the brands of all tenants.
    pub const TENANTS_BRAND_READ: Self = Self::fixed("tenants:brand:read");
    /// Read the templates of all tenants.
    pub const TENANTS_NOTIFICATIONS_READ: Self = Self::fixed("tenants:notifications:read");
    /// Change the templates of all tenants.
    pub const TENANTS_NOTIFICATIONS_WRITE: Self = Self::fixed("tenants:notifications:write");

    /// Read one tenant.
    ///
    /// ```
    /// use courier_auth_core::{Scope, TokenRequest};
    ///
    /// // For the embedded designer of one tenant:
    /// let designer = TokenRequest::for_user("user-1").scopes([
    ///     Scope::tenant_read("acme")?,
    ///     Scope::tenant_notification_read("acme")?,
    ///     Scope::tenant_notification_write("acme")?,
    /// ]);
    /// # Ok::<(), courier_auth_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the id is empty, longer than 256 bytes or contains `*`, `:`, whitespace or control
    /// characters.
    pub fn tenant_read(tenant_id: &str) -> Result<Self, Error> {
        named("tenant id", tenant_id, |id| format!("tenant:{id}:read"))
    }

    /// Read one tenant's templates.
    ///
    /// # Errors
    ///
    /// As [`tenant_read`](Self::tenant_read).
    pub fn tenant_notification_read(tenant_id: &str) -> Result<Self, Error> {
        named("tenant id", tenant_id, |id| {
            format!("tenant:{id}:notification:read")
        })
    }

    /// Change one tenant's templates.
    ///
    /// # Errors
    ///
    /// As [`tenant_read`](Self::tenant_read).
    pub fn tenant_notification_write(tenant_id: &str) -> Result<Self, Error> {
        named("tenant id", tenant_id, |id| {
            format!("tenant:{id}:notification:write")
        })
    }

    /// Read one tenant's brand.
    ///
    /// # Errors
    ///
    /// As [`tenant_read`](Self::tenant_read).
    pub fn tenant_brand_read(tenant_id: &str) -> Result<Self, Error> {
        named("tenant id", tenant_id, |id| {
            format!("tenant:{id}:brand:read")
        })
    }

    /// Change one tenant's brand.
    ///
    /// # Errors
    ///
    /// As [`tenant_read`](Self::tenant_read).
    pub fn tenant_brand_write(tenant_id: &str) -> Result<Self, Error> {
        named("tenant id", tenant_id, |id| {
            format!("tenant:{id}:brand:write")
        })
    }
}

/// Sets to start from, for [`TokenRequest::scopes`](crate::TokenRequest::scopes) and
/// [`TokenProviderBuilder::scopes`](crate::TokenProviderBuilder::scopes).
///
/// ```
/// use courier_auth_core::{Scope, TokenRequest};
///
/// let preferences = TokenRequest::for_user("user-1").scopes(Scope::RECOMMENDED);
/// // One of these sets, and more:
/// let scopes = [Scope::MINIMAL, &[Scope::READ_PREFERENCES]].concat();
/// let readable = TokenRequest::for_user("user-1").scopes(scopes);
/// ```
impl Scope {
    /// An unread badge that changes nothing.
    pub const READ_ONLY: &'static [Self] = &[Self::INBOX_READ_MESSAGES];
    /// The least with which the Inbox and toasts work. The default.
    pub const MINIMAL: &'static [Self] = &[Self::INBOX_READ_MESSAGES, Self::INBOX_WRITE_EVENTS];
    /// Inbox, toasts and preferences, as Courier's documentation recommends.
    pub const RECOMMENDED: &'static [Self] = &[
        Self::INBOX_READ_MESSAGES,
        Self::INBOX_WRITE_EVENTS,
        Self::READ_PREFERENCES,
        Self::WRITE_PREFERENCES,
        Self::READ_BRANDS,
    ];
    /// Everything a client SDK can use, push tokens included.
    pub const FULL: &'static [Self] = &[
        Self::WRITE_USER_TOKENS,
        Self::INBOX_READ_MESSAGES,
        Self::INBOX_WRITE_EVENTS,
        Self::READ_PREFERENCES,
        Self::WRITE_PREFERENCES,
        Self::READ_BRANDS,
    ];
}

impl Scope {
    /// A scope that has no constant here, written as in Courier's documentation.
    ///
    /// Never build one from user input: use [`read_brand`](Self::read_brand) and the `tenant_…`
    /// functions for that.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 256 bytes, contains `*`, whitespace or control characters,
    /// or begins with `user_id:`, which would make the token another user's.
    ///
    /// ```
    /// use courier_auth_core::Scope;
    ///
    /// let scope = Scope::new("read:lists")?;
    /// assert_eq!(scope.as_str(), "read:lists");
    /// assert!(Scope::new("user_id:alice").is_err());
    /// assert!(Scope::new("read:lists user_id:alice").is_err());
    /// # Ok::<(), courier_auth_core::Error>(())
    /// ```
    pub fn new(scope: impl Into<String>) -> Result<Self, Error> {
        let scope = scope.into();
        check_id("scope", &scope)?;
        let names_a_user = scope
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("user_id:"));
        if names_a_user {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a scope may not begin with `user_id:`: the user is given by the token request",
            ));
        }
        Ok(Self(Cow::Owned(scope)))
    }

    /// The scope as Courier writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    const fn fixed(scope: &'static str) -> Self {
        Self(Cow::Borrowed(scope))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// As [`Scope::new`], for scopes from a configuration.
///
/// ```
/// use courier_auth_core::Scope;
///
/// let configured = "inbox:read:messages read:preferences";
/// let scopes: Vec<Scope> = configured.split(' ').map(str::parse).collect::<Result<_, _>>()?;
/// assert_eq!(scopes, [Scope::INBOX_READ_MESSAGES, Scope::READ_PREFERENCES]);
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
impl FromStr for Scope {
    type Err = Error;

    fn from_str(scope: &str) -> Result<Self, Error> {
        Self::new(scope)
    }
}

/// As [`Scope::new`].
impl TryFrom<&str> for Scope {
    type Error = Error;

    fn try_from(scope: &str) -> Result<Self, Error> {
        Self::new(scope)
    }
}

/// A clone, so that setters take borrowed scopes as well as owned ones.
impl From<&Self> for Scope {
    fn from(scope: &Self) -> Self {
        scope.clone()
    }
}

/// Scopes in the one order that makes equal sets equal strings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Arc<str>);

impl Scopes {
    pub(crate) fn new(scopes: impl IntoIterator<Item: Into<Scope>>) -> Result<Self, Error> {
        let sorted: BTreeSet<Scope> = scopes.into_iter().map(Into::into).collect();
        if sorted.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a token without scopes opens nothing: name at least one, e.g. `Scope::MINIMAL`",
            ));
        }
        let words: Vec<&str> = sorted.iter().map(Scope::as_str).collect();
        Ok(Self(words.join(" ").into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Equality that is one comparison of pointers for the usual case, the provider's default.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// Whether Courier documents it.
pub(crate) fn is_documented(scope: &str) -> bool {
    let brand = scope
        .strip_prefix("read:brands:")
        .or_else(|| scope.strip_prefix("write:brands:"));
    let tenant = scope
        .strip_prefix("tenant:")
        .and_then(|rest| rest.split_once(':'));
    DOCUMENTED.iter().any(|known| known.as_str() == scope)
        || brand.is_some_and(|id| !id.is_empty())
        || tenant.is_some_and(|(id, what)| !id.is_empty() && OF_A_TENANT.contains(&what))
}

/// A documented scope that differs by little.
pub(crate) fn nearest(scope: &str) -> Option<&'static str> {
    let letters = |text: &str| {
        let mut letters: Vec<_> = text
            .to_ascii_lowercase()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(|word| word.trim_end_matches('s').to_owned())
            .collect();
        letters.sort();
        letters
    };
    let wanted = letters(scope);
    let mut known = DOCUMENTED.iter();
    known
        .find(|known| letters(known.as_str()) == wanted)
        .map(Scope::as_str)
}

fn named(what: &str, id: &str, write: impl FnOnce(&str) -> String) -> Result<Scope, Error> {
    check_id(what, id)?;
    if id.contains(':') {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the {what} contains `:`, which would reach into another scope"),
        ));
    }
    Ok(Scope(Cow::Owned(write(id))))
}

static DOCUMENTED: [Scope; 13] = [
    Scope::INBOX_READ_MESSAGES,
    Scope::INBOX_WRITE_EVENTS,
    Scope::READ_MESSAGES,
    Scope::READ_PREFERENCES,
    Scope::WRITE_PREFERENCES,
    Scope::READ_USER_TOKENS,
    Scope::WRITE_USER_TOKENS,
    Scope::READ_BRANDS,
    Scope::WRITE_BRANDS,
    Scope::TENANTS_READ,
    Scope::TENANTS_BRAND_READ,
    Scope::TENANTS_NOTIFICATIONS_READ,
    Scope::TENANTS_NOTIFICATIONS_WRITE,
];
/// What follows a tenant's id.
const OF_A_TENANT: [&str; 5] = [
    "read",
    "notification:read",
    "notification:write",
    "brand:read",
    "brand:write",
];
