//! Request bodies, which nobody reads, over a real socket.

use actix_web::{HttpRequest, web};
use courier_auth_actix::{CourierAuth, TokenRequest};
use tokio::sync::mpsc;

use crate::{
    endpoint::USER_HEADER,
    support::{Server, TOKEN, by_header, emulator, keep_alive, provider, within},
};

const USER: (&str, &str) = (USER_HEADER, "user-1");

fn post(length: usize) -> String {
    keep_alive(
        "POST",
        TOKEN,
        &[USER, ("content-length", &length.to_string())],
    )
}

/// A server whose hook tells that it was asked, and whose token is in the cache: the answer is
/// ready before a body that is sent after the signal.
async fn eager() -> (
    courier_auth_core::emulator::EmulatorServer,
    Server,
    mpsc::UnboundedReceiver<()>,
) {
    let emulator = emulator().await;
    let provider = provider(&emulator);
    provider
        .token(&TokenRequest::for_user("user-1"))
        .await
        .unwrap();
    let (asked, signal) = mpsc::unbounded_channel();
    let courier = CourierAuth::new(provider, move |_: HttpRequest| {
        asked.send(()).unwrap();
        async { "user-1" }
    });
    let server = Server::with(&courier);
    (emulator, server, signal)
}

#[actix_web::test]
async fn after_a_small_body_the_connection_lives_on() {
    let (_emulator, server, mut asked) = eager().await;
    let mut connection = server.connect().await;
    for size in [1, 8 * 1024] {
        connection.send(post(size).as_bytes()).await;
        within(asked.recv()).await.unwrap();
        connection.send(&vec![b'x'; size]).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), None, "{size}");
    }
    let get = keep_alive("GET", TOKEN, &[USER]);
    connection.send(get.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[actix_web::test]
async fn so_it_does_after_a_refused_method() {
    let (_emulator, server, _asked) = eager().await;
    let mut connection = server.connect().await;
    for path in [TOKEN, "/courier/session.js"] {
        let put = keep_alive("PUT", path, &[("content-length", "4")]);
        connection.send(put.as_bytes()).await;
        connection.send(b"body").await;
        assert_eq!(connection.answer().await.status, 405);
        connection
            .send(keep_alive("GET", path, &[USER]).as_bytes())
            .await;
        assert_eq!(connection.answer().await.status, 200);
    }
}

#[actix_web::test]
async fn a_large_body_gets_its_answer() {
    let (_emulator, server, _asked) = eager().await;
    let mut connection = server.connect().await;
    let size = 200 * 1024;
    connection.send(post(size).as_bytes()).await;
    connection.send(&vec![b'x'; size]).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    // Whether all of it has arrived by then is up to the network. The answer says what follows.
    if answer.header("connection") == Some("close") {
        assert!(connection.is_closed().await);
    } else {
        connection
            .send(keep_alive("GET", TOKEN, &[USER]).as_bytes())
            .await;
        assert_eq!(connection.answer().await.status, 200);
    }
}

#[actix_web::test]
async fn the_answer_does_not_wait_for_the_end_of_a_large_body() {
    let (_emulator, server, _asked) = eager().await;
    let mut connection = server.connect().await;
    connection.send(post(200 * 1024).as_bytes()).await;
    connection.send(&[b'x'; 100 * 1024]).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    // The rest is still taken, so that the client does not trip over it before it has read the
    // answer.
    connection.send(&[b'x'; 100 * 1024]).await;
    assert!(connection.is_closed().await);
}

#[actix_web::test]
async fn a_body_that_does_not_come_holds_nothing_up() {
    let (_emulator, server, _asked) = eager().await;
    let mut connection = server.connect().await;
    connection.send(post(10).as_bytes()).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[actix_web::test]
async fn a_chunked_body_is_read_too() {
    let (_emulator, server, mut asked) = eager().await;
    let mut connection = server.connect().await;
    let head = keep_alive("POST", TOKEN, &[USER, ("transfer-encoding", "chunked")]);
    connection.send(head.as_bytes()).await;
    within(asked.recv()).await.unwrap();
    connection.send(b"3\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    connection
        .send(keep_alive("GET", TOKEN, &[USER]).as_bytes())
        .await;
    assert_eq!(connection.answer().await.status, 200);
}

#[actix_web::test]
async fn limits_on_bodies_do_not_matter_to_the_route() {
    let emulator = emulator().await;
    let courier = by_header(provider(&emulator));
    let server = Server::start(1, move |config| {
        config.app_data(web::PayloadConfig::new(1));
        courier.routes()(config);
    });
    let mut connection = server.connect().await;
    connection.send(post(4).as_bytes()).await;
    connection.send(b"body").await;
    assert_eq!(connection.answer().await.status, 200);
}
