//! What the layer costs requests that are not for it:
//! `cargo bench -p courier-auth-tower --bench pass_through`.
//!
//! Side by side: every round measures each row once, and the medians of the rounds are compared.

#![expect(clippy::print_stdout, reason = "a benchmark's report")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    sync::Arc,
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use courier_auth_tower::{CourierAuthLayer, TokenProvider};
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use tower::{Layer, Service, service_fn};

fn hello(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(Response::new(Body::from("hello"))))
}

fn main() {
    let provider = TokenProvider::builder("pk_test_benchmark").build();
    let provider = provider.expect("a provider");
    let layer = CourierAuthLayer::new(provider, async |_: HeaderMap| "user-1");
    let mut bare = service_fn(hello);
    let mut without = layer.clone().without_extractor().layer(service_fn(hello));
    let mut with = layer.layer(service_fn(hello));
    let entry = Arc::new(());

    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(round(|request| drop(pass(&mut bare, request))));
        times[1].push(round(|request| drop(pass(&mut without, request))));
        times[2].push(round(|mut request| {
            request.extensions_mut().insert(Arc::clone(&entry));
            drop(pass(&mut bare, request));
        }));
        times[3].push(round(|request| drop(pass(&mut with, request))));
    }
    let medians = times.map(median);
    let names = [
        "bare service",
        "layer, without_extractor()",
        "an entry in the extensions",
        "layer",
    ];
    println!("medians of {ROUNDS} interleaved rounds of {ROUND} requests");
    println!("{:<28} {:>8} {:>10}", "", "ns", "over bare");
    for (name, ns) in names.iter().zip(medians) {
        println!("{name:<28} {ns:>8.1} {:>10.1}", ns - medians[0]);
    }
}

fn pass<S, R>(service: &mut S, request: Request<Empty<Bytes>>) -> Response<R>
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = Bytes>,
{
    let response = service.call(request).now_or_never();
    response.expect("no waiting").expect("an answer")
}

/// Nanoseconds per request.
fn round(mut pass: impl FnMut(Request<Empty<Bytes>>)) -> f64 {
    let requests: Vec<_> = (0..ROUND)
        .map(|_| {
            let request = Request::get("/orders/17?page=2").body(Empty::new());
            request.expect("a request")
        })
        .collect();
    let start = Instant::now();
    for request in requests {
        pass(black_box(request));
    }
    start.elapsed().as_secs_f64() * 1e9 / ROUND as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: usize = 1001;
const ROUND: usize = 400;
