use std::{
    fmt,
    rc::Rc,
    sync::{Arc, LazyLock},
};

use actix_web::{
    Error as ActixError, FromRequest, HttpRequest, HttpResponse, Route,
    dev::{Payload, ServiceRequest, ServiceResponse, fn_service},
    http::header::HeaderName,
    web::{self, ServiceConfig},
};
use courier_auth_core::{TokenProvider, endpoint::Endpoint};
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    asking::Asking,
    identity::{Identified, IntoIdentity},
    reply::{TokenHeaders, drain, no_store, to_response},
};

/// Where tokens come from, and how the app tells who is signed in.
///
/// Make one outside `HttpServer::new`, whose closure runs once per worker: clones are cheap and
/// share the provider's cache, so that all workers do. [`routes`](Self::routes) adds the token's
/// route and the browser helper's to an app and makes [`CourierToken`](crate::CourierToken) work in
/// it. It is no middleware: it goes into `configure` and not into `wrap`.
///
/// ```
/// # use courier_auth_actix::{CourierAuth, TokenProvider};
/// # fn example(provider: TokenProvider) {
/// use actix_session::Session;
/// use actix_web::App;
///
/// let courier = CourierAuth::new(provider, |session: Session| async move {
///     session.get::<String>("user_id")
/// });
/// let app = App::new().configure(courier.routes());
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct CourierAuth {
    endpoint: Endpoint,
    prefix: Arc<str>,
    hook: Arc<Hook>,
    token_headers: TokenHeaders,
}

impl CourierAuth {
    /// Hands out the provider's tokens to the users that the hook names.
    ///
    /// The hook is an async closure over one of the app's own extractors (or a tuple of them) that
    /// names the signed-in user; [`IntoIdentity`] lists what it may return. It
    /// runs for each request that may get a token. If the extractor fails, its error response is
    /// the answer. A closure of two arguments is refused by the compiler: make them one tuple, as
    /// below.
    ///
    /// The user must come from something that the browser cannot choose: a session, a verified
    /// bearer token. A user id from the query, the body or a plain header would give everybody
    /// everybody's token.
    ///
    /// ```
    /// # use courier_auth_actix::{CourierAuth, TokenProvider, TokenRequest, Scope};
    /// # use actix_web::{dev::Payload, FromRequest, HttpRequest};
    /// # struct CurrentUser { id: String }
    /// # impl FromRequest for CurrentUser {
    /// #     type Error = actix_web::Error;
    /// #     type Future = std::future::Ready<Result<Self, Self::Error>>;
    /// #     fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
    /// #         std::future::ready(Err(actix_web::error::ErrorUnauthorized("")))
    /// #     }
    /// # }
    /// # fn example(provider: TokenProvider) {
    /// # let other = provider.clone();
    /// let courier = CourierAuth::new(provider, async |user: CurrentUser| user.id);
    /// # let provider = other;
    ///
    /// // Several extractors, possibly nobody signed in, scopes for this request:
    /// let courier = CourierAuth::new(
    ///     provider,
    ///     |(user, request): (Option<CurrentUser>, HttpRequest)| async move {
    ///         let user = user?;
    ///         let token = TokenRequest::for_user(user.id);
    ///         Some(match request.path() {
    ///             "/preferences" => token.scopes(Scope::RECOMMENDED),
    ///             _ => token,
    ///         })
    ///     },
    /// );
    /// # }
    /// ```
    pub fn new<F, X, Fut>(provider: TokenProvider, hook: F) -> Self
    where
        F: Fn(X) -> Fut + Send + Sync + 'static,
        X: FromRequest + 'static,
        Fut: Future + 'static,
        Fut::Output: IntoIdentity,
    {
        let hook = Arc::new(hook);
        let hook = move |request: &HttpRequest, payload: &mut Payload| {
            let extracted = X::from_request(request, payload);
            let hook = Arc::clone(&hook);
            async move {
                let extracted = extracted.await.map_err(Into::into)?;
                hook(extracted).await.into_identity()
            }
            .boxed_local()
        };
        Self {
            endpoint: Endpoint::new(provider),
            prefix: Endpoint::DEFAULT_PREFIX.into(),
            hook: Arc::new(hook),
            token_headers: TokenHeaders::default(),
        }
    }

    /// The path below which the routes lie. Default: `/courier`, so that they are `/courier/token`
    /// and `/courier/session.js`.
    ///
    /// Slashes at its ends make no difference, and an empty prefix is the root. It is a pattern
    /// as in [`web::resource`], compared with the decoded path: `/{tenant}/courier` is possible, and so
    /// is `/ü`, while `/%C3%BC` matches nothing. A malformed one (an open brace) makes actix-web panic
    /// when the app is built, before a request is served. Where `routes` configures a scope, the
    /// scope's path comes first.
    ///
    /// ```
    /// # use courier_auth_actix::CourierAuth;
    /// # fn example(courier: CourierAuth) {
    /// use actix_web::App;
    ///
    /// // /api/inbox/token and /api/inbox/session.js
    /// let app = App::new().configure(courier.prefix("/api/inbox").routes());
    /// # }
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix: String = prefix.into();
        let inner = prefix.trim_matches('/');
        self.prefix = match inner {
            "" => "".into(),
            inner => format!("/{inner}").into(),
        };
        self
    }

    /// Answers pages of other sites too, as a single-page app on another domain needs. Such an app
    /// also needs CORS, see the crate's documentation. Default: off, such a request is a 403.
    ///
    /// With it on, who may read a token is up to the app's CORS alone: keep its list of origins
    /// short, and never let it mirror any origin while it allows credentials.
    pub fn allow_cross_site(mut self, allow: bool) -> Self {
        self.endpoint = self.endpoint.allow_cross_site(allow);
        self
    }

    /// The provider behind it, for [`invalidate`](TokenProvider::invalidate) on sign-out or
    /// [`status`](TokenProvider::status) on a health page.
    ///
    /// ```
    /// # use courier_auth_actix::CourierAuth;
    /// # use actix_session::Session;
    /// # use actix_web::{HttpResponse, web::Data};
    /// // With `.app_data(Data::new(courier.clone()))` beside `.configure(courier.routes())`.
    /// async fn sign_out(courier: Data<CourierAuth>, session: Session) -> HttpResponse {
    ///     let user = session.get::<String>("user_id");
    ///     session.purge();
    ///     // After the app's own session is gone.
    ///     if let Ok(Some(user)) = user {
    ///         courier.provider().invalidate(user);
    ///     }
    ///     HttpResponse::NoContent().finish()
    /// }
    /// ```
    pub fn provider(&self) -> &TokenProvider {
        self.endpoint.provider()
    }

    /// Adds the token's route and that of `session.js`, the browser helper, for
    /// [`App::configure`](actix_web::App::configure) or
    /// [`Scope::configure`](actix_web::Scope::configure), and sets up
    /// [`CourierToken`](crate::CourierToken) for all handlers of that app or scope.
    ///
    /// Call this before adding any `scope("")`, `scope("/courier")` or `Files::new("/", …)` of your own:
    /// once one matches, actix-web does not try later services. Middleware of the app (sessions, CORS) wraps
    /// the routes in whatever order they are added; one that appends slashes to paths
    /// (`NormalizePath` with `TrailingSlash::Always`) hides them: use `TrailingSlash::Trim`.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + use<> {
        let courier = self.clone();
        move |config| {
            let path = |path| format!("{}{path}", courier.prefix);
            let (token, script) = (path(Endpoint::TOKEN_PATH), path(Endpoint::SCRIPT_PATH));
            config.service(web::resource(token).route(courier.route()));
            config.service(web::resource(script).to(answer_script));
            config.app_data(courier);
        }
    }

    /// The token alone, without `session.js`, at a path of the app's choice; the prefix does not
    /// matter. It sets up no [`CourierToken`](crate::CourierToken).
    ///
    /// ```
    /// # use courier_auth_actix::CourierAuth;
    /// # fn example(courier: CourierAuth) {
    /// use actix_web::App;
    ///
    /// let app = App::new().route("/api/courier-token", courier.route());
    /// # }
    /// ```
    pub fn route(&self) -> Route {
        // Counted by this worker alone: clones of the value would be counted by all of them.
        let courier = Rc::new(self.clone());
        // One route for all methods: which of them are answered is the contract's business, and
        // actix-web's own 405 would have neither `no-store` nor a problem.
        // A service and no handler, whose extractors would be futures of their own.
        web::route().service(fn_service(move |request: ServiceRequest| {
            let courier = Rc::clone(&courier);
            async move {
                let (request, mut payload) = request.into_parts();
                let response = courier.answer(&request, &mut payload).await;
                drain(payload).await;
                Ok::<_, ActixError>(ServiceResponse::new(request, response))
            }
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks the app who is signed in.
    pub(crate) fn identify(&self, request: &HttpRequest, payload: &mut Payload) -> Asking {
        Asking::begin(request, || (self.hook)(request, payload))
    }

    async fn answer(&self, request: &HttpRequest, payload: &mut Payload) -> HttpResponse {
        let query = Some(request.query_string());
        let call = match self
            .endpoint
            .accept(request.method().as_str(), query, headers(request))
        {
            Ok(call) => call,
            Err(refusal) => return to_response(refusal),
        };
        match self.identify(request, payload).await {
            Ok(signed_in) => {
                let reply = self.endpoint.reply(&call, signed_in).await;
                self.token_headers.to_response(reply)
            }
            Err(error) => no_store(HttpResponse::from_error(error)),
        }
    }
}

impl fmt::Debug for CourierAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierAuth")
            .field("endpoint", &self.endpoint)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

async fn answer_script(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let reply = Endpoint::script(request.method().as_str(), headers(&request));
    drain(payload.into_inner()).await;
    to_response(reply)
}

/// Those that the endpoint reads, looked up by their names: browsers send a dozen others.
fn headers(request: &HttpRequest) -> impl Iterator<Item = (&str, &[u8])> {
    HEADERS.iter().flat_map(|name| {
        let values = request.headers().get_all(name);
        values.map(|value| (name.as_str(), value.as_bytes()))
    })
}

static HEADERS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let names = Endpoint::HEADERS.iter().copied();
    names.map(HeaderName::from_static).collect()
});

type Hook = dyn Fn(&HttpRequest, &mut Payload) -> LocalBoxFuture<'static, Identified> + Send + Sync;
