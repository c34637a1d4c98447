//! Who calls, and what for: the API key, or a token with its user and its scopes.

use axum::{
    http::{HeaderMap, header::AUTHORIZATION},
    response::Response,
};
use courier_auth_core::emulator::Claims;

use super::{courier::Courier, reply};

/// Whose call it is.
#[derive(Debug)]
pub(super) enum Bearer {
    /// A backend, which may do anything.
    ApiKey,
    Token(Claims),
}

impl Courier {
    /// # Errors
    ///
    /// A 401, if there is no API key and no token, or if the token is not good.
    pub(super) fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, Refusal> {
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.split_once(' '));
        let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, secret)) = sent else {
            return Err(Refusal::Unauthorized);
        };
        if secret == self.tokens().api_key() {
            return Ok(Bearer::ApiKey);
        }
        let claims = self.tokens().verify(secret);
        claims.map(Bearer::Token).map_err(|_| Refusal::Unauthorized)
    }

    /// Lets the API key through and nothing else.
    pub(super) fn only_backends(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.bearer(headers)? {
            Bearer::ApiKey => Ok(()),
            Bearer::Token(_) => Err(Refusal::Forbidden),
        }
    }

    /// Lets the API key through, and a token of this user that has this scope, if one is asked for.
    pub(super) fn backends_or_user(
        &self,
        headers: &HeaderMap,
        user: &str,
        scope: Option<&str>,
    ) -> Result<(), Refusal> {
        match self.bearer(headers)? {
            Bearer::Token(claims) if !names_user(&claims, user) => Err(Refusal::Forbidden),
            Bearer::Token(claims) if scope.is_some_and(|scope| !has_scope(&claims, scope)) => {
                Err(Refusal::Forbidden)
            }
            Bearer::ApiKey | Bearer::Token(_) => Ok(()),
        }
    }
}

pub(super) fn names_user(claims: &Claims, user: &str) -> bool {
    claims.user_ids().any(|id| id == user)
}

pub(super) fn has_scope(claims: &Claims, scope: &str) -> bool {
    claims.scope.split(' ').any(|word| word == scope)
}

/// Why a call is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    Forbidden,
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => reply::error(401, "Unauthorized"),
            Refusal::Forbidden => reply::error(403, "Forbidden"),
        }
    }
}
