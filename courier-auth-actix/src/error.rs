use std::{cell::RefCell, error::Error as StdError, fmt};

use actix_web::{Error as ActixError, HttpResponse, ResponseError, http::StatusCode};
use courier_auth_core::{
    Error,
    endpoint::{Endpoint, Reply},
};

use crate::reply::{no_store, to_response};

/// Why a [`CourierToken`](crate::CourierToken) could not be extracted.
///
/// Its text may stand on a page: what went wrong between the app and Courier is for the log, and in
/// [`courier_error`](Self::courier_error) and [`source`](StdError::source).
///
/// As a response it is what the token's route would answer: a problem (RFC 9457) without anything
/// that a browser should not know, or the app's own error response.
pub struct CourierTokenError(Cause);

impl CourierTokenError {
    /// Whether nobody is signed in: the hook said so, or it failed with the app's own 401.
    ///
    /// Everything else is an outage or a mistake, which a page should not show as "signed out".
    pub fn is_signed_out(&self) -> bool {
        self.status_code() == StatusCode::UNAUTHORIZED
    }

    /// What went wrong between the app and Courier; `None` if it did not come to that.
    pub fn courier_error(&self) -> Option<&Error> {
        match &self.0 {
            Cause::Failed(error, _) => Some(error),
            Cause::SignedOut(_) | Cause::App(..) | Cause::NotConfigured(_) => None,
        }
    }

    pub(crate) fn signed_out(endpoint: &Endpoint) -> Self {
        Self(Cause::SignedOut(endpoint.signed_out()))
    }

    /// The endpoint is asked once, here, because it may also log.
    pub(crate) fn failed(endpoint: &Endpoint, error: Error) -> Self {
        let reply = endpoint.failed(&error);
        Self(Cause::Failed(error, reply))
    }

    pub(crate) fn app(error: ActixError) -> Self {
        let answer = no_store(error.error_response());
        Self(Cause::App(error, answer.status(), Answer::new(answer)))
    }

    pub(crate) fn asks_itself() -> Self {
        Self(Cause::NotConfigured(Reply::not_configured(
            "the hook of a `CourierAuth` extracts a `CourierToken`, for which the hook would have \
             to be asked: let it extract the app's own session or user",
        )))
    }

    pub(crate) fn not_configured() -> Self {
        Self(Cause::NotConfigured(Reply::not_configured(
            "a handler extracts `CourierToken`, but its app has no `CourierAuth`: add \
             `.configure(courier.routes())` to the app, or `.app_data(courier.clone())` to the \
             app or scope of the handler",
        )))
    }
}

impl fmt::Display for CourierTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::SignedOut(_) => f.write_str("nobody is signed in"),
            Cause::Failed(..) => f.write_str("no Courier token for the signed-in user"),
            Cause::App(_, status, _) => write!(f, "the app's own check failed with {status}"),
            Cause::NotConfigured(_) => f.write_str("`CourierAuth` is not set up in this app"),
        }
    }
}

impl fmt::Debug for CourierTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierTokenError")
            .field("reason", &format_args!("{self}"))
            .field("status", &self.status_code())
            .field("source", &self.source())
            .finish()
    }
}

impl StdError for CourierTokenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Cause::Failed(error, _) => Some(error),
            Cause::App(error, ..) => Some(error),
            Cause::SignedOut(_) | Cause::NotConfigured(_) => None,
        }
    }
}

impl ResponseError for CourierTokenError {
    fn status_code(&self) -> StatusCode {
        match &self.0 {
            Cause::SignedOut(reply) | Cause::Failed(_, reply) | Cause::NotConfigured(reply) => {
                StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Cause::App(_, status, _) => *status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match &self.0 {
            Cause::SignedOut(reply) | Cause::Failed(_, reply) | Cause::NotConfigured(reply) => {
                to_response(reply.clone())
            }
            Cause::App(error, _, answer) => answer
                .take()
                .unwrap_or_else(|| no_store(error.error_response())),
        }
    }
}

enum Cause {
    SignedOut(Reply),
    Failed(Error, Reply),
    App(ActixError, StatusCode, Answer),
    NotConfigured(Reply),
}

/// What the app's error answers. Asked once and kept: an `InternalError::from_response` of
/// actix-web's gives it away and answers a bare 500 after that.
struct Answer(RefCell<Option<HttpResponse>>);

impl Answer {
    fn new(answer: HttpResponse) -> Self {
        Self(RefCell::new(Some(answer)))
    }

    fn take(&self) -> Option<HttpResponse> {
        self.0.take()
    }
}
