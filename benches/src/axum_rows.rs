//! The rows with axum.

use std::sync::Arc;

use axum::{
    Router, ServiceExt,
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
    response::IntoResponse,
    routing::get,
};
use courier_auth_tower::{CourierAuthLayer, TokenProvider};
use tower_layer::Layer;

use crate::{
    Result,
    handwritten::{Answer, ByHand},
    rows::{Constant, LATENCY, PATH, Row},
};

pub async fn serve(row: Row, listener: std::net::TcpListener) -> Result<()> {
    let app = match row {
        Row::Bare(constant) => Router::new().route(PATH, get(bare)).with_state(constant),
        Row::BareUser(constant) => Router::new()
            .route(PATH, get(bare_user))
            .with_state(constant),
        Row::BareNested(constant) => Router::new()
            .nest("/courier", Router::new().route("/token", get(bare_user)))
            .with_state(constant),
        Row::Waiting(constant) => Router::new().route(PATH, get(waiting)).with_state(constant),
        Row::ByHand(cache) => Router::new()
            .route(PATH, get(by_hand))
            .with_state(Arc::new(cache)),
        Row::Ours(provider) => pages().layer(courier(provider)),
        Row::Around(provider) => {
            let app = courier(provider).layer(pages());
            let app = ServiceExt::<Request>::into_make_service(app);
            return Ok(axum::serve(tokio::net::TcpListener::from_std(listener)?, app).await?);
        }
        Row::Nest(provider) => Router::new().nest("/courier", courier(provider).routes()),
        Row::Route(provider) => Router::new().route(PATH, courier(provider).route()),
    };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(axum::serve(listener, app).await?)
}

fn pages() -> Router {
    Router::new()
        .route("/", get(async || "home"))
        .fallback(async || StatusCode::NOT_FOUND)
}

fn courier(provider: TokenProvider) -> CourierAuthLayer {
    CourierAuthLayer::new(provider, async |user: User| user.0)
}

/// Who is signed in, for all rows but two bare ones.
struct User(String);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        let user = parts.headers.get("x-user");
        let user = user.and_then(|user| user.to_str().ok());
        user.map(|user| Self(user.to_owned()))
            .ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn bare(State(constant): State<Constant>) -> impl IntoResponse {
    let etag = HeaderValue::from_static(constant.etag);
    (headers(etag), Body::from(constant.body))
}

async fn bare_user(constant: State<Constant>, _: User) -> impl IntoResponse {
    bare(constant).await
}

async fn waiting(constant: State<Constant>) -> impl IntoResponse {
    tokio::time::sleep(LATENCY).await;
    bare(constant).await
}

async fn by_hand(
    State(by_hand): State<Arc<ByHand>>,
    user: User,
) -> Result<impl IntoResponse, StatusCode> {
    let answer = by_hand.answer(&user.0).await;
    let Answer { etag, body } = answer.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let etag = HeaderValue::from_maybe_shared(etag).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok((headers(etag), Body::from(body)))
}

/// Those of the crate's endpoint.
fn headers(etag: HeaderValue) -> [(HeaderName, HeaderValue); 6] {
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, etag),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (policy, HeaderValue::from_static("same-origin")),
        (VARY, HeaderValue::from_static("Cookie, Authorization")),
    ]
}
