//! Where the route lies, and what an app can get wrong about it.

use actix_web::{App, http::Method, test::init_service, web};
use courier_auth_actix::{CourierAuth, CourierToken};

use crate::support::{TOKEN, by_header, call, emulator, get, provider};

async fn courier() -> (courier_auth_core::emulator::EmulatorServer, CourierAuth) {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    (emulator, courier)
}

#[actix_web::test]
async fn an_earlier_scope_that_matches_swallows_the_route() {
    let (_emulator, courier) = courier().await;
    for (path, inside) in [("", "/own"), ("/courier", "/courier/own")] {
        let own = || web::scope(path).route("/own", web::get().to(|| async { "own" }));
        let after = App::new().service(own()).configure(courier.routes());
        let after = init_service(after).await;
        assert_eq!(call(&after, get(TOKEN, "u").to_request()).await.status, 404);

        let before = App::new().configure(courier.routes()).service(own());
        let before = init_service(before).await;
        assert_eq!(
            call(&before, get(TOKEN, "u").to_request()).await.status,
            200
        );
        assert_eq!(
            call(&before, get(inside, "u").to_request()).await.body,
            "own"
        );
    }
}

#[actix_web::test]
async fn an_earlier_scope_with_another_path_does_no_harm() {
    let (_emulator, courier) = courier().await;
    let own = web::scope("/couriers").route("/token", web::get().to(|| async { "own" }));
    let app = init_service(App::new().service(own).configure(courier.routes())).await;
    assert_eq!(call(&app, get(TOKEN, "u").to_request()).await.status, 200);
}

#[actix_web::test]
async fn inside_a_scope_its_path_comes_first() {
    async fn page(token: CourierToken) -> String {
        token.user_id().to_string()
    }
    let (_emulator, courier) = courier().await;
    let api = web::scope("/api")
        .configure(courier.routes())
        .route("/page", web::get().to(page));
    let app = App::new().service(api).route("/page", web::get().to(page));
    let app = init_service(app).await;
    let status = async |uri| call(&app, get(uri, "u").to_request()).await.status;
    assert_eq!(status("/api/courier/token").await, 200);
    assert_eq!(status(TOKEN).await, 404);
    // The extractor is set up in the scope, and only there.
    assert_eq!(status("/api/page").await, 200);
    assert_eq!(status("/page").await, 500);
}

#[actix_web::test]
async fn a_prefix_with_or_without_slashes() {
    let (_emulator, courier) = courier().await;
    for (prefix, path) in [
        ("/inbox", "/inbox/token"),
        ("inbox", "/inbox/token"),
        ("/inbox/", "/inbox/token"),
        ("//a/b//", "/a/b/token"),
        ("", "/token"),
        ("/", "/token"),
        ("/{tenant}/courier", "/acme/courier/token"),
        ("/ü", "/%C3%BC/token"),
    ] {
        let routes = courier.clone().prefix(prefix).routes();
        let app = init_service(App::new().configure(routes)).await;
        let answer = call(&app, get(path, "u").to_request()).await;
        assert_eq!(answer.status, 200, "{prefix}");
        let usual = call(&app, get(TOKEN, "u").to_request()).await;
        assert_eq!(usual.status, 404, "{prefix}");
    }
}

#[actix_web::test]
#[should_panic(expected = "malformed dynamic segment")]
async fn a_malformed_prefix_panics_when_the_app_is_built() {
    let (_emulator, courier) = courier().await;
    // As `web::resource` does.
    init_service(App::new().configure(courier.prefix("/{tenant/x").routes())).await;
}

#[actix_web::test]
async fn two_of_them_in_one_app() {
    let (_emulator, courier) = courier().await;
    let nobody = CourierAuth::new(
        courier.provider().clone(),
        |_: actix_web::HttpRequest| async { None::<String> },
    );
    let app = App::new()
        .configure(courier.routes())
        .configure(nobody.prefix("/nobody").routes());
    let app = init_service(app).await;
    let status = async |uri| call(&app, get(uri, "u").to_request()).await.status;
    assert_eq!(status(TOKEN).await, 200);
    assert_eq!(status("/nobody/token").await, 401);
}

#[actix_web::test]
async fn the_apps_default_service_stays() {
    let (_emulator, courier) = courier().await;
    let app = App::new()
        .default_service(web::to(|| async { "own" }))
        .configure(courier.routes());
    let app = init_service(app).await;
    assert_eq!(call(&app, get(TOKEN, "u").to_request()).await.status, 200);
    for uri in ["/courier", "/courier/", "/courier/token/", "/courier/x"] {
        assert_eq!(
            call(&app, get(uri, "u").to_request()).await.body,
            "own",
            "{uri}"
        );
    }
}

#[actix_web::test]
async fn the_token_alone_at_a_path_of_the_apps_own() {
    let (emulator, courier) = courier().await;
    let app = App::new()
        .route("/api/courier-token", courier.route())
        .configure(courier.routes());
    let app = init_service(app).await;

    let old = call(&app, get("/api/courier-token", "u").to_request()).await;
    let new = call(&app, get(TOKEN, "u").to_request()).await;
    assert_eq!(old.status, 200);
    assert_eq!(old.token(), new.token());
    assert_eq!(emulator.token_requests(), 1);

    let put = get("/api/courier-token", "u").method(Method::PUT);
    let put = call(&app, put.to_request()).await;
    assert_eq!(put.status, 405);
    assert_eq!(put.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(put.header("cache-control"), Some("no-store"));
    let script = get("/api/session.js", "u").to_request();
    assert_eq!(call(&app, script).await.status, 404);
}
