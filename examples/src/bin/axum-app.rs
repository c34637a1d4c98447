//! An axum app whose users sign in with a session cookie (tower-sessions).
//!
//! `cargo run`, then open <http://127.0.0.1:3000>. The part that is about Courier is the first
//! half of [`app`].

use std::future::IntoFuture;

use axum::{
    Form, Json, Router,
    extract::{Request, State, rejection::FormRejection},
    http::{HeaderMap, Response, StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::{get, post},
};
use courier_auth_examples::{Demo, StartError, health, start};
use courier_auth_tower::CourierAuthLayer;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, cookie::SameSite, session};

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let (demo, listener, stop) = start("axum-app").await?;
    let listener = TcpListener::from_std(listener)?;
    let server = axum::serve(listener, app(demo)).with_graceful_shutdown(stop.asked());
    stop.limit(server.into_future()).await?;
    Ok(())
}

fn app(demo: Demo) -> Router {
    // The app's own session says for whom a token is, never the browser.
    let courier = CourierAuthLayer::new(demo.provider().clone(), signed_in_user);

    let session = SessionManagerLayer::new(MemoryStore::default())
        .with_same_site(SameSite::Lax)
        // Only because this is plain http on loopback.
        .with_secure(false);

    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(page)
        .with_state(demo)
        // After the routes and the fallback: a layer is around what was added before it. And
        // before the session's layer, because the last one added sees a request first, and
        // Courier's needs the session.
        .layer(courier)
        .layer(session)
}

async fn signed_in_user(session: Session) -> Result<Option<String>, StatusCode> {
    // `None` is a 401. A session store that fails must not look like that, it is a 500.
    session.get(USER).await.map_err(store_failed)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    headers: HeaderMap,
    session: Session,
    form: Result<Form<Login>, FormRejection>,
) -> Result<StatusCode, StatusCode> {
    // Or another site could sign a visitor in as a user of its own.
    let site = headers.get("Sec-Fetch-Site");
    if site.is_some_and(|site| site == "cross-site") {
        return Err(StatusCode::FORBIDDEN);
    }
    // A demo: any name, no password.
    let Form(Login { user }) = form.map_err(|_| StatusCode::BAD_REQUEST)?;
    let user = user.trim();
    if user.is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    session.insert(USER, user).await.map_err(store_failed)?;
    // Whoever had the session before must not share what it is worth now.
    session.cycle_id().await.map_err(store_failed)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(session: Session, State(demo): State<Demo>) -> Result<StatusCode, StatusCode> {
    let user: Option<String> = session.remove(USER).await.map_err(store_failed)?;
    session.flush().await.map_err(store_failed)?;
    // Courier cannot revoke a token; this only forgets it.
    if let Some(user) = user {
        demo.provider().invalidate(user);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn healthz(State(demo): State<Demo>) -> impl IntoResponse {
    let health = health(&demo.provider().status());
    ([(CACHE_CONTROL, "no-store")], Json(health))
}

#[cfg(feature = "metrics")]
async fn metrics() -> Result<String, StatusCode> {
    courier_auth_examples::metrics::scrape().ok_or(StatusCode::NOT_FOUND)
}

#[cfg(not(feature = "metrics"))]
async fn metrics() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "start with `--features metrics`")
}

async fn page(
    session: Session,
    State(demo): State<Demo>,
    request: Request,
) -> Result<Response<String>, StatusCode> {
    let user = signed_in_user(session).await?;
    let (method, path) = (request.method().as_str(), request.uri().path());
    Ok(demo.answer(method, path, user.as_deref()))
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
fn store_failed(error: session::Error) -> StatusCode {
    tracing::error!(%error, "the session store failed");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// The key in the session.
const USER: &str = "user";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::{
        body::Body,
        http::{
            Request,
            header::{CONTENT_TYPE, COOKIE, SET_COOKIE},
        },
    };
    use courier_auth_examples::Settings;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn signing_in_changes_the_session_id() {
        let demo = Demo::start("axum-app", &Settings::default()).await.unwrap();
        let app = app(demo);
        let first = sign_in(&app, "alice", "").await;
        let second = sign_in(&app, "alice", &first).await;
        assert_ne!(first, second);
        assert_eq!(token(&app, &first).await, 401);
        assert_eq!(token(&app, &second).await, 200);
    }

    #[tokio::test]
    async fn a_session_id_that_a_browser_makes_up_is_worth_nothing() {
        let demo = Demo::start("axum-app", &Settings::default()).await.unwrap();
        let app = app(demo);
        let made_up = "id=AAAAAAAAAAAAAAAAAAAAAA";
        assert_ne!(sign_in(&app, "alice", made_up).await, made_up);
        assert_eq!(token(&app, made_up).await, 401);
    }

    #[tokio::test]
    async fn the_cookie_of_before_is_worth_nothing_after_the_sign_out() {
        let demo = Demo::start("axum-app", &Settings::default()).await.unwrap();
        let app = app(demo);
        let cookie = sign_in(&app, "alice", "").await;
        assert_eq!(token(&app, &cookie).await, 200);
        let request = Request::post("/logout").header(COOKIE, &cookie);
        let request = request.body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(token(&app, &cookie).await, 401);
    }

    #[tokio::test]
    async fn another_site_signs_nobody_in() {
        let demo = Demo::start("axum-app", &Settings::default()).await.unwrap();
        let request = Request::post("/login")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("Sec-Fetch-Site", "cross-site")
            .body(Body::from("user=mallory"));
        let response = app(demo).oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 403);
        assert!(!response.headers().contains_key(SET_COOKIE));
    }

    async fn sign_in(app: &Router, user: &str, cookie: &str) -> String {
        let request = Request::post("/login")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(Body::from(format!("user={user}")));
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 204);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn token(app: &Router, cookie: &str) -> StatusCode {
        let request = Request::get("/courier/token").header(COOKIE, cookie);
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    }
}
