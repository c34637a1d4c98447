//! The layer beside a session layer and a CORS layer: what is outside and what is inside matters.

use axum::{
    Form, Router,
    body::Body,
    http::{
        HeaderValue, Method, Request, StatusCode,
        header::{ETAG, IF_NONE_MATCH, RETRY_AFTER},
    },
    routing::{get as on_get, post},
};
use courier_auth_core::emulator::EmulatorServer;
use courier_auth_tower::CourierAuthLayer;
use serde::Deserialize;
use tower_http::cors::CorsLayer;
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, session};

use crate::app::{anonymous, by_header, courier, get, provider, send};

const TOKEN: &str = "/courier/token";

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(session: Session, Form(login): Form<Login>) -> StatusCode {
    session.insert("user", login.user).await.unwrap();
    StatusCode::NO_CONTENT
}

fn by_session(courier: &EmulatorServer) -> CourierAuthLayer {
    CourierAuthLayer::new(provider(courier), async |session: Session| {
        let user: Result<Option<String>, session::Error> = session.get("user").await;
        user.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    })
}

fn sessions() -> SessionManagerLayer<MemoryStore> {
    SessionManagerLayer::new(MemoryStore::default()).with_secure(false)
}

#[tokio::test]
async fn inside_the_session_layer_who_has_logged_in_gets_a_token() {
    let courier = courier().await;
    let app: Router = Router::new()
        .route("/login", post(login))
        .layer(by_session(&courier))
        .layer(sessions());
    let before = send(app.clone(), anonymous("GET", TOKEN)).await;
    assert_eq!(before.json()["code"], "signed_out");

    let form = Request::post("/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("user=ann"))
        .unwrap();
    let login = send(app.clone(), form).await;
    assert_eq!(login.status, StatusCode::NO_CONTENT);
    let cookie = login
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let request = Request::get(TOKEN)
        .header("cookie", cookie)
        .body(Body::empty());
    let after = send(app, request.unwrap()).await;
    assert_eq!(after.user().unwrap(), "ann");
}

#[tokio::test]
async fn outside_the_session_layer_it_says_what_is_missing() {
    let courier = courier().await;
    let app: Router = Router::new()
        .route("/login", post(login))
        .layer(sessions())
        .layer(by_session(&courier));
    let seen = send(app, anonymous("GET", TOKEN)).await;
    assert_eq!(seen.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(seen.body.contains("SessionManagerLayer"), "{}", seen.body);
    assert_eq!(seen.header("cache-control"), "no-store");
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static("https://spa.example"))
        .allow_credentials(true)
        .allow_methods([Method::GET])
        .allow_headers([IF_NONE_MATCH])
        .expose_headers([ETAG, RETRY_AFTER])
}

fn preflight() -> Request<Body> {
    Request::options(TOKEN)
        .header("origin", "https://spa.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "if-none-match")
        .body(Body::empty())
        .unwrap()
}

fn from_spa() -> Request<Body> {
    let mut request = get(TOKEN);
    let headers = request.headers_mut();
    headers.insert("origin", HeaderValue::from_static("https://spa.example"));
    headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    request
}

async fn shows_cors(app: Router) {
    let asked = send(app.clone(), preflight()).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(
        asked.header("access-control-allow-headers"),
        "if-none-match"
    );
    assert_eq!(asked.header("access-control-allow-credentials"), "true");

    let seen = send(app, from_spa()).await;
    assert_eq!(seen.user().unwrap(), "user-1");
    assert_eq!(
        seen.header("access-control-allow-origin"),
        "https://spa.example"
    );
    assert_eq!(
        seen.header("access-control-expose-headers"),
        "etag,retry-after"
    );
    let vary: Vec<_> = seen.headers.get_all("vary").iter().collect();
    assert!(
        vary.contains(&&HeaderValue::from_static("Cookie, Authorization")),
        "{vary:?}"
    );
}

#[tokio::test]
async fn inside_a_cors_layer_other_sites_get_tokens() {
    let courier = courier().await;
    let layer = by_header(&courier).allow_cross_site(true);
    shows_cors(Router::new().layer(layer).layer(cors())).await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn routes_inside_a_cors_layer_give_other_sites_tokens() {
    let courier = courier().await;
    let layer = by_header(&courier).allow_cross_site(true);
    shows_cors(Router::new().nest("/courier", layer.routes()).layer(cors())).await;
}

#[tokio::test]
async fn outside_a_cors_layer_the_preflight_passes_but_no_page_may_read_the_token() {
    let courier = courier().await;
    let app: Router = Router::new()
        .route("/", on_get(async || "home"))
        .layer(cors())
        .layer(by_header(&courier).allow_cross_site(true));
    let asked = send(app.clone(), preflight()).await;
    assert_eq!(
        asked.header("access-control-allow-origin"),
        "https://spa.example"
    );
    let seen = send(app, from_spa()).await;
    assert!(!seen.headers.contains_key("access-control-allow-origin"));
}
