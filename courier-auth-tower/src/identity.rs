use std::{future::Future, marker::PhantomData, sync::Arc};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use courier_auth_core::{TokenRequest, UserId};
use futures_util::future::BoxFuture;
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, Entry},
    request::Parts,
};

use crate::{courier::Courier, reply::response};

/// What a hook may return to say who is signed in.
///
/// | | |
/// |---|---|
/// | `&str`, `String`, [`UserId`], an integer | this user, with the provider's scopes and lifetime |
/// | [`TokenRequest`] | this user, with the scopes and lifetime of this request |
/// | `Option` of these | `None`: nobody is signed in, which is a 401 |
/// | `Result` of these with the app's own error | the error is answered as the app has it, with `Cache-Control: no-store` unless it says otherwise |
///
/// An error is not "nobody": a session store that is down must not look like a sign-out.
///
/// The trait is sealed: everything else is one `map` away from one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say who is signed in",
    label = "this hook returns `{Self}`",
    note = "a hook returns a user id (`&str`, `String`, `UserId`, or an integer that is `i32` or \
            wider) or a `TokenRequest`; `None` of an `Option` of these if nobody is signed in; or \
            a `Result` of all that, whose error implements axum's `IntoResponse`",
    note = "an id of another type, such as a UUID: return `id.to_string()`"
)]
pub trait IntoIdentity: sealed::Identity {}

mod sealed {
    use axum_core::response::Response;
    use courier_auth_core::TokenRequest;

    pub trait Identity {
        #[expect(clippy::result_large_err, reason = "it is the app's response")]
        fn identify(self) -> Result<Option<TokenRequest>, Response>;
    }
}

macro_rules! user_ids {
    ($($id:ty),*) => {$(
        impl IntoIdentity for $id {}

        impl sealed::Identity for $id {
            fn identify(self) -> Result<Option<TokenRequest>, Response> {
                Ok(Some(TokenRequest::for_user(self)))
            }
        }
    )*};
}
user_ids!(&str, String, UserId, i32, i64, i128, u32, u64, u128, usize);

impl IntoIdentity for TokenRequest {}

impl sealed::Identity for TokenRequest {
    fn identify(self) -> Result<Option<TokenRequest>, Response> {
        Ok(Some(self))
    }
}

impl<T: IntoIdentity> IntoIdentity for Option<T> {}

impl<T: IntoIdentity> sealed::Identity for Option<T> {
    fn identify(self) -> Result<Option<TokenRequest>, Response> {
        self.map_or(Ok(None), T::identify)
    }
}

impl<T: IntoIdentity, E: IntoResponse> IntoIdentity for Result<T, E> {}

impl<T: IntoIdentity, E: IntoResponse> sealed::Identity for Result<T, E> {
    fn identify(self) -> Result<Option<TokenRequest>, Response> {
        self.map_err(IntoResponse::into_response)?.identify()
    }
}

/// The app's extractor and closure, without their types.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Ask>);

impl Hook {
    pub(crate) fn new<S, F, X, Fut>(state: S, hook: F) -> Self
    where
        S: Send + Sync + 'static,
        F: Fn(X) -> Fut + Send + Sync + 'static,
        X: FromRequestParts<S> + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoIdentity,
    {
        Self(Arc::new(App {
            state,
            hook,
            extracts: PhantomData,
        }))
    }

    pub(crate) fn identify<'a>(&'a self, parts: &'a mut Parts) -> BoxFuture<'a, Identified> {
        self.0.identify(parts)
    }

    /// Asks, and answers the request with the token.
    pub(crate) fn answer(
        &self,
        courier: Arc<Courier>,
        parts: Parts,
    ) -> BoxFuture<'static, Response> {
        Arc::clone(&self.0).answer(courier, parts)
    }
}

/// Who is signed in, or what the app answers instead.
pub(crate) type Identified = Result<Option<TokenRequest>, Response>;

/// A trait and not a closure, because the future borrows from both arguments.
trait Ask: Send + Sync {
    fn identify<'a>(&'a self, parts: &'a mut Parts) -> BoxFuture<'a, Identified>;

    /// Here too, where the types are known, so that an answer is one box and not two.
    fn answer(self: Arc<Self>, courier: Arc<Courier>, parts: Parts)
    -> BoxFuture<'static, Response>;
}

struct App<S, F, X> {
    state: S,
    hook: F,
    extracts: PhantomData<fn() -> X>,
}

impl<S, F, X, Fut> App<S, F, X>
where
    F: Fn(X) -> Fut,
    X: FromRequestParts<S>,
    Fut: Future,
    Fut::Output: IntoIdentity,
{
    async fn ask(&self, parts: &mut Parts) -> Identified {
        let extracted = X::from_request_parts(parts, &self.state)
            .await
            .map_err(|rejection| uncached(rejection.into_response()))?;
        sealed::Identity::identify((self.hook)(extracted).await).map_err(uncached)
    }
}

impl<S, F, X, Fut> Ask for App<S, F, X>
where
    S: Send + Sync + 'static,
    F: Fn(X) -> Fut + Send + Sync + 'static,
    X: FromRequestParts<S> + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: IntoIdentity,
{
    fn identify<'a>(&'a self, parts: &'a mut Parts) -> BoxFuture<'a, Identified> {
        Box::pin(self.ask(parts))
    }

    fn answer(
        self: Arc<Self>,
        courier: Arc<Courier>,
        mut parts: Parts,
    ) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            match courier.accept(&parts) {
                Ok(call) => {
                    let identified = self.ask(&mut parts).await;
                    courier.reply(&call, identified).await
                }
                Err(refusal) => response(refusal),
            }
        })
    }
}

/// An answer about one user is no other's, whatever shared cache stands in between.
fn uncached(mut response: Response) -> Response {
    if let Entry::Vacant(missing) = response.headers_mut().entry(CACHE_CONTROL) {
        missing.insert(HeaderValue::from_static("no-store"));
    }
    response
}
