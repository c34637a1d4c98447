//! An axum app whose users send a JWT of the app's own, as single-page and mobile apps do.
//!
//! `cargo run --bin axum-jwt`. Two tokens are at work: the *bearer token* is this app's and says
//! who is signed in; in exchange for it, `/courier/token` hands out the *Courier token*.

use std::{
    collections::HashMap,
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Form, Json, Router,
    extract::{Request, State, rejection::FormRejection},
    http::{
        HeaderMap, Response, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL},
    },
    response::IntoResponse,
    routing::post,
};
use courier_auth_examples::{Demo, StartError, start};
use courier_auth_tower::CourierAuthLayer;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, errors, get_current_timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let (demo, listener, stop) = start("axum-jwt").await?;
    let listener = TcpListener::from_std(listener)?;
    let server = axum::serve(listener, app(demo)).with_graceful_shutdown(stop.asked());
    stop.limit(server.into_future()).await?;
    Ok(())
}

fn app(demo: Demo) -> Router {
    let provider = demo.provider().clone();
    let state = AppState {
        demo,
        bearer: Arc::new(Bearer::new()),
    };

    // With the app's state, because that holds the key which the bearer token is verified with.
    let courier = CourierAuthLayer::with_state(provider, state.clone(), signed_in_user);

    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        // As routes, not as a layer: nothing here needs to be around the whole app.
        .nest("/courier", courier.routes())
        .fallback(page)
        .with_state(state)
}

#[derive(Clone)]
struct AppState {
    demo: Demo,
    bearer: Arc<Bearer>,
}

/// `None`, which is a 401, without a valid bearer token.
async fn signed_in_user((State(app), headers): (State<AppState>, HeaderMap)) -> Option<String> {
    app.bearer.verify(&headers).map(|claims| claims.sub)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(app): State<AppState>,
    form: Result<Form<Login>, FormRejection>,
) -> Result<impl IntoResponse, StatusCode> {
    // A demo: any name, no password.
    let Form(Login { user }) = form.map_err(|_| StatusCode::BAD_REQUEST)?;
    let user = user.trim();
    if user.is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let token = app.bearer.issue(user).map_err(|error| {
        tracing::error!(%error, "cannot sign a bearer token");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": Bearer::LIFETIME,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}

async fn logout(State(app): State<AppState>, headers: HeaderMap) -> StatusCode {
    if let Some(claims) = app.bearer.verify(&headers) {
        // Courier cannot revoke a token; this only forgets it.
        app.demo.provider().invalidate(&claims.sub);
        app.bearer.revoke(&claims);
    }
    StatusCode::NO_CONTENT
}

async fn page(State(app): State<AppState>, request: Request) -> Response<String> {
    let user = app
        .bearer
        .verify(request.headers())
        .map(|claims| claims.sub);
    let (method, path) = (request.method().as_str(), request.uri().path());
    app.demo.answer(method, path, user.as_deref())
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user.
    sub: String,
    /// Unix seconds.
    exp: u64,
    /// The token's own id.
    jti: Uuid,
}

/// The app's own bearer tokens.
struct Bearer {
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
    /// Tokens that were signed out, by id, and when they expire.
    revoked: Mutex<HashMap<Uuid, u64>>,
}

impl Bearer {
    /// In seconds.
    const LIFETIME: u64 = 3600;

    fn new() -> Self {
        // A real app keeps its secret, or everybody is signed out when it restarts.
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the operating system has random numbers");
        Self {
            sign: EncodingKey::from_secret(&secret),
            verify: DecodingKey::from_secret(&secret),
            // Which requires and checks `exp`, and takes no other algorithm.
            validation: Validation::new(Algorithm::HS256),
            revoked: Mutex::default(),
        }
    }

    fn issue(&self, user: &str) -> errors::Result<String> {
        let claims = Claims {
            sub: user.to_owned(),
            exp: get_current_timestamp() + Self::LIFETIME,
            jti: Uuid::new_v4(),
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.sign)
    }

    fn verify(&self, headers: &HeaderMap) -> Option<Claims> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(token.trim(), &self.verify, &self.validation)
            .ok()?
            .claims;
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        (!revoked.contains_key(&claims.jti)).then_some(claims)
    }

    fn revoke(&self, claims: &Claims) {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        // What has expired is refused anyway, after the leeway that `validation` grants.
        let now = get_current_timestamp();
        revoked.retain(|_, exp| *exp + self.validation.leeway >= now);
        revoked.insert(claims.jti, claims.exp);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::{
        body::Body,
        http::{Request, header::CONTENT_TYPE},
    };
    use courier_auth_examples::Settings;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_bearer_token_of_another_app_is_a_401() {
        let demo = Demo::start("axum-jwt", &Settings::default()).await.unwrap();
        let app = app(demo);
        let foreign = Bearer::new().issue("alice").unwrap();
        let headers = ["", "Bearer", "Bearer ", "Basic YTpi", &bearer(&foreign)];
        for header in headers {
            let request = Request::get("/courier/token").header(AUTHORIZATION, header);
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 401, "{header}");
        }
    }

    #[tokio::test]
    async fn the_bearer_token_of_before_is_worth_nothing_after_the_sign_out() {
        let demo = Demo::start("axum-jwt", &Settings::default()).await.unwrap();
        let app = app(demo);
        let form = "application/x-www-form-urlencoded";
        let request = Request::post("/login").header(CONTENT_TYPE, form);
        let request = request.body(Body::from("user=alice")).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let bearer = bearer(body["access_token"].as_str().unwrap());

        let token = || Request::get("/courier/token");
        let logout = || Request::post("/logout");
        for (request, status) in [(token(), 200), (logout(), 204), (token(), 401)] {
            let request = request.header(AUTHORIZATION, &bearer);
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
        }
    }

    #[test]
    fn a_bearer_token_ends_when_it_expires_or_is_revoked() {
        let tokens = Bearer::new();
        let good = headers(&tokens.issue("alice").unwrap());
        let claims = tokens.verify(&good).unwrap();
        assert_eq!(claims.sub, "alice");

        let expired = Claims {
            exp: get_current_timestamp() - tokens.validation.leeway - 1,
            ..tokens.verify(&good).unwrap()
        };
        let expired = jsonwebtoken::encode(&Header::default(), &expired, &tokens.sign).unwrap();
        assert!(tokens.verify(&headers(&expired)).is_none());

        tokens.revoke(&claims);
        assert!(tokens.verify(&good).is_none());
    }

    #[test]
    fn a_bearer_token_without_a_signature_is_refused() {
        let tokens = Bearer::new();
        let good = tokens.issue("alice").unwrap();
        let (_, rest) = good.split_once('.').unwrap();
        let (payload, _) = rest.split_once('.').unwrap();
        // {"typ":"JWT","alg":"none"}
        let none = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{payload}.");
        assert!(tokens.verify(&headers(&none)).is_none());
        assert!(tokens.verify(&headers(&good)).is_some());
    }

    fn headers(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, bearer(token).parse().unwrap())])
    }

    fn bearer(token: &str) -> String {
        format!("Bearer {token}")
    }
}
