//! Courier goes down for a while: who has a good token does not notice, who has none is told when
//! to come back, and all recover.

use std::time::Duration;

use courier_auth_core::emulator::Fault;

use crate::{
    drill::Drill,
    endpoint::{Seen, USER_HEADER},
    support::{Server, TOKEN, by_header, head},
};

#[actix_web::test]
async fn courier_answers_503_when_tokens_come_due() {
    drill(Duration::from_secs(12), Fault::status(503)).await;
}

#[actix_web::test]
async fn courier_hangs() {
    drill(Duration::ZERO, Fault::Hang).await;
}

async fn drill(age: Duration, down: Fault) {
    let drill = Drill::new().await;
    let server = Server::with(&by_header(drill.provider.clone()));
    let ask = async |user: &str| {
        let answer = server
            .ask(&head("GET", TOKEN, &[(USER_HEADER, user)]))
            .await;
        Seen {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        }
    };
    drill.run(age, down, ask).await;
}
