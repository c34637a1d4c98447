//! The endpoint's contract, through every form in which an app can mount it.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Response},
};
use bytes::Bytes;
use courier_auth_tower::CourierAuthLayer;
use http_body_util::Full;
use tower::{Layer, service_fn};

use crate::{
    app::{self, serve, user_header},
    endpoint::{PATHS, Request, Seen, Setup, run_cases},
};

fn layer(setup: &Setup) -> CourierAuthLayer {
    CourierAuthLayer::new(setup.provider.clone(), user_header)
        .allow_cross_site(setup.allow_cross_site)
}

fn request(request: &Request) -> axum::http::Request<Body> {
    let query = request.query.as_deref().map(|query| format!("?{query}"));
    let mut builder = axum::http::Request::builder()
        .method(request.method.as_str())
        .uri(format!(
            "/courier{}{}",
            request.path,
            query.unwrap_or_default()
        ));
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::empty()).unwrap()
}

fn seen(seen: app::Seen) -> Seen {
    Seen {
        status: seen.status.as_u16(),
        headers: pairs(&seen.headers),
        body: seen.body,
    }
}

pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn the_layer_on_a_router_keeps_the_contract() {
    run_cases(&PATHS, async |setup, sent| {
        let app: Router = Router::new().layer(layer(setup));
        seen(app::send(app, request(&sent)).await)
    })
    .await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn nested_routes_keep_the_contract() {
    run_cases(&PATHS, async |setup, sent| {
        let app: Router = Router::new().nest("/courier", layer(setup).routes());
        seen(app::send(app, request(&sent)).await)
    })
    .await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn the_route_keeps_the_contract() {
    run_cases(&PATHS[..1], async |setup, sent| {
        let app: Router = Router::new().route("/courier/token", layer(setup).route());
        seen(app::send(app, request(&sent)).await)
    })
    .await;
}

#[tokio::test]
async fn the_bare_layer_keeps_the_contract() {
    run_cases(&PATHS, async |setup, sent| {
        let inner = service_fn(async |_: axum::http::Request<Body>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("the app"))))
        });
        seen(app::send(layer(setup).layer(inner), request(&sent)).await)
    })
    .await;
}

#[tokio::test]
async fn the_layer_keeps_the_contract_over_a_socket() {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    run_cases(&PATHS, async |setup, sent| {
        let address = serve(Router::new().layer(layer(setup))).await;
        let (parts, _) = request(&sent).into_parts();
        let response = client
            .request(parts.method, format!("http://{address}{}", parts.uri))
            .headers(parts.headers)
            .send()
            .await
            .unwrap();
        Seen {
            status: response.status().as_u16(),
            headers: pairs(response.headers()),
            body: response.text().await.unwrap(),
        }
    })
    .await;
}
