//! What axum does to a layer that answers a path of its own: an unrouted path reaches it through
//! the router's fallback only. Pinned, so that the docs cannot drift from it.

use axum::{Router, http::StatusCode, routing::get as on_get};
use courier_auth_tower::CourierToken;
use tower::Layer;

use crate::app::{Seen, anonymous, by_header, courier, get, send};

async fn home() -> &'static str {
    "home"
}

async fn fallback() -> (StatusCode, &'static str) {
    (StatusCode::IM_A_TEAPOT, "fallback")
}

async fn whose(token: CourierToken) -> String {
    token.user_id().to_string()
}

async fn token(app: Router) -> Seen {
    send(app, get("/courier/token")).await
}

#[tokio::test]
async fn after_routes_and_fallback_it_answers() {
    let courier = courier().await;
    let app = Router::new()
        .route("/", on_get(home))
        .fallback(fallback)
        .layer(by_header(&courier));
    assert_eq!(token(app.clone()).await.user().unwrap(), "user-1");
    assert_eq!(send(app.clone(), get("/")).await.body, "home");
    assert_eq!(send(app, get("/elsewhere")).await.body, "fallback");
}

#[tokio::test]
async fn a_later_fallback_replaces_it_silently() {
    let courier = courier().await;
    let app = Router::new()
        .route("/", on_get(home))
        .layer(by_header(&courier))
        .fallback(fallback);
    let seen = token(app).await;
    assert_eq!(
        (seen.status, &*seen.body),
        (StatusCode::IM_A_TEAPOT, "fallback")
    );
}

#[tokio::test]
async fn around_the_finished_router_it_always_answers() {
    let courier = courier().await;
    let layer = by_header(&courier);
    let app = Router::new().route("/", on_get(whose)).fallback(fallback);
    let app = layer.layer(app);
    assert_eq!(
        send(app.clone(), get("/courier/token"))
            .await
            .user()
            .unwrap(),
        "user-1"
    );
    assert_eq!(send(app.clone(), get("/")).await.body, "user-1");
    assert_eq!(send(app, get("/elsewhere")).await.body, "fallback");
}

#[tokio::test]
async fn later_routes_do_not_see_it() {
    let courier = courier().await;
    let app = Router::new()
        .layer(by_header(&courier))
        .route("/", on_get(whose));
    assert!(token(app.clone()).await.user().is_some());
    let seen = send(app, get("/")).await;
    assert_eq!(seen.json()["code"], "not_configured");
}

#[tokio::test]
async fn inside_a_nested_router_it_is_lost() {
    let courier = courier().await;
    let inner = Router::new()
        .route("/", on_get(home))
        .layer(by_header(&courier));
    let app = Router::new().nest("/api", inner);
    for path in ["/courier/token", "/api/courier/token"] {
        assert_eq!(
            send(app.clone(), get(path)).await.status,
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn inside_a_nested_router_with_a_fallback_it_sees_the_rest_of_the_path() {
    let courier = courier().await;
    let inner = Router::new().fallback(fallback).layer(by_header(&courier));
    let app = Router::new().nest("/api", inner);
    assert_eq!(token(app.clone()).await.status, StatusCode::NOT_FOUND);
    assert!(send(app, get("/api/courier/token")).await.user().is_some());
}

#[tokio::test]
async fn merged_into_another_router_it_is_lost() {
    let courier = courier().await;
    let layered = || {
        Router::new()
            .route("/", on_get(home))
            .layer(by_header(&courier))
    };
    let other = || Router::new().route("/other", on_get(home));
    assert_eq!(
        token(layered().merge(other())).await.status,
        StatusCode::NOT_FOUND
    );
    // The other way round it is kept.
    assert!(token(other().merge(layered())).await.user().is_some());
}

#[tokio::test]
async fn a_route_layer_serves_the_extractor_alone() {
    let courier = courier().await;
    let app = Router::new()
        .route("/", on_get(whose))
        .route_layer(by_header(&courier));
    assert_eq!(token(app.clone()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(app, get("/")).await.body, "user-1");
}

#[tokio::test]
async fn a_prefix_is_forgiving() {
    let courier = courier().await;
    for (prefix, path) in [
        ("/auth", "/auth/token"),
        ("auth", "/auth/token"),
        ("/auth/", "/auth/token"),
        ("/api/v1/courier", "/api/v1/courier/token"),
        ("/", "/token"),
        ("", "/token"),
        ("/%C3%BC", "/%C3%BC/token"),
    ] {
        let app: Router = Router::new().layer(by_header(&courier).prefix(prefix));
        assert!(
            send(app.clone(), get(path)).await.user().is_some(),
            "{prefix}"
        );
        assert_eq!(token(app).await.status, StatusCode::NOT_FOUND, "{prefix}");
    }
}

#[tokio::test]
async fn other_paths_and_options_are_the_apps() {
    let courier = courier().await;
    let app: Router = Router::new()
        .route("/courier/other", on_get(home))
        .fallback(fallback)
        .layer(by_header(&courier));
    for path in [
        "/courier",
        "/courier/",
        "/courier/token/",
        "/courier/tokens",
        "/Courier/token",
    ] {
        assert_eq!(
            send(app.clone(), get(path)).await.body,
            "fallback",
            "{path}"
        );
    }
    assert_eq!(send(app.clone(), get("/courier/other")).await.body, "home");
    let options = send(app, anonymous("OPTIONS", "/courier/token")).await;
    assert_eq!(options.body, "fallback");
}

#[cfg(feature = "axum")]
mod routes {
    use axum::extract::Path;
    use courier_auth_tower::CourierAuthLayer;

    use super::*;
    use crate::app::provider;

    #[tokio::test]
    async fn survive_everything_that_loses_the_layer() {
        let courier = courier().await;
        let layer = by_header(&courier);
        let nested = Router::new().nest("/courier", layer.routes());
        assert!(
            token(nested.clone().fallback(fallback))
                .await
                .user()
                .is_some()
        );
        let merged = nested.clone().merge(Router::new().route("/", on_get(home)));
        assert!(token(merged).await.user().is_some());
        let deep = Router::new().nest("/api", nested);
        assert!(send(deep, get("/api/courier/token")).await.user().is_some());
    }

    #[tokio::test]
    async fn keep_the_apps_fallback() {
        let courier = courier().await;
        let app = Router::new()
            .nest("/courier", by_header(&courier).routes())
            .fallback(fallback);
        for path in ["/elsewhere", "/courier/elsewhere"] {
            assert_eq!(
                send(app.clone(), get(path)).await.body,
                "fallback",
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn take_any_state_and_the_extension() {
        let courier = courier().await;
        let layer = by_header(&courier);
        let app = Router::new()
            .route("/", on_get(whose))
            .nest("/courier", layer.routes())
            .route("/elsewhere", layer.route())
            .layer(layer.extension())
            .with_state("state");
        assert_eq!(send(app.clone(), get("/")).await.body, "user-1");
        assert!(token(app.clone()).await.user().is_some());
        assert!(send(app, get("/elsewhere")).await.user().is_some());
    }

    /// Where each tenant has users of its own.
    #[tokio::test]
    async fn lie_below_a_pattern_which_the_hook_may_read() {
        let courier = courier().await;
        let hook = async |Path(tenant): Path<String>| format!("{tenant}-user-1");
        let layer = CourierAuthLayer::new(provider(&courier), hook);
        let app = Router::new().nest("/{tenant}/courier", layer.routes());
        for (path, user) in [
            ("/a/courier/token", "a-user-1"),
            ("/b/courier/token", "b-user-1"),
        ] {
            assert_eq!(send(app.clone(), get(path)).await.user().unwrap(), user);
        }
    }

    #[tokio::test]
    async fn answer_options_with_405() {
        let courier = courier().await;
        let layer = by_header(&courier);
        let app: Router = Router::new()
            .nest("/courier", layer.routes())
            .route("/route", layer.route());
        for path in ["/courier/token", "/route"] {
            for method in ["OPTIONS", "PUT"] {
                let seen = send(app.clone(), anonymous(method, path)).await;
                assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED);
                assert_eq!(seen.header("allow"), "GET, HEAD, POST");
                assert_eq!(seen.header("content-type"), "application/problem+json");
            }
        }
    }
}
