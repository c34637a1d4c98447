//! For whom a query is, and what that one may do.

use async_graphql::{Context, Error, ErrorExtensions, Result, ServerError, Value};
use axum::http::HeaderMap;
use courier_auth_core::emulator::Claims;

use crate::emulator::{
    access::{self, Bearer, Refusal},
    courier::Courier,
    settings::MissingScope,
    state::State,
};

/// For whom a query is.
pub(super) struct Caller {
    courier: Courier,
    claims: Claims,
    user: String,
    /// By which the client names its socket.
    source: Option<String>,
    missing_scope: MissingScope,
}

impl Caller {
    pub(super) fn of(courier: &Courier, headers: &HeaderMap) -> Result<Self, Refusal> {
        let Bearer::Token(claims) = courier.bearer(headers)? else {
            // An API key is no key for clients.
            return Err(Refusal::Unauthorized);
        };
        let header = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        // Without the header, which all SDKs send, it is the user of the token, if that names one.
        let user = header("x-courier-user-id").or_else(|| {
            let mut users = claims.user_ids();
            let only = users.next().map(str::to_owned);
            only.filter(|_| users.next().is_none())
        });
        Ok(Self {
            user: user.unwrap_or_default(),
            source: header("x-courier-client-source-id"),
            missing_scope: courier.settings().missing_scope,
            courier: courier.clone(),
            claims,
        })
    }

    pub(super) fn missing_scope(&self) -> MissingScope {
        self.missing_scope
    }

    fn may(&self, scope: &str) -> bool {
        access::names_user(&self.claims, &self.user) && access::has_scope(&self.claims, scope)
    }
}

/// Reads something with one of these scopes. `None` if the caller may not and is to be told that there is nothing.
pub(super) fn read<T>(
    ctx: &Context<'_>,
    scopes: &[&str],
    read: impl FnOnce(&State, &str) -> Result<T>,
) -> Result<Option<T>> {
    let caller = ctx.data::<Caller>()?;
    if scopes.iter().any(|scope| caller.may(scope)) {
        return read(&caller.courier.state(), &caller.user).map(Some);
    }
    match caller.missing_scope {
        MissingScope::Empty => Ok(None),
        MissingScope::Errors | MissingScope::Forbidden => Err(refusal()),
    }
}

/// Changes something with this scope; the last argument of `write` is the client that asks for it.
pub(super) fn write<T>(
    ctx: &Context<'_>,
    scope: &str,
    write: impl FnOnce(&mut State, &str, Option<&str>) -> T,
) -> Result<T> {
    let caller = ctx.data::<Caller>()?;
    if !caller.may(scope) {
        return Err(refusal());
    }
    let mut state = caller.courier.state();
    Ok(write(&mut state, &caller.user, caller.source.as_deref()))
}

pub(super) fn is_refusal(error: &ServerError) -> bool {
    let extensions = error.extensions.as_ref();
    extensions.and_then(|values| values.get("type")) == Some(&Value::from(REFUSED))
}

fn refusal() -> Error {
    Error::new("Forbidden").extend_with(|_, values| values.set("type", REFUSED))
}

const REFUSED: &str = "authorization_error";
