//! `CourierToken` in handlers.

use std::sync::Arc;

use actix_web::{
    App, HttpRequest, HttpResponse, Responder, ResponseError as _,
    error::{ErrorUnauthorized, InternalError},
    http::StatusCode,
    test::init_service,
    web,
};
use courier_auth_actix::{
    CourierAuth, CourierToken, CourierTokenError, ErrorKind, Scope, TokenRequest,
};
use courier_auth_core::emulator::Fault;

use crate::support::{TOKEN, by_header, call, emulator, get, provider, user_of};

async fn page(token: CourierToken) -> String {
    token.as_str().to_owned()
}

async fn scope(token: CourierToken) -> String {
    token.into_inner().scope().into_owned()
}

async fn open_page(token: Result<CourierToken, CourierTokenError>) -> impl Responder {
    match token {
        Ok(token) => format!("hello {}", token.user_id()),
        Err(error) if error.is_signed_out() => format!("signed out: {error}"),
        Err(error) => format!("{:?}", error.courier_error().map(|error| error.kind())),
    }
}

#[actix_web::test]
async fn a_page_and_the_route_give_the_same_token() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new().configure(courier.routes());
    let app = init_service(app.route("/", web::get().to(page))).await;
    let page = call(&app, get("/", "user-1").to_request()).await;
    let token = call(&app, get(TOKEN, "user-1").to_request()).await;
    assert_eq!(page.body, token.token());
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn its_errors_are_those_of_the_route() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new().configure(courier.routes());
    let app = init_service(app.route("/", web::get().to(page))).await;
    emulator.fail(Fault::status(400));
    for (user, status) in [(None, 401), (Some("user-1"), 502), (Some("a b"), 500)] {
        let ask = |uri: &str| match user {
            Some(user) => get(uri, user),
            None => actix_web::test::TestRequest::get().uri(uri),
        };
        let page = call(&app, ask("/").to_request()).await;
        let route = call(&app, ask(TOKEN).to_request()).await;
        assert_eq!(page.status, status);
        assert_eq!(page.code(), route.code());
        for header in ["cache-control", "x-content-type-options", "vary"] {
            assert_eq!(page.header(header), route.header(header));
        }
    }
}

#[actix_web::test]
async fn a_page_tells_signed_out_from_down() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new().configure(courier.routes());
    let app = init_service(app.route("/", web::get().to(open_page))).await;

    let nobody = actix_web::test::TestRequest::get().uri("/").to_request();
    assert_eq!(
        call(&app, nobody).await.body,
        "signed out: nobody is signed in"
    );
    let somebody = call(&app, get("/", "user-1").to_request()).await;
    assert_eq!(somebody.body, "hello user-1");
    emulator.fail(Fault::status(401));
    let down = call(&app, get("/", "user-2").to_request()).await;
    assert_eq!(down.body, format!("{:?}", Some(ErrorKind::ApiKeyRefused)));
}

#[actix_web::test]
async fn an_error_is_one_like_any_other() {
    use std::error::Error;

    async fn shown(token: Result<CourierToken, CourierTokenError>) -> String {
        let error: Box<dyn Error> = token.unwrap_err().into();
        let cause = error.source().map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    }
    let emulator = emulator().await;
    emulator.fail(Fault::status(400));
    let app = App::new().app_data(by_header(provider(&emulator)));
    let app = init_service(app.route("/", web::get().to(shown))).await;
    let answer = call(&app, get("/", "user-1").to_request()).await;
    assert!(
        answer
            .body
            .starts_with("no Courier token for the signed-in user: Courier "),
        "{}",
        answer.body
    );
}

/// An `InternalError` that is made from a response gives it away to whoever asks first.
#[actix_web::test]
async fn to_ask_whether_nobody_is_signed_in_leaves_the_apps_answer_as_it_is() {
    async fn open(token: Result<CourierToken, CourierTokenError>) -> HttpResponse {
        let error = token.expect_err("the app's own");
        assert_eq!(error.is_signed_out(), error.status_code() == 401);
        assert_eq!(error.is_signed_out(), error.status_code() == 401);
        HttpResponse::from_error(error)
    }
    let emulator = emulator().await;
    for status in [303, 401, 503] {
        let courier = CourierAuth::new(provider(&emulator), move |_: HttpRequest| async move {
            let status = StatusCode::from_u16(status).expect("a status");
            let answer = HttpResponse::build(status).body("mine");
            Err::<String, _>(InternalError::from_response("", answer))
        });
        let app = App::new().app_data(courier);
        let app = init_service(app.route("/", web::get().to(open))).await;
        let answer = call(&app, get("/", "user-1").to_request()).await;
        assert_eq!((answer.status, &*answer.body), (status, "mine"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[actix_web::test]
async fn the_apps_own_401_is_signed_out_and_its_500_is_not() {
    let emulator = emulator().await;
    for (status, body) in [(401, "signed out: "), (500, "None")] {
        let courier = CourierAuth::new(provider(&emulator), move |_: HttpRequest| async move {
            Err::<String, _>(match status {
                401 => ErrorUnauthorized("who are you?"),
                _ => actix_web::error::ErrorInternalServerError("no store"),
            })
        });
        let app = App::new()
            .app_data(courier)
            .route("/", web::get().to(open_page))
            .route("/page", web::get().to(page));
        let app = init_service(app).await;
        let open = call(&app, get("/", "user-1").to_request()).await;
        assert!(open.body.starts_with(body), "{}", open.body);
        // As an error response it is the app's own.
        let closed = call(&app, get("/page", "user-1").to_request()).await;
        assert_eq!(closed.status, status);
        assert!(["who are you?", "no store"].contains(&closed.body.as_str()));
        assert_eq!(closed.header("cache-control"), Some("no-store"));
    }
    assert_eq!(emulator.token_requests(), 0);
}

#[actix_web::test]
async fn the_nearest_configuration_wins() {
    let emulator = emulator().await;
    let provider = provider(&emulator);
    let with = |scope: Scope| {
        CourierAuth::new(provider.clone(), move |request: HttpRequest| {
            let scope = scope.clone();
            async move { Some(TokenRequest::for_user(user_of(&request)?).scopes([scope])) }
        })
    };
    let app = App::new()
        .configure(with(Scope::INBOX_READ_MESSAGES).routes())
        .route("/app", web::get().to(scope))
        .service(
            web::scope("/admin")
                .app_data(with(Scope::READ_BRANDS))
                .route("/scope", web::get().to(scope))
                .service(
                    web::resource("/resource")
                        .app_data(with(Scope::WRITE_BRANDS))
                        .to(scope),
                ),
        );
    let app = init_service(app).await;
    for (uri, wanted) in [
        ("/app", "inbox:read:messages"),
        ("/admin/scope", "read:brands"),
        ("/admin/resource", "write:brands"),
    ] {
        let answer = call(&app, get(uri, "u").to_request()).await;
        assert_eq!(answer.body, format!("user_id:u {wanted}"));
    }
    // One in a `Data` is no nearer than any without.
    let data = web::scope("/data").app_data(web::Data::new(with(Scope::WRITE_BRANDS)));
    let wrapped = App::new()
        .configure(with(Scope::INBOX_READ_MESSAGES).routes())
        .service(data.route("", web::get().to(scope)));
    let answer = call(&init_service(wrapped).await, get("/data", "u").to_request()).await;
    assert_eq!(answer.body, "user_id:u inbox:read:messages");
    // The route keeps to its own.
    let answer = call(&app, get(TOKEN, "u").to_request()).await;
    assert_eq!(answer.json()["scope"], "user_id:u inbox:read:messages");
}

#[actix_web::test]
async fn app_data_alone_is_enough_as_data_too() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let plain = App::new().app_data(courier.clone());
    let plain = init_service(plain.route("/", web::get().to(page))).await;
    let data = App::new().app_data(web::Data::new(courier.clone()));
    let data = init_service(data.route("/", web::get().to(page))).await;
    let shared = App::new().app_data(web::Data::from(Arc::new(courier)));
    let shared = init_service(shared.route("/", web::get().to(page))).await;

    let one = call(&plain, get("/", "user-1").to_request()).await;
    assert_eq!(one.status, 200);
    assert_eq!(
        call(&data, get("/", "user-1").to_request()).await.body,
        one.body
    );
    assert_eq!(
        call(&shared, get("/", "user-1").to_request()).await.body,
        one.body
    );
    // No route was asked for.
    assert_eq!(
        call(&plain, get(TOKEN, "user-1").to_request()).await.status,
        404
    );
}

#[actix_web::test]
async fn a_forgotten_configuration_is_a_500_that_names_the_fix() {
    async fn told(token: Result<CourierToken, CourierTokenError>) -> impl Responder {
        let error = token.unwrap_err();
        assert!(!error.is_signed_out());
        assert!(error.courier_error().is_none());
        HttpResponse::Ok().body(format!("{error} / {error:?}"))
    }
    let app = App::new()
        .route("/", web::get().to(page))
        .route("/told", web::get().to(told));
    let app = init_service(app).await;
    let answer = call(&app, get("/", "user-1").to_request()).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (500, "not_configured")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // A browser learns nothing of the app's insides; the log does (`tests/secrets.rs`).
    assert!(!answer.body.contains("CourierAuth"));
    let told = call(&app, get("/told", "user-1").to_request()).await;
    assert!(
        told.body.contains("`CourierAuth` is not set up"),
        "{}",
        told.body
    );
}

/// actix-web logs it so, and an app's own error often derives `Debug` around it.
#[actix_web::test]
async fn an_error_shows_why_and_not_the_response() {
    async fn shown(token: Result<CourierToken, CourierTokenError>) -> String {
        format!("{:?}", token.unwrap_err())
    }
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let app = App::new().configure(courier.routes());
    let app = init_service(app.route("/", web::get().to(shown))).await;
    emulator.fail(Fault::status(401));
    let refused = call(&app, get("/", "user-1").to_request()).await.body;
    assert!(refused.contains("kind: ApiKeyRefused"), "{refused}");
    let nobody = actix_web::test::TestRequest::get().uri("/").to_request();
    let nobody = call(&app, nobody).await.body;
    assert!(nobody.contains("nobody is signed in"), "{nobody}");
    for shown in [refused, nobody] {
        assert!(!shown.contains("content-type"), "{shown}");
    }
}

/// It would ask itself, until the stack is used up.
#[actix_web::test]
async fn a_hook_that_extracts_a_token_itself_gets_an_error() {
    use actix_web::FromRequest;

    let emulator = emulator().await;
    let direct = CourierAuth::new(provider(&emulator), async |token: CourierToken| {
        token.user_id().to_owned()
    });
    let indirect = CourierAuth::new(provider(&emulator), async |request: HttpRequest| {
        let token = CourierToken::extract(&request).await?;
        Ok::<_, CourierTokenError>(token.user_id().to_owned())
    });
    for courier in [direct, indirect] {
        let app = App::new().configure(courier.routes());
        let app = init_service(app.route("/", web::get().to(page))).await;
        for uri in [TOKEN, "/"] {
            let answer = call(&app, get(uri, "user-1").to_request()).await;
            assert_eq!(answer.status, 500);
            assert_eq!(answer.code(), "not_configured");
        }
    }

    // Two in one handler are no such thing.
    let courier = by_header(provider(&emulator));
    let two = async |(one, two): (CourierToken, CourierToken)| {
        assert_eq!(one.id(), two.id());
        "two"
    };
    let app = App::new().configure(courier.routes());
    let app = init_service(app.route("/", web::get().to(two))).await;
    assert_eq!(
        call(&app, get("/", "user-1").to_request()).await.body,
        "two"
    );
}
