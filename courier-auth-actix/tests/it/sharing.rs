//! One cache for all workers, one call to Courier for all who want the same token.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::ThreadId,
    time::Duration,
};

use actix_web::{App, HttpRequest, test::init_service};
use courier_auth_actix::CourierAuth;
use courier_auth_core::emulator::Fault;
use futures_util::future::join_all;

use crate::{
    endpoint::USER_HEADER,
    support::{Server, TOKEN, by_header, call, emulator, get, head, provider, until, user_of},
};

#[derive(Clone, Debug, Default)]
struct Threads(Arc<Mutex<HashSet<ThreadId>>>);

impl Threads {
    fn note(&self) {
        self.0.lock().unwrap().insert(std::thread::current().id());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn noting(provider: courier_auth_actix::TokenProvider, threads: &Threads) -> CourierAuth {
    let threads = threads.clone();
    CourierAuth::new(provider, move |request: HttpRequest| {
        threads.note();
        async move { user_of(&request) }
    })
}

fn two_workers(courier: &CourierAuth) -> Server {
    let courier = courier.clone();
    Server::start(2, move |config| courier.routes()(config))
}

#[actix_web::test]
async fn two_workers_share_one_cache() {
    let emulator = emulator().await;
    let threads = Threads::default();
    let server = two_workers(&noting(provider(&emulator), &threads));
    let request = head("GET", TOKEN, &[(USER_HEADER, "user-1")]);
    let mut tokens = HashSet::new();
    for _ in 0..40 {
        tokens.insert(server.ask(&request).await.token());
    }
    assert_eq!(tokens.len(), 1);
    assert_eq!(threads.count(), 2, "both workers were asked");
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn two_hundred_first_requests_are_one_call() {
    let emulator = emulator().await;
    // Long enough that all of them are there before the answer is.
    emulator.fail(Fault::Latency(Duration::from_secs(1)));
    let threads = Threads::default();
    let server = two_workers(&noting(provider(&emulator), &threads));
    let request = head("GET", TOKEN, &[(USER_HEADER, "user-1")]);
    let answers = join_all((0..200).map(|_| server.ask(&request))).await;
    let tokens: HashSet<_> = answers.iter().map(|answer| answer.token()).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(threads.count(), 2, "both workers were asked");
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn an_error_is_shared_too() {
    let emulator = emulator().await;
    emulator.fail_next(1, Fault::status(400));
    let server = two_workers(&by_header(provider(&emulator)));
    let request = head("GET", TOKEN, &[(USER_HEADER, "user-1")]);
    let answers = join_all((0..20).map(|_| server.ask(&request))).await;
    assert!(answers.iter().all(|answer| answer.status == 502));
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn users_do_not_get_each_others_tokens() {
    let emulator = emulator().await;
    let server = two_workers(&by_header(provider(&emulator)));
    let users: Vec<_> = (0..50).map(|user| format!("user-{}", user % 10)).collect();
    let ask = async |user: &String| {
        let request = head("GET", TOKEN, &[(USER_HEADER, user)]);
        server.ask(&request).await.token()
    };
    let tokens = join_all(users.iter().map(ask)).await;
    for (user, token) in users.iter().zip(tokens) {
        let claims = emulator.verify(&token).unwrap();
        assert!(claims.scope.starts_with(&format!("user_id:{user} ")));
    }
    assert_eq!(emulator.token_requests(), 10);
}

#[actix_web::test]
async fn who_hangs_up_leaves_a_token_for_the_next() {
    let emulator = emulator().await;
    emulator.fail(Fault::Latency(Duration::from_millis(300)));
    let server = Server::with(&by_header(provider(&emulator)));
    let request = head("GET", TOKEN, &[(USER_HEADER, "user-1")]);
    for _ in 0..3 {
        let mut connection = server.connect().await;
        connection.send(request.as_bytes()).await;
        until(|| emulator.token_requests() == 1).await;
        drop(connection);
    }
    assert!(!server.ask(&request).await.token().is_empty());
    assert_eq!(emulator.token_requests(), 1);
}

#[actix_web::test]
async fn a_request_that_is_dropped_leaves_one_too() {
    let emulator = emulator().await;
    emulator.fail(Fault::Latency(Duration::from_millis(300)));
    let courier = by_header(provider(&emulator));
    let app = init_service(App::new().configure(courier.routes())).await;
    tokio::select! {
        biased;
        () = until(|| emulator.token_requests() == 1) => {}
        answer = call(&app, get(TOKEN, "user-1").to_request()) => panic!("{answer:?}"),
    }
    let answer = call(&app, get(TOKEN, "user-1").to_request()).await;
    assert!(!answer.token().is_empty());
    assert_eq!(emulator.token_requests(), 1);
}
