//! An actix-web app whose users sign in with a session cookie (actix-session).
//!
//! `cargo run --bin actix-app`, then open <http://127.0.0.1:3000>.

use actix_session::{Session, SessionGetError, SessionMiddleware};
use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::MessageBody,
    cookie::{Key, SameSite},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::{StatusCode, header::CACHE_CONTROL},
    web,
};
use courier_auth_actix::CourierAuth;
use courier_auth_examples::{Demo, MemorySessions, StartError, Stop, health, start};
use serde::Deserialize;

#[actix_web::main]
async fn main() -> Result<(), StartError> {
    let (demo, listener, stop) = start("actix-app").await?;
    // Outside `HttpServer::new`, whose closure runs once per worker: the workers share one cache.
    let courier = CourierAuth::new(demo.provider().clone(), signed_in_user);
    // And one store of sessions.
    let sessions = MemorySessions::default();
    // A real app keeps its key, or everybody is signed out when it restarts.
    let key = Key::generate();
    HttpServer::new(move || app(courier.clone(), demo.clone(), sessions.clone(), key.clone()))
        .workers(2)
        .shutdown_signal(stop.asked())
        .shutdown_timeout(Stop::GRACE.as_secs())
        .listen(listener)?
        .run()
        .await?;
    Ok(())
}

fn app(
    courier: CourierAuth,
    demo: Demo,
    sessions: MemorySessions,
    key: Key,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    // A session ends after a day, which is actix-session's default.
    let session = SessionMiddleware::builder(sessions, key)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        // Only because this is plain http on loopback.
        .cookie_secure(false)
        .build();
    App::new()
        // Around everything, in whatever order it is added.
        .wrap(session)
        // GET /courier/token. Before any `scope("")` or `scope("/courier")` of the app's own:
        // actix-web never comes back from a scope whose path matches.
        .configure(courier.routes())
        .app_data(web::Data::new(courier))
        .app_data(web::Data::new(demo))
        .route("/login", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .route("/healthz", web::get().to(healthz))
        .default_service(web::to(page))
}

/// The app's own session says for whom a token is, never the browser.
async fn signed_in_user(session: Session) -> Result<Option<String>, SessionGetError> {
    session.get(USER)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    request: HttpRequest,
    session: Session,
    form: Option<web::Form<Login>>,
) -> Result<HttpResponse, Error> {
    // Or another site could sign a visitor in as a user of its own.
    let site = request.headers().get("Sec-Fetch-Site");
    if site.is_some_and(|site| site == "cross-site") {
        return Ok(HttpResponse::Forbidden().finish());
    }
    // A demo: any name, no password.
    let user = form.map(|form| form.into_inner().user).unwrap_or_default();
    let user = user.trim();
    if user.is_empty() {
        return Ok(HttpResponse::BadRequest().finish());
    }
    session.insert(USER, user)?;
    // Whoever had the session before must not share what it is worth now.
    session.renew();
    Ok(HttpResponse::NoContent().finish())
}

async fn logout(session: Session, courier: web::Data<CourierAuth>) -> Result<HttpResponse, Error> {
    let user: Option<String> = session.get(USER)?;
    session.purge();
    // Courier cannot revoke a token; this only forgets it.
    if let Some(user) = user {
        courier.provider().invalidate(user);
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn healthz(courier: web::Data<CourierAuth>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(health(&courier.provider().status()))
}

async fn page(
    request: HttpRequest,
    session: Session,
    demo: web::Data<Demo>,
) -> Result<HttpResponse, SessionGetError> {
    let user = signed_in_user(session).await?;
    let answer = demo.answer(request.method().as_str(), request.path(), user.as_deref());
    // actix-web has an `http` crate of its own version.
    let status = StatusCode::from_u16(answer.status().as_u16());
    let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in answer.headers() {
        response.insert_header((name.as_str(), value.as_bytes()));
    }
    Ok(response.body(answer.into_body()))
}

/// The key in the session.
const USER: &str = "user";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::{
        http::header::{COOKIE, SET_COOKIE},
        test::{TestRequest, call_and_read_body_json, call_service, init_service},
    };
    use courier_auth_examples::Settings;
    use serde_json::Value;

    use super::*;

    #[actix_web::test]
    async fn workers_share_one_cache() {
        let demo = Demo::start("actix-app", &Settings::default())
            .await
            .unwrap();
        let courier = CourierAuth::new(demo.provider().clone(), signed_in_user);
        let (sessions, key) = (MemorySessions::default(), Key::generate());
        // As `HttpServer` does it for its workers.
        let factory = || app(courier.clone(), demo.clone(), sessions.clone(), key.clone());
        let (one, two) = (init_service(factory()).await, init_service(factory()).await);

        let request = TestRequest::post()
            .uri("/login")
            .set_form([("user", "alice")]);
        let response = call_service(&one, request.to_request()).await;
        let cookie = cookie(&response);

        let request = || {
            TestRequest::get()
                .uri("/courier/token")
                .insert_header((COOKIE, cookie.as_str()))
        };
        let first: Value = call_and_read_body_json(&one, request().to_request()).await;
        let second: Value = call_and_read_body_json(&two, request().to_request()).await;
        assert_eq!(first["user_id"], "alice");
        assert_eq!(first["token"], second["token"]);
        assert_eq!(demo.emulator().unwrap().token_requests(), 1);
    }

    #[actix_web::test]
    async fn the_cookie_of_before_is_worth_nothing_after_the_sign_out() {
        let demo = Demo::start("actix-app", &Settings::default())
            .await
            .unwrap();
        let courier = CourierAuth::new(demo.provider().clone(), signed_in_user);
        let sessions = MemorySessions::default();
        let app = init_service(app(courier, demo, sessions, Key::generate())).await;
        let request = TestRequest::post()
            .uri("/login")
            .set_form([("user", "alice")]);
        let response = call_service(&app, request.to_request()).await;
        let cookie = cookie(&response);

        let token = || TestRequest::get().uri("/courier/token");
        let logout = || TestRequest::post().uri("/logout");
        for (request, status) in [(token(), 200), (logout(), 204), (token(), 401)] {
            let request = request.insert_header((COOKIE, cookie.as_str()));
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), status);
        }
    }

    #[actix_web::test]
    async fn another_site_signs_nobody_in() {
        let demo = Demo::start("actix-app", &Settings::default())
            .await
            .unwrap();
        let courier = CourierAuth::new(demo.provider().clone(), signed_in_user);
        let sessions = MemorySessions::default();
        let app = init_service(app(courier, demo, sessions, Key::generate())).await;
        let request = TestRequest::post()
            .uri("/login")
            .insert_header(("Sec-Fetch-Site", "cross-site"))
            .set_form([("user", "mallory")]);
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 403);
        assert!(!response.headers().contains_key(SET_COOKIE));
    }

    #[actix_web::test]
    async fn a_cookie_that_a_browser_makes_up_is_worth_nothing() {
        let demo = Demo::start("actix-app", &Settings::default())
            .await
            .unwrap();
        let courier = CourierAuth::new(demo.provider().clone(), signed_in_user);
        let sessions = MemorySessions::default();
        let app = init_service(app(courier, demo, sessions, Key::generate())).await;
        let request = TestRequest::get().uri("/courier/token");
        let request = request.insert_header((COOKIE, "id={\"user\":\"alice\"}"));
        assert_eq!(call_service(&app, request.to_request()).await.status(), 401);
    }

    fn cookie<B>(response: &ServiceResponse<B>) -> String {
        let cookie = response.headers().get(SET_COOKIE).unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next();
        cookie.unwrap().to_owned()
    }
}
