//! Other people's middleware around the route: sessions, CORS, bodies of another type.

use actix_cors::Cors;
use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{
    App, HttpResponse, Responder,
    body::MessageBody,
    cookie::Key,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::{Compress, Next, from_fn},
    test::{TestRequest, init_service},
    web::{self, ServiceConfig},
};
use courier_auth_actix::{CourierAuth, TokenProvider};

use crate::support::{Answer, TOKEN, by_header, call, emulator, get, provider};

fn by_session(provider: TokenProvider) -> CourierAuth {
    CourierAuth::new(provider, |session: Session| async move {
        session.get::<String>("user_id")
    })
}

fn with_login(courier: &CourierAuth) -> impl FnOnce(&mut ServiceConfig) + use<> {
    async fn login(session: Session, user: String) -> impl Responder {
        session.insert("user_id", user).unwrap();
        HttpResponse::NoContent()
    }
    async fn logout(session: Session) -> impl Responder {
        session.purge();
        HttpResponse::NoContent()
    }
    let routes = courier.routes();
    move |config| {
        routes(config);
        config
            .route("/login", web::post().to(login))
            .route("/logout", web::post().to(logout));
    }
}

fn cookie(answer: &Answer) -> (header::HeaderName, String) {
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, _) = cookie.split_once(';').unwrap();
    (header::COOKIE, pair.to_owned())
}

#[actix_web::test]
async fn a_session_from_login_to_logout() {
    let emulator = emulator().await;
    let courier = by_session(provider(&emulator));
    let sessions = SessionMiddleware::new(CookieSessionStore::default(), Key::generate());
    // The route is inside, whichever comes first.
    let app = App::new().configure(with_login(&courier)).wrap(sessions);
    let app = init_service(app).await;
    let token = || TestRequest::get().uri(TOKEN);

    assert_eq!(call(&app, token().to_request()).await.code(), "signed_out");

    let login = TestRequest::post().uri("/login").set_payload("user-1");
    let session = cookie(&call(&app, login.to_request()).await);
    let signed_in = token().insert_header(session.clone()).to_request();
    let answer = call(&app, signed_in).await;
    assert_eq!(answer.json()["user_id"], "user-1");
    assert_eq!(answer.header("set-cookie"), None);

    let logout = TestRequest::post().uri("/logout").insert_header(session);
    let session = cookie(&call(&app, logout.to_request()).await);
    let signed_out = token().insert_header(session).to_request();
    assert_eq!(call(&app, signed_out).await.code(), "signed_out");
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn without_the_session_middleware_nobody_is_signed_in() {
    let emulator = emulator().await;
    let courier = by_session(provider(&emulator));
    let app = init_service(App::new().configure(courier.routes())).await;
    // actix-session's extractor gives an empty session then.
    assert_eq!(
        call(&app, get(TOKEN, "u").to_request()).await.code(),
        "signed_out"
    );
}

#[actix_web::test]
async fn a_session_whose_content_is_broken_is_not_signed_out() {
    async fn login(session: Session) -> impl Responder {
        session.insert("user_id", [1, 2]).unwrap();
        HttpResponse::NoContent()
    }
    let emulator = emulator().await;
    let courier = by_session(provider(&emulator));
    let sessions = SessionMiddleware::new(CookieSessionStore::default(), Key::generate());
    let app = App::new()
        .configure(courier.routes())
        .route("/login", web::post().to(login))
        .wrap(sessions);
    let app = init_service(app).await;
    let session = cookie(&call(&app, TestRequest::post().uri("/login").to_request()).await);
    let request = TestRequest::get().uri(TOKEN).insert_header(session);
    let answer = call(&app, request.to_request()).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

fn cors() -> Cors {
    Cors::default()
        .allowed_origin("https://app.example.com")
        .allowed_methods(["GET", "POST"])
        .allowed_headers([header::IF_NONE_MATCH])
        .expose_headers([header::ETAG, header::RETRY_AFTER])
        .supports_credentials()
}

const ORIGIN: (&str, &str) = ("origin", "https://app.example.com");

#[actix_web::test]
async fn cors_around_the_app_answers_preflights_and_exposes_headers() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator)).allow_cross_site(true);
    let app = App::new().configure(courier.routes()).wrap(cors());
    let app = init_service(app).await;

    let preflight = TestRequest::default()
        .method(Method::OPTIONS)
        .uri(TOKEN)
        .insert_header(ORIGIN)
        .insert_header(("access-control-request-method", "GET"))
        .insert_header(("access-control-request-headers", "if-none-match"));
    let answer = call(&app, preflight.to_request()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("if-none-match")
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );

    let request = get(TOKEN, "user-1")
        .insert_header(ORIGIN)
        .insert_header(("sec-fetch-site", "cross-site"));
    let answer = call(&app, request.to_request()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("etag") && exposed.contains("retry-after"));
    // What a cache must know of us survives what it must know of CORS.
    let vary = answer.header("vary").unwrap();
    assert!(
        vary.contains("Cookie, Authorization") && vary.contains("Origin"),
        "{vary}"
    );

    // Errors must be readable too, or a script cannot tell them apart.
    let signed_out = TestRequest::get().uri(TOKEN).insert_header(ORIGIN);
    let answer = call(&app, signed_out.to_request()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
}

#[actix_web::test]
async fn without_cors_a_preflight_is_a_405_that_allows_no_origin() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let sibling = web::scope("/other").wrap(cors());
    let app = App::new().configure(courier.routes()).service(sibling);
    let app = init_service(app).await;
    let preflight = TestRequest::default()
        .method(Method::OPTIONS)
        .uri(TOKEN)
        .insert_header(ORIGIN)
        .insert_header(("access-control-request-method", "GET"));
    let answer = call(&app, preflight.to_request()).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[actix_web::test]
async fn middleware_that_changes_the_type_of_the_body() {
    async fn boxed(
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
        Ok(next.call(request).await?.map_into_boxed_body())
    }
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new()
        .configure(courier.routes())
        .wrap(from_fn(boxed))
        .wrap(Compress::default());
    let app = init_service(app).await;
    let plain = call(&app, get(TOKEN, "user-1").to_request()).await;
    assert!(!plain.token().is_empty());

    // Compressed, it is no text any more, so only the head is looked at.
    let zipped = get(TOKEN, "user-1").insert_header(("accept-encoding", "gzip"));
    let zipped = actix_web::test::call_service(&app, zipped.to_request()).await;
    let header = |name| zipped.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(header("content-encoding"), "gzip");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(Some(header("etag")), plain.header("etag"));

    let held = get(TOKEN, "user-1")
        .insert_header(("accept-encoding", "gzip"))
        .insert_header(("if-none-match", plain.header("etag").unwrap()));
    let held = call(&app, held.to_request()).await;
    assert_eq!((held.status, held.body.as_str()), (304, ""));
    assert_eq!(held.header("content-encoding"), None);
}

#[actix_web::test]
async fn middleware_that_turns_requests_away_comes_first() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new().configure(courier.routes()).wrap(from_fn(
        async |request: ServiceRequest, _: Next<actix_web::body::BoxBody>| {
            Ok(request.into_response(HttpResponse::PaymentRequired().finish()))
        },
    ));
    let app = init_service(app).await;
    assert_eq!(
        call(&app, get(TOKEN, "user-1").to_request()).await.status,
        402
    );
    assert_eq!(emulator.token_requests(), 0);
}
