//! What a hook may look like and what it may return.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri, header::CACHE_CONTROL, request::Parts,
    },
    response::{IntoResponse, Response},
};
use courier_auth_core::emulator::EmulatorServer;
use courier_auth_tower::{CourierAuthLayer, Scope, TokenRequest, UserId};

use crate::app::{Seen, anonymous, courier, get, provider, send};

const TOKEN: &str = "/courier/token";

/// The app's own extractor: user 7, or a page that asks to sign in.
struct CurrentUser {
    id: u64,
}

impl<S: Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = (StatusCode, [(&'static str, &'static str); 1], &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        if parts.headers.contains_key(crate::endpoint::USER_HEADER) {
            return Ok(Self { id: 7 });
        }
        Err((StatusCode::SEE_OTHER, [("location", "/login")], "sign in"))
    }
}

/// The app's own error.
struct StoreDown;

impl IntoResponse for StoreDown {
    fn into_response(self) -> Response {
        (StatusCode::INSUFFICIENT_STORAGE, "the app's own words").into_response()
    }
}

async fn ask(courier: CourierAuthLayer) -> Seen {
    send(Router::<()>::new().layer(courier), get(TOKEN)).await
}

async fn user(courier: CourierAuthLayer) -> Option<String> {
    ask(courier).await.user()
}

fn own_error(seen: &Seen) {
    assert_eq!(seen.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(seen.body, "the app's own words");
    assert_eq!(seen.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_hook_returns_an_id() {
    let courier = courier().await;
    let provider = provider(&courier);
    let new = || provider.clone();
    let by_uri = |uri: Uri| async move { uri.path().len() };
    let named = |_: CurrentUser| async { "ann" };
    let string = |user: CurrentUser| async move { format!("u-{}", user.id) };
    let integer = |user: CurrentUser| async move { user.id };
    let checked = |_: CurrentUser| async { UserId::from(8) };

    assert_eq!(
        user(CourierAuthLayer::new(new(), named)).await.unwrap(),
        "ann"
    );
    assert_eq!(
        user(CourierAuthLayer::new(new(), string)).await.unwrap(),
        "u-7"
    );
    assert_eq!(
        user(CourierAuthLayer::new(new(), integer)).await.unwrap(),
        "7"
    );
    assert_eq!(
        user(CourierAuthLayer::new(new(), by_uri)).await.unwrap(),
        "14"
    );
    assert_eq!(
        user(CourierAuthLayer::new(new(), checked)).await.unwrap(),
        "8"
    );
    let small = CourierAuthLayer::new(new(), |_: Method| async { -3_i32 });
    assert_eq!(user(small).await.unwrap(), "-3");
    let large = CourierAuthLayer::new(new(), |_: Method| async { u128::MAX });
    assert_eq!(user(large).await.unwrap(), u128::MAX.to_string());
}

#[tokio::test]
async fn a_hook_is_an_async_closure_or_a_function() {
    async fn function(user: CurrentUser) -> u64 {
        user.id
    }
    let courier = courier().await;
    let provider = provider(&courier);
    let closure = CourierAuthLayer::new(provider.clone(), async |user: CurrentUser| user.id);
    assert_eq!(user(closure).await.unwrap(), "7");
    let suffix = "x".to_owned();
    let captures = CourierAuthLayer::new(provider.clone(), move |user: CurrentUser| {
        let suffix = suffix.clone();
        async move { format!("{}{suffix}", user.id) }
    });
    assert_eq!(user(captures).await.unwrap(), "7x");
    let function = CourierAuthLayer::new(provider, function);
    assert_eq!(user(function).await.unwrap(), "7");
}

#[tokio::test]
async fn a_hook_returns_a_request() {
    let courier = courier().await;
    let admin = CourierAuthLayer::new(provider(&courier), async |user: CurrentUser| {
        TokenRequest::for_user(user.id).scopes([Scope::INBOX_READ_MESSAGES])
    });
    let seen = ask(admin).await;
    assert_eq!(seen.json()["scope"], "user_id:7 inbox:read:messages");
}

#[tokio::test]
async fn none_means_that_nobody_is_signed_in() {
    let courier = courier().await;
    let hook = async |headers: HeaderMap| headers.get("x-nobody").map(|_| "never");
    let seen = ask(CourierAuthLayer::new(provider(&courier), hook)).await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
    assert_eq!(seen.json()["code"], "signed_out");

    let hook = async |user: CurrentUser| Some(TokenRequest::for_user(user.id));
    let courier = CourierAuthLayer::new(provider(&courier), hook);
    assert_eq!(user(courier).await.unwrap(), "7");
}

#[tokio::test]
async fn an_error_of_the_app_stays_as_it_is() {
    let courier = courier().await;
    let provider = provider(&courier);
    let fails = async |_: CurrentUser| Err::<String, _>(StoreDown);
    own_error(&ask(CourierAuthLayer::new(provider.clone(), fails)).await);
    let fails = async |_: CurrentUser| Err::<Option<TokenRequest>, _>(StoreDown);
    own_error(&ask(CourierAuthLayer::new(provider.clone(), fails)).await);

    let works = async |user: CurrentUser| Ok::<_, StoreDown>(user.id);
    let works = CourierAuthLayer::new(provider.clone(), works);
    assert_eq!(user(works).await.unwrap(), "7");
    let nobody = async |_: CurrentUser| Ok::<Option<String>, StoreDown>(None);
    let nobody = ask(CourierAuthLayer::new(provider.clone(), nobody)).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);

    let cached = async |_: CurrentUser| {
        Err::<u64, _>((StatusCode::GONE, [(CACHE_CONTROL, "max-age=60")], "gone"))
    };
    let cached = ask(CourierAuthLayer::new(provider, cached)).await;
    assert_eq!(cached.status, StatusCode::GONE);
    assert_eq!(cached.header("cache-control"), "max-age=60");
    assert_eq!(courier.token_requests(), 1);
}

#[tokio::test]
async fn an_extractor_that_fails_answers_for_itself() {
    let courier = courier().await;
    let layer = CourierAuthLayer::new(provider(&courier), async |user: CurrentUser| user.id);
    let app: Router = Router::new().layer(layer);
    let seen = send(app, anonymous("GET", TOKEN)).await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
    assert_eq!(seen.header("location"), "/login");
    assert_eq!(seen.header("cache-control"), "no-store");
    assert_eq!(seen.body, "sign in");
}

#[tokio::test]
async fn a_tuple_of_extractors_is_an_extractor() {
    let courier = courier().await;
    let hook = async |(user, uri): (CurrentUser, Uri)| format!("{}{}", user.id, uri.path());
    let layer = CourierAuthLayer::new(provider(&courier), hook);
    assert_eq!(user(layer).await.unwrap(), "7/courier/token");
}

#[derive(Clone)]
struct AppState {
    users: Users,
}

#[derive(Clone)]
struct Users(&'static str);

impl FromRef<AppState> for Users {
    fn from_ref(state: &AppState) -> Self {
        state.users.clone()
    }
}

async fn with_state(courier: &EmulatorServer) -> CourierAuthLayer {
    let state = AppState {
        users: Users("from-state"),
    };
    let hook = async |(State(users), _): (State<Users>, CurrentUser)| users.0;
    CourierAuthLayer::with_state(provider(courier), state, hook)
}

#[tokio::test]
async fn an_extractor_may_need_the_apps_state() {
    let courier = courier().await;
    let layer = with_state(&courier).await;
    assert_eq!(user(layer).await.unwrap(), "from-state");
}

#[tokio::test]
async fn the_hook_is_asked_every_time() {
    let courier = courier().await;
    let layer = crate::app::by_header(&courier);
    let app: Router = Router::new().layer(layer);
    assert_eq!(
        send(app.clone(), get(TOKEN)).await.user().unwrap(),
        "user-1"
    );
    let seen = send(app, anonymous("GET", TOKEN)).await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
}

/// What is refused anyway is refused alike, and as fast, whoever is signed in.
#[tokio::test]
async fn nobody_is_asked_where_no_token_can_come_of_it() {
    let courier = courier().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let layer = CourierAuthLayer::new(provider(&courier), move |_: HeaderMap| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { "user-1" }
    });
    let app: Router = Router::new().layer(layer);
    let mut foreign = get(TOKEN);
    foreign
        .headers_mut()
        .insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    assert_eq!(
        send(app.clone(), foreign).await.status,
        StatusCode::FORBIDDEN
    );
    let put = send(app.clone(), anonymous("PUT", TOKEN)).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(send(app, get(TOKEN)).await.status, StatusCode::OK);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
