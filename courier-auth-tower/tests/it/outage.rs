//! Courier goes down for a while: who has a good token does not notice, who has none is told when
//! to come back, and all recover.

use std::time::Duration;

use axum::Router;
use courier_auth_core::emulator::Fault;
use courier_auth_tower::CourierAuthLayer;

use crate::{
    app::{serve, user_header},
    contract::pairs,
    drill::Drill,
    endpoint::{Seen, USER_HEADER},
};

#[tokio::test]
async fn courier_answers_503_when_tokens_come_due() {
    drill(Duration::from_secs(12), Fault::status(503)).await;
}

#[tokio::test]
async fn courier_hangs() {
    drill(Duration::ZERO, Fault::Hang).await;
}

async fn drill(age: Duration, down: Fault) {
    let drill = Drill::new().await;
    let layer = CourierAuthLayer::new(drill.provider.clone(), user_header);
    let address = serve(Router::new().layer(layer)).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |user: &str| {
        let request = client.get(format!("http://{address}/courier/token"));
        let response = request.header(USER_HEADER, user).send().await.unwrap();
        Seen {
            status: response.status().as_u16(),
            headers: pairs(response.headers()),
            body: response.text().await.unwrap(),
        }
    };
    drill.run(age, down, ask).await;
}
