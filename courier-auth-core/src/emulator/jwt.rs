//! Signing and verifying tokens: HS256 with a secret of this emulator's own, claims as in Courier's tokens.

use std::fmt;

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256},
    rand::SystemRandom,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a token of the emulator says, in the order in which Courier's tokens say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The scope string of the request, verbatim.
    pub scope: String,
    /// Courier's workspace and environment, here always `published/production`.
    pub tenant_scope: String,
    /// The id of that workspace, here a fixed UUID.
    pub tenant_id: String,
    /// When the token was issued, in Unix seconds.
    pub iat: i64,
    /// When it expires, in Unix seconds. `None` means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The id of this token, a UUID.
    pub jti: String,
}

impl Claims {
    pub(super) fn new(scope: String, issued_at: i64, exp: Option<i64>) -> Self {
        Self {
            scope,
            tenant_scope: "published/production".to_owned(),
            tenant_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            iat: issued_at,
            exp,
            jti: Uuid::new_v4().to_string(),
        }
    }

    /// The user ids that the scope names, in its order. The emulator, like Courier, lets a token name several or none.
    pub fn user_ids(&self) -> impl Iterator<Item = &str> {
        user_ids(&self.scope)
    }
}

/// Why [`Emulator::verify`](super::Emulator::verify) refuses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not a JWT.
    Malformed,
    /// This emulator did not sign it.
    Signature,
    /// Its `exp` has passed on the emulator's clock.
    Expired,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is not a JWT",
            Self::Signature => "the token was not signed by this emulator",
            Self::Expired => "the token has expired",
        })
    }
}

impl std::error::Error for VerifyError {}

/// Holds the signing secret, ready to use.
pub(super) struct Signer {
    key: hmac::Key,
}

impl Signer {
    pub(super) fn random() -> Self {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(HMAC_SHA256, &random);
        Self {
            key: key.expect("the system gives random numbers"),
        }
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("strings and integers are always JSON");
        let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    pub(super) fn verify(&self, token: &str, now: i64) -> Result<Claims, VerifyError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (_, payload) = signed.split_once('.').ok_or(VerifyError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.map_err(|_| VerifyError::Malformed)?;
        // Nothing is read out of a token before its signature is known to be good.
        hmac::verify(&self.key, signed.as_bytes(), &signature)
            .map_err(|_| VerifyError::Signature)?;
        let payload = URL_SAFE_NO_PAD.decode(payload);
        let payload = payload.map_err(|_| VerifyError::Malformed)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|_| VerifyError::Malformed)?;
        if claims.exp.is_some_and(|exp| exp <= now) {
            return Err(VerifyError::Expired);
        }
        Ok(claims)
    }
}

/// The user ids that a scope string names. An id may contain a colon.
pub(super) fn user_ids(scope: &str) -> impl Iterator<Item = &str> {
    scope
        .split(' ')
        .filter_map(|word| word.strip_prefix(USER_ID))
        .filter(|id| !id.is_empty())
}

pub(super) const USER_ID: &str = "user_id:";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Claims, Signer, VerifyError, user_ids};

    fn claims(exp: Option<i64>) -> Claims {
        Claims::new("user_id:user-1 inbox:read:messages".to_owned(), 1000, exp)
    }

    #[test]
    fn a_token_is_good_until_its_expiry() {
        let signer = Signer::random();
        let claims = claims(Some(2000));
        let token = signer.sign(&claims);
        assert_eq!(signer.verify(&token, 1999), Ok(claims));
        assert_eq!(signer.verify(&token, 2000), Err(VerifyError::Expired));
    }

    #[test]
    fn a_token_without_expiry_stays_good() {
        let signer = Signer::random();
        let token = signer.sign(&claims(None));
        assert!(signer.verify(&token, i64::MAX).is_ok());
    }

    #[test]
    fn another_emulators_token_is_refused() {
        let token = Signer::random().sign(&claims(None));
        let verified = Signer::random().verify(&token, 0);
        assert_eq!(verified, Err(VerifyError::Signature));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let signer = Signer::random();
        let token = signer.sign(&claims(None));
        let other = signer.sign(&Claims::new("user_id:admin".to_owned(), 1000, None));
        let (head_and_payload, _) = other.rsplit_once('.').unwrap_or_default();
        let (_, signature) = token.rsplit_once('.').unwrap_or_default();
        let forged = format!("{head_and_payload}.{signature}");
        assert_eq!(signer.verify(&forged, 0), Err(VerifyError::Signature));
        let unsigned = format!("{head_and_payload}.");
        assert_eq!(signer.verify(&unsigned, 0), Err(VerifyError::Signature));
    }

    #[test]
    fn users_are_read_from_the_scope() {
        let ids = |scope| user_ids(scope).collect::<Vec<_>>();
        assert_eq!(ids("user_id:a user_id:b:c read:user_id:d"), ["a", "b:c"]);
        assert_eq!(ids("user_id: inbox:read:messages").len(), 0);
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(token in r"\PC*|[A-Za-z0-9_-]{0,9}\.[A-Za-z0-9_-]{0,9}\.[A-Za-z0-9_-]{0,43}") {
            prop_assert!(Signer::random().verify(&token, 0).is_err());
        }
    }
}
