use std::ops::Deref;

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use courier_auth_core::Token;
use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, ready},
};

use crate::{asking::Asking, auth::CourierAuth, error::CourierTokenError};

/// Extractor: the Courier token of the user who is signed in.
///
/// For pages rendered on the server, which then have the token in their first byte. The page is as
/// secret as the token in it: send it with `Cache-Control: no-store`.
///
/// ```
/// use actix_web::{HttpResponse, Responder, http::header};
/// use courier_auth_actix::{CourierToken, CourierTokenError};
///
/// async fn inbox(token: CourierToken) -> impl Responder {
///     HttpResponse::Ok()
///         .insert_header((header::CACHE_CONTROL, "no-store"))
///         .body(format!("<courier-inbox data-jwt=\"{}\">", token.as_str()))
/// }
///
/// // For a page that everybody may see:
/// async fn home(token: Result<CourierToken, CourierTokenError>) -> impl Responder {
///     match token {
///         Ok(token) => format!("hello, {}", token.user_id()),
///         Err(error) if error.is_signed_out() => "hello, stranger".to_owned(),
///         Err(_) => "hello; your messages are not available at the moment".to_owned(),
///     }
/// }
/// ```
///
/// `Option<CourierToken>`, which actix-web provides, is `None` during an outage too. Prefer the
/// `Result`.
///
/// It asks the nearest [`CourierAuth`] in the app data: that of the resource, else of the scope,
/// else of the app. [`CourierAuth::routes`] puts it there. `app_data(courier.clone())` on a scope
/// does the same without a route, e.g. for an area whose tokens have scopes of their own. One in a
/// [`Data`] is asked only where there is none without, however far away: actix-web does not say
/// which of two types is nearer, so do not wrap the one of an area. Where there is none of either,
/// the answer is a 500, and an ERROR in the log says how to add it.
///
/// The token comes from the provider's cache, so several handlers and the token's route ask
/// Courier once between them.
#[derive(Clone, Debug)]
pub struct CourierToken(Token);

impl CourierToken {
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

impl FromRequest for CourierToken {
    type Error = CourierTokenError;
    type Future = LocalBoxFuture<'static, Result<Self, CourierTokenError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if Asking::is_marked(request) {
            return ready(Err(CourierTokenError::asks_itself())).boxed_local();
        }
        let Some(courier) = configured(request).cloned() else {
            return ready(Err(CourierTokenError::not_configured())).boxed_local();
        };
        let identified = courier.identify(request, payload);
        async move {
            let endpoint = courier.endpoint();
            let Some(signed_in) = identified.await.map_err(CourierTokenError::app)? else {
                return Err(CourierTokenError::signed_out(endpoint));
            };
            match courier.provider().token(&signed_in).await {
                Ok(token) => Ok(Self(token)),
                Err(error) => Err(CourierTokenError::failed(endpoint, error)),
            }
        }
        .boxed_local()
    }
}

/// `Data` too, because that is how apps share everything else.
fn configured(request: &HttpRequest) -> Option<&CourierAuth> {
    request
        .app_data::<CourierAuth>()
        .or_else(|| Some(request.app_data::<Data<CourierAuth>>()?.get_ref()))
}
