use std::fmt;

use serde::Serialize;

/// Something that [`inspect`](super::inspect()) found out about a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs. Stable across versions.
    pub code: Code,
    /// What it is and what to do about it, for people. The wording may change.
    pub message: String,
}

impl Finding {
    pub(super) fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
        }
    }
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Info,
    /// It works, but perhaps not as intended, or not for long.
    Warning,
    /// It does not work.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// What a [`Finding`] is. The text of each is stable; new ones may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum Code {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\n`", $text, "`")]
                #[serde(rename = $text)]
                $name,
            )*
        }

        impl Code {
            /// The code as JSON has it, in kebab case.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

codes! {
    /// It is empty.
    Empty => "empty",
    /// A variable that was not filled in, such as `$TOKEN`, `<token>` or `undefined`.
    Placeholder => "placeholder",
    /// It is an API key, which belongs on a server, and not a token.
    ApiKey => "api-key",
    /// Whitespace or a line break around it.
    SurroundingWhitespace => "surrounding-whitespace",
    /// Whitespace or a line break within it, or other whitespace than spaces in its scope.
    WhitespaceInside => "whitespace-inside",
    /// Quotes around it.
    Quoted => "quoted",
    /// `Bearer` in front of it.
    BearerPrefix => "bearer-prefix",
    /// The whole answer of Courier's or of the app's token endpoint; an error if it holds no token.
    JsonWrapper => "json-wrapper",
    /// Longer than any header.
    TooLong => "too-long",
    /// Not three segments of base64url with JSON in them.
    NotAJwt => "not-a-jwt",
    /// It is truncated.
    Truncated => "truncated",
    /// Not signed with HS256, as Courier's tokens are.
    UnusualAlgorithm => "unusual-algorithm",
    /// Not issued by Courier, but perhaps by the app's own login.
    NotFromCourier => "not-from-courier",

    /// It has expired.
    Expired => "expired",
    /// It expires within minutes.
    ExpiresSoon => "expires-soon",
    /// It expires, but not soon.
    Expires => "expires",
    /// It has no `exp`, so it never expires.
    NoExpiry => "no-expiry",
    /// `exp`, `iat` or `nbf` is not a valid timestamp.
    MalformedTime => "malformed-time",
    /// It is valid only from a time in the future: a clock is wrong.
    NotYetValid => "not-yet-valid",
    /// It lives for a minute or less.
    ShortLived => "short-lived",
    /// It lives for more than 90 days, and cannot be revoked.
    LongLived => "long-lived",

    /// There is no `scope`.
    NoScope => "no-scope",
    /// The scope names no user.
    NoUser => "no-user",
    /// The scope names several users.
    SeveralUsers => "several-users",
    /// The scope names another user than the expected one.
    WrongUser => "wrong-user",
    /// The user's id is one that Courier or a client may read as something else.
    OddUserId => "odd-user-id",
    /// A scope is missing without which no message is shown.
    InboxReadMissing => "inbox-read-missing",
    /// A scope is missing without which nothing can be marked read or archived.
    InboxWriteMissing => "inbox-write-missing",
    /// Scopes are missing that the preferences page needs.
    PreferencesMissing => "preferences-missing",
    /// The scope is missing with which mobile SDKs store push tokens.
    PushTokensMissing => "push-tokens-missing",
    /// The scope is missing with which a themed preferences page reads its brand.
    BrandsMissing => "brands-missing",
    /// It gives access to data of tenants, which is for the embedded template designer.
    TenantScope => "tenant-scope",
    /// It has a wildcard in its scope.
    WildcardScope => "wildcard-scope",
    /// A scope that Courier does not document; perhaps a typo.
    UnknownScope => "unknown-scope",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
