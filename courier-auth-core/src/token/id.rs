use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::{Error, ErrorKind};

/// Identifies a token without revealing it: the first 16 bytes of its SHA-256, base64url.
///
/// Browsers send it back to say which token they hold (`If-None-Match`) or which one Courier
/// refused (`?rejected=`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 22]);

impl TokenId {
    /// The id of a token.
    pub fn of(token: &str) -> Self {
        Fingerprint::of(token).id()
    }

    /// The id's 22 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TokenId {
    /// As [`FromStr`], without an error to allocate: browsers may send any number that are malformed.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let digits: [u8; 22] = id.as_bytes().try_into().ok()?;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        digits
            .iter()
            .all(|byte| known(*byte))
            .then_some(Self(digits))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 22] {
        &self.0
    }
}

/// What an id says, in fewer bytes: each cached user has one.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(super) fn of(token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&digest.as_ref()[..16]);
        Self(first)
    }

    pub(super) fn id(self) -> TokenId {
        let mut digits = [0; 22];
        URL_SAFE_NO_PAD
            .encode_slice(self.0, &mut digits)
            .expect("16 bytes are 22 base64 digits");
        TokenId(digits)
    }
}

/// Reads an id that a browser sent back; what cannot be one is an [`ErrorKind::InvalidInput`].
///
/// ```
/// use courier_auth_core::TokenId;
///
/// let held: TokenId = "hkzAOoyVoVoTQz_Iwlc8pQ".parse()?;
/// assert_eq!(held.as_str(), "hkzAOoyVoVoTQz_Iwlc8pQ");
/// assert!("\"hkzAOoyVoVoTQz_Iwlc8pQ\"".parse::<TokenId>().is_err()); // the quotes of an ETag
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
impl FromStr for TokenId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        Self::parse(id).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "a token id has 22 characters: letters, digits, `-` and `_`",
            )
        })
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
