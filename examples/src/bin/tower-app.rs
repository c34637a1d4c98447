//! A hyper server with a tower layer and no web framework.
//!
//! `cargo run --bin tower-app`, then open <http://127.0.0.1:3000>. The layer is the same as in
//! `axum-app`; here it is around a service of our own, with a session of our own.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use courier_auth_examples::{Demo, StartError, start};
use courier_auth_tower::{CourierAuthLayer, CourierAuthService};
use futures_util::{FutureExt, future::BoxFuture};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, COOKIE, SET_COOKIE},
};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service};
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let (demo, listener, stop) = start("tower-app").await?;
    let listener = TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(app(demo));
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely, which lasts: do not spin.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stop.asked() => break,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    stop.limit(connections.shutdown().map(Ok)).await
}

fn app(demo: Demo) -> CourierAuthService<App> {
    let sessions = Sessions::default();
    // A hook takes any extractor of axum-core, of which the headers are one. The app's own session
    // says for whom a token is, never the browser.
    let courier = CourierAuthLayer::new(demo.provider().clone(), {
        let sessions = sessions.clone();
        move |headers: HeaderMap| {
            let user = sessions.user(&headers);
            async move { user }
        }
    });
    courier.layer(App { demo, sessions })
}

#[derive(Clone)]
struct App {
    demo: Demo,
    sessions: Sessions,
}

impl<B> Service<Request<B>> for App
where
    B: Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let app = self.clone();
        async move { Ok(app.answer(request).await) }.boxed()
    }
}

impl App {
    async fn answer<B>(&self, request: Request<B>) -> Response<String>
    where
        B: Body<Error: Into<BoxError>>,
    {
        let (head, body) = request.into_parts();
        match (head.method.as_str(), head.uri.path()) {
            ("POST", "/login") => self.login(&head.headers, body).await,
            ("POST", "/logout") => self.logout(&head.headers),
            (_, "/login" | "/logout") => post_only(),
            (method, path) => {
                let user = self.sessions.user(&head.headers);
                self.demo.answer(method, path, user.as_deref())
            }
        }
    }

    async fn login<B>(&self, headers: &HeaderMap, body: B) -> Response<String>
    where
        B: Body<Error: Into<BoxError>>,
    {
        // Or another site could sign a visitor in as a user of its own.
        let site = headers.get("Sec-Fetch-Site");
        if site.is_some_and(|site| site == "cross-site") {
            return empty(StatusCode::FORBIDDEN);
        }
        let Ok(form) = Limited::new(body, FORM_LIMIT).collect().await else {
            return empty(StatusCode::BAD_REQUEST);
        };
        let form = form.to_bytes();
        let user = form_urlencoded::parse(&form)
            .find(|(name, _)| name == "user")
            .map(|(_, user)| user.trim().to_owned())
            .filter(|user| !user.is_empty());
        let Some(user) = user else {
            return empty(StatusCode::BAD_REQUEST);
        };
        // Whoever had the session before must not share what it is worth now.
        self.sessions.end(headers);
        let id = self.sessions.begin(user);
        // A real app adds `Secure`, which plain http on loopback cannot have.
        with_cookie(&format!("{id}; Path=/; HttpOnly; SameSite=Lax"))
    }

    fn logout(&self, headers: &HeaderMap) -> Response<String> {
        // Courier cannot revoke a token; this only forgets it.
        if let Some(user) = self.sessions.end(headers) {
            self.demo.provider().invalidate(user);
        }
        with_cookie("; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
    }
}

fn empty(status: StatusCode) -> Response<String> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn post_only() -> Response<String> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    let post = HeaderValue::from_static("POST");
    response.headers_mut().insert(ALLOW, post);
    response
}

fn with_cookie(cookie: &str) -> Response<String> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let cookie = HeaderValue::try_from(format!("{SESSION}={cookie}"));
    let cookie = cookie.expect("a UUID and attributes are ASCII");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// Who is signed in, by session id.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<Uuid, Session>>>);

impl Sessions {
    fn begin(&self, user: String) -> Uuid {
        let id = Uuid::new_v4(); // random, not to be guessed
        let now = Instant::now();
        let ends = now + SESSION_LIFE;
        let mut sessions = self.lock();
        // Few sign out: the others would stay for ever.
        sessions.retain(|_, session| session.ends > now);
        sessions.insert(id, Session { user, ends });
        id
    }

    fn user(&self, headers: &HeaderMap) -> Option<String> {
        let id = session_id(headers)?;
        let sessions = self.lock();
        let session = sessions.get(&id)?;
        (session.ends > Instant::now()).then(|| session.user.clone())
    }

    fn end(&self, headers: &HeaderMap) -> Option<String> {
        let session = self.lock().remove(&session_id(headers)?)?;
        Some(session.user)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Session {
    user: String,
    ends: Instant,
}

fn session_id(headers: &HeaderMap) -> Option<Uuid> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION).then_some(value))
        .and_then(|id| id.parse().ok())
}

/// The cookie's name.
const SESSION: &str = "session";
const SESSION_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const FORM_LIMIT: usize = 8 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use courier_auth_examples::Settings;
    use http_body_util::Empty;
    use hyper::body::Bytes;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn signing_in_changes_the_session_id() {
        let demo = Demo::start("tower-app", &Settings::default())
            .await
            .unwrap();
        let app = app(demo);
        let first = sign_in(&app, "theme=dark").await;
        let second = sign_in(&app, &first).await;
        assert_ne!(first, second);
        assert_eq!(token(&app, &first).await, 401);
        // Beside cookies that are not ours.
        assert_eq!(token(&app, &format!("theme=dark; {second}; x")).await, 200);
    }

    #[tokio::test]
    async fn the_cookie_of_before_is_worth_nothing_after_the_sign_out() {
        let demo = Demo::start("tower-app", &Settings::default())
            .await
            .unwrap();
        let app = app(demo);
        let cookie = sign_in(&app, "").await;
        assert_eq!(token(&app, &cookie).await, 200);
        let request = Request::post("/logout").header(COOKIE, &cookie);
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(token(&app, &cookie).await, 401);
    }

    #[test]
    fn a_session_ends_and_leaves_nothing_behind() {
        let sessions = Sessions::default();
        let id = sessions.begin("alice".to_owned());
        let cookie = format!("{SESSION}={id}").parse().unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, cookie)]);
        assert_eq!(sessions.user(&headers).as_deref(), Some("alice"));
        sessions.lock().get_mut(&id).unwrap().ends = Instant::now();
        assert_eq!(sessions.user(&headers), None);
        sessions.begin("bob".to_owned());
        assert_eq!(sessions.lock().len(), 1);
    }

    #[tokio::test]
    async fn another_site_signs_nobody_in() {
        let demo = Demo::start("tower-app", &Settings::default())
            .await
            .unwrap();
        let request = Request::post("/login").header("Sec-Fetch-Site", "cross-site");
        let request = request.body("user=mallory".to_owned()).unwrap();
        let response = app(demo).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403);
        assert!(!response.headers().contains_key(SET_COOKIE));
    }

    #[tokio::test]
    async fn signing_in_and_out_are_posts() {
        let demo = Demo::start("tower-app", &Settings::default())
            .await
            .unwrap();
        let app = app(demo);
        for path in ["/login", "/logout"] {
            let request = Request::get(path).body(Empty::<Bytes>::new()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 405, "{path}");
            assert_eq!(response.headers()[ALLOW], "POST", "{path}");
        }
    }

    #[tokio::test]
    async fn a_form_without_end_is_refused() {
        let demo = Demo::start("tower-app", &Settings::default())
            .await
            .unwrap();
        let body = format!("user={}", "a".repeat(FORM_LIMIT));
        let request = Request::post("/login").body(body).unwrap();
        let response = app(demo).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400);
    }

    async fn sign_in(app: &CourierAuthService<App>, cookie: &str) -> String {
        let request = Request::post("/login").header(COOKIE, cookie);
        let request = request.body("user=alice".to_owned()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 204);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn token(app: &CourierAuthService<App>, cookie: &str) -> StatusCode {
        let request = Request::get("/courier/token").header(COOKIE, cookie);
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    }
}
