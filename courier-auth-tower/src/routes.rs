use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    response::Response,
    routing::{MethodRouter, any_service},
};
use courier_auth_core::endpoint::Endpoint;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Map},
};
use tower_service::Service;

use crate::{
    courier::{Courier, Path},
    layer::CourierAuthLayer,
};

impl CourierAuthLayer {
    /// The endpoint as a router, to be nested where the app wants it: `/token`, and `/session.js`
    /// for browsers.
    ///
    /// The app's state may be any, and its fallback stays the fallback. Handlers elsewhere can
    /// take a [`CourierToken`](crate::CourierToken) if the app adds
    /// [`extension`](Self::extension) as a layer.
    ///
    /// ```
    /// # use axum::{Router, http::HeaderMap};
    /// # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
    /// # fn example(provider: TokenProvider) {
    /// # let courier = CourierAuthLayer::new(provider, |_: HeaderMap| async { "user-1" });
    /// let app: Router = Router::new().nest("/courier", courier.routes());
    /// # }
    /// ```
    pub fn routes<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Router::new()
            .route(Endpoint::TOKEN_PATH, self.route())
            .route(Endpoint::SCRIPT_PATH, self.answering(Path::Script))
    }

    /// The token alone, without `session.js`, at a path of the app's choice.
    ///
    /// ```
    /// # use axum::{Router, http::HeaderMap};
    /// # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
    /// # fn example(provider: TokenProvider) {
    /// # let courier = CourierAuthLayer::new(provider, |_: HeaderMap| async { "user-1" });
    /// let app: Router = Router::new().route("/courier/token", courier.route());
    /// # }
    /// ```
    pub fn route<S>(&self) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        self.answering(Path::Token)
    }

    fn answering<S>(&self, path: Path) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let courier = Arc::clone(self.courier());
        // Any method: the endpoint itself answers those it does not know, as it does in a layer.
        any_service(Answering { courier, path })
    }
}

/// A service and not a handler, which axum would put into one more box for each request.
#[derive(Clone)]
struct Answering {
    courier: Arc<Courier>,
    path: Path,
}

impl Service<Request> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Map<BoxFuture<'static, Response>, fn(Response) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let courier = Arc::clone(&self.courier);
        courier.answer(self.path, request).map(Ok)
    }
}
