//! What a hook may look like, and what its errors look like to a browser.

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    time::Duration,
};

use actix_web::{
    App, Error as ActixError, FromRequest, HttpRequest, HttpResponse, ResponseError,
    dev::Payload,
    error::{ErrorServiceUnavailable, InternalError},
    http::StatusCode,
    test::{TestRequest, init_service},
    web,
};
use courier_auth_actix::{CourierAuth, IntoIdentity, Scope, TokenRequest, UserId};

use crate::{
    endpoint::USER_HEADER,
    support::{Answer, TOKEN, call, emulator, get, provider, user_of},
};

/// Mounts the hook, asks as `user-1`.
async fn ask<F, X, Fut>(hook: F) -> Answer
where
    F: Fn(X) -> Fut + Send + Sync + 'static,
    X: FromRequest + 'static,
    Fut: Future + 'static,
    Fut::Output: IntoIdentity,
{
    let emulator = emulator().await;
    let courier = CourierAuth::new(provider(&emulator), hook);
    let app = init_service(App::new().configure(courier.routes())).await;
    let answer = call(&app, get(TOKEN, "user-1").to_request()).await;
    if answer.status == 200 {
        let claims = emulator.verify(&answer.token()).unwrap();
        let user = answer.json()["user_id"].as_str().unwrap().to_owned();
        assert!(claims.scope.starts_with(&format!("user_id:{user} ")));
    } else {
        assert_eq!(emulator.token_requests(), 0);
        assert_eq!(answer.header("set-cookie"), None);
    }
    answer
}

fn user(answer: &Answer) -> String {
    answer.json()["user_id"].as_str().unwrap().to_owned()
}

/// An app's own extractor.
struct CurrentUser {
    id: String,
    number: u32,
}

impl FromRequest for CurrentUser {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(match user_of(request) {
            Some(id) => Ok(Self { id, number: 42 }),
            None => Err(AppError),
        })
    }
}

/// An app's own error, with a status and a body that are none of ours.
#[derive(Debug)]
struct AppError;

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session store is down")
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        StatusCode::IM_A_TEAPOT
    }
}

fn is_the_apps_own(answer: &Answer) {
    assert_eq!(answer.status, 418);
    assert_eq!(answer.body, "the session store is down");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[actix_web::test]
async fn an_id_of_any_kind() {
    assert_eq!(user(&ask(|_: HttpRequest| async { "u" }).await), "u");
    assert_eq!(
        user(&ask(|user: CurrentUser| async move { user.id }).await),
        "user-1"
    );
    assert_eq!(
        user(&ask(async |user: CurrentUser| user.id).await),
        "user-1"
    );
    assert_eq!(
        user(&ask(|user: CurrentUser| async move { user.number }).await),
        "42"
    );
    assert_eq!(user(&ask(|_: HttpRequest| async { 1_i32 }).await), "1");
    assert_eq!(user(&ask(|_: HttpRequest| async { -2_i64 }).await), "-2");
    assert_eq!(user(&ask(|_: HttpRequest| async { 3_u64 }).await), "3");
    assert_eq!(user(&ask(|_: HttpRequest| async { 4_usize }).await), "4");
    assert_eq!(
        user(&ask(|_: HttpRequest| async { u128::MAX }).await).len(),
        39
    );
    assert_eq!(
        user(&ask(|_: HttpRequest| async { i128::MIN }).await).len(),
        40
    );
    assert_eq!(
        user(&ask(|_: HttpRequest| async { UserId::from(5) }).await),
        "5"
    );
}

#[actix_web::test]
async fn a_request_with_scopes_and_a_lifetime_of_its_own() {
    let answer = ask(|user: CurrentUser| async move {
        TokenRequest::for_user(user.id)
            .scopes([Scope::READ_PREFERENCES])
            .lifetime(Duration::from_secs(600))
    })
    .await;
    assert_eq!(answer.json()["scope"], "user_id:user-1 read:preferences");
    assert!(answer.json()["expires_in"].as_u64().unwrap() <= 600);
}

#[actix_web::test]
async fn an_option() {
    let some = ask(|user: Option<CurrentUser>| async move { Some(user?.id) }).await;
    assert_eq!(user(&some), "user-1");
    let some = ask(|user: Option<CurrentUser>| async move { user.map(|user| user.number) }).await;
    assert_eq!(user(&some), "42");
    let none = ask(|_: HttpRequest| async { None::<TokenRequest> }).await;
    assert_eq!((none.status, none.code().as_str()), (401, "signed_out"));
}

#[actix_web::test]
async fn a_result_with_the_apps_own_error() {
    let fine = ask(|user: CurrentUser| async move { Ok::<_, AppError>(user.id) }).await;
    assert_eq!(user(&fine), "user-1");
    is_the_apps_own(&ask(|_: HttpRequest| async { Err::<String, _>(AppError) }).await);
    let general =
        ask(|_: HttpRequest| async { Err::<String, ActixError>(ErrorServiceUnavailable("later")) })
            .await;
    assert_eq!((general.status, general.body.as_str()), (503, "later"));
}

#[actix_web::test]
async fn options_and_results_nest() {
    let some = ask(|user: CurrentUser| async move { Ok::<_, AppError>(Some(user.id)) }).await;
    assert_eq!(user(&some), "user-1");
    let none = ask(|_: HttpRequest| async { Ok::<_, AppError>(None::<i64>) }).await;
    assert_eq!(none.code(), "signed_out");
    is_the_apps_own(&ask(|_: HttpRequest| async { Err::<Option<&str>, _>(AppError) }).await);
    is_the_apps_own(&ask(|_: HttpRequest| async { Some(Err::<UserId, _>(AppError)) }).await);
}

#[actix_web::test]
async fn what_the_apps_error_says_about_caching_stays() {
    let answer = ask(|_: HttpRequest| async {
        let response = HttpResponse::TooManyRequests()
            .insert_header(("cache-control", "private, max-age=3"))
            .insert_header(("retry-after", "3"))
            .body("slower");
        Err::<String, _>(InternalError::from_response("too fast", response))
    })
    .await;
    assert_eq!((answer.status, answer.body.as_str()), (429, "slower"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=3"));
    assert_eq!(answer.header("retry-after"), Some("3"));
}

#[actix_web::test]
async fn an_extractor_that_fails_answers_for_itself() {
    struct Nobody;
    impl FromRequest for Nobody {
        type Error = AppError;
        type Future = Ready<Result<Self, AppError>>;

        fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
            ready(Err(AppError))
        }
    }
    is_the_apps_own(&ask(|_: Nobody| async { "unreachable" }).await);
    is_the_apps_own(&ask(|(_, _): (CurrentUser, Nobody)| async { "unreachable" }).await);
}

#[actix_web::test]
async fn a_tuple_of_extractors() {
    let answer = ask(
        |(user, request, body): (CurrentUser, HttpRequest, web::Bytes)| async move {
            format!("{}{}{}", user.id, request.path(), body.len())
        },
    )
    .await;
    assert_eq!(user(&answer), "user-1/courier/token0");
}

#[actix_web::test]
async fn a_future_that_stays_on_its_thread() {
    let answer = ask(|user: CurrentUser| async move {
        let id = Rc::new(user.id);
        actix_web::rt::task::yield_now().await;
        id.to_string()
    })
    .await;
    assert_eq!(user(&answer), "user-1");
}

#[actix_web::test]
async fn nobody_is_asked_where_no_token_can_come_of_it() {
    let emulator = emulator().await;
    let courier = CourierAuth::new(provider(&emulator), |_: HttpRequest| async {
        panic!("asked");
        #[expect(unreachable_code, reason = "names the type")]
        ""
    });
    let app = init_service(App::new().configure(courier.routes())).await;
    let put = TestRequest::put().uri(TOKEN).to_request();
    assert_eq!(call(&app, put).await.status, 405);
    let foreign = get(TOKEN, "user-1").insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(call(&app, foreign.to_request()).await.status, 403);
}

#[actix_web::test]
async fn a_hook_may_read_the_body() {
    let emulator = emulator().await;
    let courier = CourierAuth::new(
        provider(&emulator),
        |(user, body): (CurrentUser, String)| async move { (body == "a").then_some(user.id) },
    );
    let app = init_service(App::new().configure(courier.routes())).await;
    for (body, status) in [("a", 200), ("b", 401)] {
        let request = TestRequest::post()
            .uri(TOKEN)
            .insert_header((USER_HEADER, "user-1"))
            .set_payload(body);
        assert_eq!(call(&app, request.to_request()).await.status, status);
    }
}
