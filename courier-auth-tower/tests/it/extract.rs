//! `CourierToken` in handlers.

use std::time::Duration;

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::IntoResponse,
    routing::get as on_get,
};
use courier_auth_core::emulator::{EmulatorServer, Fault};
use courier_auth_tower::{CourierAuthLayer, CourierToken, CourierTokenRejection, ErrorKind, Token};
use tokio::time::timeout;

use crate::app::{anonymous, by_header, courier, get, provider, send};

async fn page(token: CourierToken) -> String {
    let token = Token::from(token);
    format!("{} {}", token.user_id(), token.as_str())
}

async fn maybe(token: Option<CourierToken>) -> String {
    token.map_or("nobody".into(), |token| token.user_id().to_string())
}

async fn by_hand(token: Result<CourierToken, CourierTokenRejection>) -> String {
    match token {
        Ok(token) => token.user_id().to_string(),
        Err(why) => {
            let kind = why.courier_error().map(courier_auth_tower::Error::kind);
            format!("{} {} {kind:?}", why.is_signed_out(), why.status().as_u16())
        }
    }
}

fn app(courier: &EmulatorServer) -> Router {
    Router::new()
        .route("/page", on_get(page))
        .route("/maybe", on_get(maybe))
        .route("/by-hand", on_get(by_hand))
        .layer(by_header(courier))
}

#[tokio::test]
async fn a_handler_gets_the_token_that_the_endpoint_gives() {
    let courier = courier().await;
    let app = app(&courier);
    let page = send(app.clone(), get("/page")).await.body;
    let endpoint = send(app.clone(), get("/courier/token")).await.json();
    assert_eq!(
        page,
        format!("user-1 {}", endpoint["token"].as_str().unwrap())
    );
    assert_eq!(send(app.clone(), get("/maybe")).await.body, "user-1");
    assert_eq!(send(app, get("/by-hand")).await.body, "user-1");
    assert_eq!(courier.token_requests(), 1);
}

#[tokio::test]
async fn nobody_is_signed_in() {
    let courier = courier().await;
    let app = app(&courier);
    let page = send(app.clone(), anonymous("GET", "/page")).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.header("content-type"), "application/problem+json");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.json()["code"], "signed_out");
    assert_eq!(
        send(app.clone(), anonymous("GET", "/maybe")).await.body,
        "nobody"
    );
    let by_hand = send(app, anonymous("GET", "/by-hand")).await;
    assert_eq!(by_hand.body, "true 401 None");
}

#[tokio::test]
async fn an_outage_is_not_a_sign_out() {
    let courier = courier().await;
    courier.fail(Fault::status_with(429, &[("retry-after", "30")]));
    let app = app(&courier);
    for path in ["/page", "/maybe"] {
        let seen = send(app.clone(), get(path)).await;
        assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(seen.json()["code"], "courier_unavailable");
        assert!(seen.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    let by_hand = send(app, get("/by-hand")).await;
    assert_eq!(
        by_hand.body,
        format!("false 503 Some({:?})", ErrorKind::RateLimited)
    );
}

#[tokio::test]
async fn of_the_apps_own_errors_only_a_401_is_a_sign_out() {
    let courier = courier().await;
    for (status, maybe_says, by_hand_says) in [
        (
            StatusCode::UNAUTHORIZED,
            (StatusCode::OK, "nobody"),
            "true 401 None",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            (StatusCode::SERVICE_UNAVAILABLE, "own words"),
            "false 503 None",
        ),
    ] {
        let hook = move |_: HeaderMap| async move { Err::<String, _>((status, "own words")) };
        let app: Router = Router::new()
            .route("/page", on_get(page))
            .route("/maybe", on_get(maybe))
            .route("/by-hand", on_get(by_hand))
            .layer(CourierAuthLayer::new(provider(&courier), hook));
        let seen = send(app.clone(), get("/page")).await;
        assert_eq!((seen.status, &*seen.body), (status, "own words"));
        assert_eq!(seen.header("cache-control"), "no-store");
        let seen = send(app.clone(), get("/maybe")).await;
        assert_eq!((seen.status, &*seen.body), maybe_says);
        assert_eq!(send(app, get("/by-hand")).await.body, by_hand_says);
    }
}

#[tokio::test]
async fn without_the_layer_the_answer_names_no_detail_and_nothing_panics() {
    let app: Router = Router::new()
        .route("/page", on_get(page))
        .route("/maybe", on_get(maybe));
    for path in ["/page", "/maybe"] {
        let seen = send(app.clone(), get(path)).await;
        assert_eq!(seen.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(seen.json()["code"], "not_configured");
        assert_eq!(seen.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn without_extractor_the_requests_are_left_alone() {
    let courier = courier().await;
    let app: Router = Router::new()
        .route("/page", on_get(page))
        .layer(by_header(&courier).without_extractor());
    let seen = send(app.clone(), get("/page")).await;
    assert_eq!(seen.json()["code"], "not_configured");
    assert!(send(app, get("/courier/token")).await.user().is_some());
}

#[tokio::test]
async fn the_extension_alone_answers_no_path() {
    let courier = courier().await;
    let layer = by_header(&courier);
    let app: Router = Router::new()
        .route("/maybe", on_get(maybe))
        .layer(layer.extension());
    assert_eq!(send(app.clone(), get("/maybe")).await.body, "user-1");
    let token = send(app, get("/courier/token")).await;
    assert_eq!(token.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_innermost_layer_decides() {
    let courier = courier().await;
    let admin = CourierAuthLayer::new(provider(&courier), async |_: HeaderMap| "admin");
    let app: Router = Router::new()
        .route("/maybe", on_get(maybe))
        .layer(admin.extension())
        .layer(by_header(&courier));
    assert_eq!(send(app.clone(), get("/maybe")).await.body, "admin");
    assert_eq!(
        send(app, get("/courier/token")).await.user().unwrap(),
        "user-1"
    );
}

#[tokio::test]
async fn any_state_and_a_second_token_in_one_request() {
    async fn both(_: CourierToken, State(state): State<u8>, token: CourierToken) -> String {
        format!("{state} {}", token.user_id())
    }
    let courier = courier().await;
    let app = Router::new()
        .route("/", on_get(both))
        .layer(by_header(&courier))
        .with_state(5_u8);
    assert_eq!(send(app, get("/")).await.body, "5 user-1");
}

#[tokio::test]
async fn a_hook_that_asks_for_the_token_gets_an_error_and_not_itself() {
    let courier = courier().await;
    let hook = async |token: CourierToken| token.user_id().to_owned();
    let layer = CourierAuthLayer::new(provider(&courier), hook);
    let app: Router = Router::new().route("/page", on_get(page)).layer(layer);
    for path in ["/page", "/courier/token"] {
        let seen = send(app.clone(), get(path)).await;
        assert_eq!(seen.json()["code"], "not_configured", "{path}");
    }
}

#[tokio::test]
async fn a_rejection_is_an_error_like_any_other() {
    fn is_error<E: std::error::Error + Send + Sync + IntoResponse + 'static>() {}
    is_error::<CourierTokenRejection>();

    async fn with_anyhow(token: Result<CourierToken, CourierTokenRejection>) -> String {
        let boxed: Box<dyn std::error::Error + Send + Sync> = token.unwrap_err().into();
        let cause = boxed.source().map(ToString::to_string);
        format!("{boxed}: {}", cause.unwrap_or_default())
    }
    let courier = courier().await;
    courier.fail(Fault::status(400));
    let app: Router = Router::new()
        .route("/", on_get(with_anyhow))
        .layer(by_header(&courier));
    let seen = send(app.clone(), get("/")).await.body;
    assert!(
        seen.starts_with("no Courier token for the signed-in user: Courier "),
        "{seen}"
    );
    let seen = send(app, anonymous("GET", "/")).await.body;
    assert_eq!(seen, "nobody is signed in: ");
}

/// As an extractor or a middleware of the app's own does, which would rather have a page without the
/// token than a late one.
#[tokio::test]
async fn who_gives_up_waiting_for_a_token_can_ask_again() {
    struct Quick(Option<CourierToken>);

    impl<S: Send + Sync> FromRequestParts<S> for Quick {
        type Rejection = CourierTokenRejection;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
            let token = <CourierToken as FromRequestParts<S>>::from_request_parts(parts, state);
            let token = timeout(Duration::from_millis(20), token).await;
            token.ok().transpose().map(Self)
        }
    }

    async fn handler(Quick(first): Quick, then: CourierToken) -> String {
        format!("{} {}", first.is_some(), then.user_id())
    }
    let courier = courier().await;
    courier.fail_next(1, Fault::Latency(Duration::from_secs(1)));
    let app: Router = Router::new()
        .route("/", on_get(handler))
        .layer(by_header(&courier));
    let seen = send(app, get("/")).await;
    assert_eq!(seen.body, "false user-1");
    assert_eq!(courier.token_requests(), 1);
}
