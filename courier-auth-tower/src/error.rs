use std::{error::Error as StdError, fmt, sync::Mutex, sync::PoisonError};

use axum_core::response::{IntoResponse, Response};
use courier_auth_core::{Error, endpoint::Reply};
use http::StatusCode;

use crate::reply::response;

/// Why a handler gets no [`CourierToken`](crate::CourierToken).
///
/// Its text may stand on a page: what went wrong between the app and Courier is for the log, and in
/// [`courier_error`](Self::courier_error) and [`source`](StdError::source).
///
/// As a response it is what the token endpoint would answer; it reveals nothing about Courier or the
/// app's set-up that a browser should not know.
pub struct CourierTokenRejection(Box<Kind>);

impl CourierTokenRejection {
    pub(crate) fn signed_out(reply: Reply) -> Self {
        Self(Box::new(Kind::SignedOut(reply)))
    }

    pub(crate) fn failed(error: Error, reply: Reply) -> Self {
        Self(Box::new(Kind::Failed(error, reply)))
    }

    pub(crate) fn app(response: Response) -> Self {
        Self(Box::new(Kind::App(response.status(), Mutex::new(response))))
    }

    pub(crate) fn not_configured(reply: Reply) -> Self {
        Self(Box::new(Kind::NotConfigured(reply)))
    }

    /// Whether nobody is signed in: the hook named nobody, or the app's own extractor or error
    /// answers 401.
    ///
    /// Everything else is an outage or a mistake, which a page should not show as "signed out".
    pub fn is_signed_out(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }

    /// What went wrong between the app and Courier; `None` if it did not come to that.
    pub fn courier_error(&self) -> Option<&Error> {
        match &*self.0 {
            Kind::Failed(error, _) => Some(error),
            Kind::SignedOut(_) | Kind::App(..) | Kind::NotConfigured(_) => None,
        }
    }

    /// The status of the response that this becomes.
    pub fn status(&self) -> StatusCode {
        match &*self.0 {
            Kind::SignedOut(reply) | Kind::Failed(_, reply) | Kind::NotConfigured(reply) => {
                StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Kind::App(status, _) => *status,
        }
    }
}

impl IntoResponse for CourierTokenRejection {
    fn into_response(self) -> Response {
        match *self.0 {
            Kind::SignedOut(reply) | Kind::Failed(_, reply) | Kind::NotConfigured(reply) => {
                response(reply)
            }
            Kind::App(_, apps_answer) => apps_answer
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl fmt::Display for CourierTokenRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::SignedOut(_) => f.write_str("nobody is signed in"),
            Kind::Failed(..) => f.write_str("no Courier token for the signed-in user"),
            Kind::App(status, _) => write!(f, "the app's own check failed with {status}"),
            Kind::NotConfigured(_) => f.write_str(
                "no `CourierAuthLayer` is around the handler that asks for a token, or it is \
                     the layer's own hook that asks",
            ),
        }
    }
}

impl fmt::Debug for CourierTokenRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierTokenRejection")
            .field("reason", &format_args!("{self}"))
            .field("status", &self.status())
            .field("error", &self.courier_error())
            .finish()
    }
}

impl StdError for CourierTokenRejection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.courier_error().map(|error| error as _)
    }
}

enum Kind {
    SignedOut(Reply),
    Failed(Error, Reply),
    /// Locked only to be `Sync`, which error types are expected to be and response bodies are not.
    App(StatusCode, Mutex<Response>),
    NotConfigured(Reply),
}
