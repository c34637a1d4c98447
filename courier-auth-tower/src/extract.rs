use std::{ops::Deref, sync::Arc};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use courier_auth_core::{Token, endpoint::Reply};
use http::request::Parts;

use crate::{
    courier::{Courier, Handle},
    error::CourierTokenRejection,
};

/// The signed-in user's Courier token, for handlers that render pages on the server.
///
/// Who is signed in is decided by the hook of the [`CourierAuthLayer`](crate::CourierAuthLayer)
/// that the request came through; if there were several, by the innermost.
///
/// * `CourierToken` answers with a 401 if nobody is signed in, and with a 5xx if Courier issues no
///   token.
/// * `Option<CourierToken>` is `None` if nobody is signed in, which an extractor of the app's own
///   may say with a 401 too. That Courier or the session store is down is still answered with the
///   error.
/// * `Result<CourierToken, CourierTokenRejection>` leaves everything to the handler.
///
/// The page is as secret as the token in it: send it with `Cache-Control: no-store`.
///
/// ```
/// use axum::{
///     http::header::CACHE_CONTROL,
///     response::{Html, IntoResponse},
/// };
/// use courier_auth_tower::CourierToken;
///
/// async fn page(token: CourierToken) -> impl IntoResponse {
///     let page = format!("<body data-courier-jwt=\"{}\">", token.as_str());
///     ([(CACHE_CONTROL, "no-store")], Html(page))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CourierToken(Token);

impl CourierToken {
    pub(crate) fn new(token: Token) -> Self {
        Self(token)
    }

    /// The token itself.
    pub fn into_inner(self) -> Token {
        self.0
    }
}

impl Deref for CourierToken {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.0
    }
}

impl From<CourierToken> for Token {
    fn from(token: CourierToken) -> Self {
        token.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CourierToken {
    type Rejection = CourierTokenRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let Some(Handle(courier)) = parts.extensions.remove() else {
            return Err(CourierTokenRejection::not_configured(
                Reply::not_configured(NOT_CONFIGURED),
            ));
        };
        let asking = Asking { parts, courier };
        asking.courier.token(asking.parts).await
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for CourierToken {
    type Rejection = CourierTokenRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(token) => Ok(Some(token)),
            Err(rejection) if rejection.is_signed_out() => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }
}

/// The app is being asked who is signed in. The handle is out of the extensions for the time being, so
/// that a hook that asks for a `CourierToken` itself gets an error and not itself again. It is put back
/// also if the caller does not wait for the end.
struct Asking<'a> {
    parts: &'a mut Parts,
    courier: Arc<Courier>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let handle = Handle(Arc::clone(&self.courier));
        self.parts.extensions.insert(handle);
    }
}

const NOT_CONFIGURED: &str = "a handler asks for a `CourierToken`, but no `CourierAuthLayer` is \
                              around it: add `.layer(courier)`, or `.layer(courier.extension())` \
                              beside `courier.routes()`, after the app's routes. If it is the hook \
                              of a layer that asks for one: let it take the app's own session or \
                              user";
