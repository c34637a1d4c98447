//! The worker or the runtime that asked Courier goes away before the answer.

use std::thread;

use actix_web::{App, rt::System, test::init_service};
use courier_auth_actix::TokenProvider;
use courier_auth_core::emulator::{EmulatorServer, Fault};
use tokio::sync::oneshot;

use crate::{
    endpoint::USER_HEADER,
    support::{Server, TOKEN, by_header, call, emulator, get, head, provider, until, within},
};

/// A provider that knows of no runtime until its first caller has one.
fn without_runtime(courier: &EmulatorServer) -> TokenProvider {
    thread::scope(|threads| threads.spawn(|| provider(courier)).join().unwrap())
}

#[actix_web::test]
async fn a_worker_that_goes_away_mid_flight() {
    let emulator = emulator().await;
    emulator.fail_next(1, Fault::Hang);
    let courier = by_header(without_runtime(&emulator));
    let request = head("GET", TOKEN, &[(USER_HEADER, "user-1")]);

    let first = Server::with(&courier);
    let mut connection = first.connect().await;
    connection.send(request.as_bytes()).await;
    until(|| emulator.token_requests() == 1).await;
    first.stop().await;

    let second = Server::with(&courier);
    assert!(!second.ask(&request).await.token().is_empty());
    assert_eq!(emulator.token_requests(), 2);
}

#[actix_web::test]
async fn a_runtime_that_is_dropped_mid_flight() {
    let emulator = emulator().await;
    emulator.fail_next(1, Fault::Hang);
    let courier = by_header(without_runtime(&emulator));

    let (gone, dropped) = oneshot::channel();
    let watched = emulator.emulator().clone();
    let theirs = courier.clone();
    thread::spawn(move || {
        System::new().block_on(async {
            let app = init_service(App::new().configure(theirs.routes())).await;
            tokio::select! {
                () = until(|| watched.token_requests() == 1) => {}
                answer = call(&app, get(TOKEN, "user-1").to_request()) => panic!("{answer:?}"),
            }
        });
        gone.send(()).unwrap();
    });
    within(dropped).await.unwrap();

    let app = init_service(App::new().configure(courier.routes())).await;
    let answer = call(&app, get(TOKEN, "user-1").to_request()).await;
    assert!(!answer.token().is_empty());
    assert_eq!(emulator.token_requests(), 2);
}

#[actix_web::test]
async fn a_waiter_takes_over_from_a_runtime_that_is_dropped() {
    let emulator = emulator().await;
    emulator.fail_next(1, Fault::Hang);
    let courier = by_header(without_runtime(&emulator));

    let (stop, stopped) = oneshot::channel::<()>();
    let theirs = courier.clone();
    let runtime = thread::spawn(move || {
        System::new().block_on(async {
            let app = init_service(App::new().configure(theirs.routes())).await;
            tokio::select! {
                _ = stopped => {}
                answer = call(&app, get(TOKEN, "user-1").to_request()) => panic!("{answer:?}"),
            }
        });
    });
    until(|| emulator.token_requests() == 1).await;

    let app = init_service(App::new().configure(courier.routes())).await;
    let waiter = call(&app, get(TOKEN, "user-1").to_request());
    // Polled first, so that it waits for the flight that is about to be lost.
    let (answer, ()) = tokio::join!(biased; waiter, async { stop.send(()).unwrap() });
    assert!(!answer.token().is_empty());
    assert_eq!(emulator.token_requests(), 2);
    runtime.join().unwrap();
}
