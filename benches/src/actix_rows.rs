//! The rows with actix-web.

use std::{
    future::{Ready, ready},
    io,
    net::TcpListener,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, FromRequest, HttpRequest, HttpResponse, HttpServer,
    dev::Payload,
    error::{ErrorServiceUnavailable, ErrorUnauthorized},
    http::header::{
        CACHE_CONTROL, CONTENT_TYPE, CROSS_ORIGIN_RESOURCE_POLICY, ETAG, HeaderValue, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
    web::{self, Bytes, Data, ServiceConfig},
};
use courier_auth_actix::CourierAuth;

use crate::{
    handwritten::{Answer, ByHand},
    rows::{Constant, LATENCY, PATH, Row},
};

pub async fn serve(row: Row, listener: TcpListener) -> io::Result<()> {
    match row {
        Row::Bare(constant) => {
            run(listener, move |config| {
                config.app_data(Data::new(constant));
                config.route(PATH, web::get().to(bare));
            })
            .await
        }
        Row::BareUser(constant) => {
            run(listener, move |config| {
                config.app_data(Data::new(constant));
                config.route(PATH, web::get().to(bare_user));
            })
            .await
        }
        Row::Waiting(constant) => {
            run(listener, move |config| {
                config.app_data(Data::new(constant));
                config.route(PATH, web::get().to(waiting));
            })
            .await
        }
        Row::ByHand(cache) => {
            let data = Data::from(Arc::new(cache));
            run(listener, move |config| {
                config.app_data(data.clone());
                config.route(PATH, web::get().to(by_hand));
            })
            .await
        }
        Row::Ours(provider) => {
            let courier = CourierAuth::new(provider, async |user: User| user.0);
            run(listener, move |config| courier.routes()(config)).await
        }
        Row::BareNested(_) | Row::Around(_) | Row::Nest(_) | Row::Route(_) => {
            Err(io::Error::other("axum has it"))
        }
    }
}

async fn run(
    listener: TcpListener,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<()> {
    HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(1)
        // A herd takes its time to connect.
        .client_request_timeout(Duration::from_secs(60))
        .disable_signals()
        .listen(listener)?
        .run()
        .await
}

/// Who is signed in, for all rows but two bare ones.
struct User(String);

impl FromRequest for User {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.headers().get("x-user");
        let user = user.and_then(|user| user.to_str().ok());
        ready(
            user.map(|user| Self(user.to_owned()))
                .ok_or_else(|| ErrorUnauthorized("")),
        )
    }
}

async fn bare(constant: Data<Constant>) -> HttpResponse {
    response(
        HeaderValue::from_static(constant.etag),
        constant.body.into(),
    )
}

async fn bare_user(constant: Data<Constant>, _: User) -> HttpResponse {
    bare(constant).await
}

async fn waiting(constant: Data<Constant>) -> HttpResponse {
    tokio::time::sleep(LATENCY).await;
    bare(constant).await
}

async fn by_hand(by_hand: Data<ByHand>, user: User) -> actix_web::Result<HttpResponse> {
    let answer = by_hand.answer(&user.0).await;
    let Answer { etag, body } = answer.map_err(ErrorServiceUnavailable)?;
    let etag = HeaderValue::from_maybe_shared(etag).map_err(ErrorServiceUnavailable)?;
    Ok(response(etag, body))
}

/// With the headers of the crate's endpoint.
fn response(etag: HeaderValue, body: Bytes) -> HttpResponse {
    let value = HeaderValue::from_static;
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, value("application/json")))
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, value("no-store")))
        .insert_header((X_CONTENT_TYPE_OPTIONS, value("nosniff")))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, value("same-origin")))
        .insert_header((VARY, value("Cookie, Authorization")))
        .body(body)
}
