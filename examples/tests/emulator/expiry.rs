//! What an expired token does.

use std::time::Duration;

use courier_auth_core::emulator::Fault;
use courier_auth_examples::emulator::{AtExpiry, Courier, Draft};
use serde_json::json;

use crate::{
    socket_client::Socket,
    user::{LIMIT, User, error, token, until},
};

/// The clock jumps, so that nobody has to wait.
fn an_hour_later(courier: &Courier) {
    let hour = Duration::from_secs(3600);
    courier.tokens().fail(Fault::ClockAhead(hour));
}

#[tokio::test]
async fn calls_are_refused_with_a_401() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    an_hour_later(&courier);
    let response = alice.post("/q", json!({ "query": "{ count }" })).await;
    assert_eq!(
        error(response).await,
        (401, "authentication_error".to_owned())
    );
}

#[tokio::test]
async fn open_sockets_are_closed_and_new_ones_refused() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    courier.configure(|settings| settings.at_expiry = AtExpiry::Close(4401));
    an_hour_later(&courier);
    let frame = socket.closed().await.unwrap();
    assert_eq!(u16::from(frame.code), 4401);
    let parameters = format!("auth={}&cid=c&iwpv=v1&userId=alice", alice.token);
    assert_eq!(
        Socket::connect(&courier, &parameters).await.err(),
        Some(401)
    );
}

#[tokio::test]
async fn a_busy_socket_is_closed_too() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    an_hour_later(&courier);
    let busy = async {
        loop {
            courier.send("alice", Draft::new("a", ""));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let frame = tokio::select! {
        frame = tokio::time::timeout(LIMIT, socket.closed()) => frame.unwrap(),
        () = busy => unreachable!(),
    };
    assert_eq!(u16::from(frame.unwrap().code), 1008);
}

#[tokio::test]
async fn open_sockets_stay_if_that_is_chosen() {
    let courier = Courier::start().await.unwrap();
    courier.configure(|settings| settings.at_expiry = AtExpiry::Stay);
    let mut alice = User::sign_in(&courier, "alice").await;
    let scope = "user_id:alice inbox:read:messages";
    alice.token = token(&courier, scope, "2s").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    until(|| courier.tokens().verify(&alice.token).is_err()).await;
    courier.send("alice", Draft::new("a", ""));
    assert_eq!(socket.hear().await["data"]["title"], "a");
    socket.hears_nothing().await;
}

#[tokio::test]
async fn a_token_without_end_closes_no_socket() {
    let courier = Courier::start().await.unwrap();
    courier.tokens().fail_next(1, Fault::NoExpiry);
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "1").await;
    an_hour_later(&courier);
    socket.hears_nothing().await;
}
