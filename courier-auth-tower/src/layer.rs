use std::{fmt, future::Future, sync::Arc};

use axum_core::extract::FromRequestParts;
use courier_auth_core::{TokenProvider, endpoint::Endpoint};
use tower_layer::Layer;

use crate::{
    courier::Courier,
    identity::{Hook, IntoIdentity},
    service::CourierAuthService,
};

/// Answers `/courier/token` with the signed-in user's Courier token and `/courier/session.js` with
/// the browser helper, and lets handlers take a [`CourierToken`](crate::CourierToken).
///
/// Cheap to clone; clones share the provider. See the [crate docs](crate) for examples.
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to an app"]
pub struct CourierAuthLayer {
    courier: Arc<Courier>,
    /// Below which it answers; `None` for the extension alone.
    prefix: Option<Arc<str>>,
    extractor: bool,
}

impl CourierAuthLayer {
    /// A layer that hands out the provider's tokens to the user that the hook names.
    ///
    /// The hook is an async closure over one of the app's own extractors, or a tuple of them, and
    /// returns any [`IntoIdentity`]. It runs for each token.
    ///
    /// Should the compiler say that the closure takes two arguments where one is expected, make them
    /// one: `async |(session, headers): (Session, HeaderMap)| …`. If it asks for `FromRef<()>`, the
    /// extractor needs the app's state: [`with_state`](Self::with_state). If it asks for
    /// `FromRequestParts<()>`, so it may; or it reads the body, which a hook cannot; or it is an `Option`
    /// that has to be a `Result`. If it asks for `IntoResponse`, map the hook's error, to a `StatusCode` for
    /// example.
    ///
    /// ```
    /// # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
    /// # use axum::{extract::FromRequestParts, http::{StatusCode, request::Parts}};
    /// # #[derive(Clone)] struct CurrentUser { id: u64 }
    /// # impl<S: Sync> FromRequestParts<S> for CurrentUser {
    /// #     type Rejection = StatusCode;
    /// #     async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
    /// #         parts.extensions.get().cloned().ok_or(StatusCode::UNAUTHORIZED)
    /// #     }
    /// # }
    /// # fn example(provider: TokenProvider) {
    /// let courier = CourierAuthLayer::new(provider, |user: CurrentUser| async move { user.id });
    /// # }
    /// ```
    pub fn new<F, X, Fut>(provider: TokenProvider, hook: F) -> Self
    where
        F: Fn(X) -> Fut + Send + Sync + 'static,
        X: FromRequestParts<()> + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoIdentity,
    {
        Self::with_state(provider, (), hook)
    }

    /// As [`new`](Self::new), for a hook whose extractor needs the app's state: axum's `State`, or
    /// what builds on it.
    ///
    /// ```
    /// # use courier_auth_tower::{CourierAuthLayer, TokenProvider};
    /// # use axum::{extract::State, http::HeaderMap};
    /// # #[derive(Clone)] struct AppState;
    /// # impl AppState { async fn user_of(&self, _: &HeaderMap) -> Option<String> { None } }
    /// # fn example(provider: TokenProvider, state: AppState) {
    /// let courier = CourierAuthLayer::with_state(
    ///     provider,
    ///     state.clone(),
    ///     async |(State(app), headers): (State<AppState>, HeaderMap)| app.user_of(&headers).await,
    /// );
    /// # }
    /// ```
    pub fn with_state<S, F, X, Fut>(provider: TokenProvider, state: S, hook: F) -> Self
    where
        S: Send + Sync + 'static,
        F: Fn(X) -> Fut + Send + Sync + 'static,
        X: FromRequestParts<S> + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoIdentity,
    {
        Self {
            courier: Arc::new(Courier::new(
                Endpoint::new(provider),
                Hook::new(state, hook),
            )),
            prefix: None,
            extractor: true,
        }
        .prefix(Endpoint::DEFAULT_PREFIX)
    }

    /// Where the layer answers: `{prefix}/token` and `{prefix}/session.js`. Slashes at either end
    /// make no difference, and `/` means `/token`. Default: `/courier`.
    ///
    /// Compared literally with the path the layer sees, percent-encoded where needed. In a nested
    /// router that is the path without the nest's prefix, and the router needs a `fallback` for the
    /// layer to run. For patterns such as `/{tenant}/courier`, nest [`routes`](Self::routes), which
    /// the prefix does not affect.
    ///
    /// ```
    /// # use axum::Router;
    /// # use courier_auth_tower::CourierAuthLayer;
    /// # fn example(courier: CourierAuthLayer) {
    /// // /api/inbox/token and /api/inbox/session.js
    /// let app: Router = Router::new().layer(courier.prefix("/api/inbox"));
    /// # }
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        self.prefix = Some(format!("{slash}{prefix}").into());
        self
    }

    /// Answers pages of other sites too, as a single-page app on another domain needs. Such an app
    /// also needs CORS, see the [crate docs](crate#cors). Default: off, they get a 403.
    ///
    /// With it on, who may read a token is up to the app's CORS alone: keep its list of origins
    /// short, and never let it mirror any origin while it allows credentials.
    pub fn allow_cross_site(mut self, allow: bool) -> Self {
        Arc::make_mut(&mut self.courier).allow_cross_site(allow);
        self
    }

    /// Adds nothing to the extensions of requests, so that handlers cannot take a
    /// [`CourierToken`](crate::CourierToken). Default: they can.
    pub fn without_extractor(mut self) -> Self {
        self.extractor = false;
        self
    }

    /// A layer that answers nothing itself and only lets handlers take a
    /// [`CourierToken`](crate::CourierToken), for apps that mount the token as a route.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use courier_auth_tower::{CourierAuthLayer, CourierToken};
    /// # async fn page(_: CourierToken) {}
    /// # fn example(courier: CourierAuthLayer) {
    /// let pages: Router = Router::new().route("/", get(page)).layer(courier.extension());
    /// # }
    /// ```
    pub fn extension(&self) -> Self {
        Self {
            courier: Arc::clone(&self.courier),
            prefix: None,
            extractor: true,
        }
    }

    /// The provider whose tokens are handed out, to call
    /// [`invalidate`](TokenProvider::invalidate) on sign-out for example, or
    /// [`status`](TokenProvider::status) on a health page.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use courier_auth_tower::{CourierAuthLayer, Status};
    /// # fn example(courier: CourierAuthLayer) {
    /// let provider = courier.provider().clone();
    /// let health = get(async move || format!("{} users", provider.status().users));
    /// let app: Router = Router::new().route("/healthz", health).layer(courier);
    /// # }
    /// ```
    pub fn provider(&self) -> &TokenProvider {
        self.courier.provider()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn courier(&self) -> &Arc<Courier> {
        &self.courier
    }
}

impl<S> Layer<S> for CourierAuthLayer {
    type Service = CourierAuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CourierAuthService::new(
            inner,
            Arc::clone(&self.courier),
            self.prefix.clone(),
            self.extractor,
        )
    }
}

impl fmt::Debug for CourierAuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierAuthLayer")
            .field("provider", self.provider())
            .field("prefix", &self.prefix)
            .field("extractor", &self.extractor)
            .finish_non_exhaustive()
    }
}
