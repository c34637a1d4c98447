//! How often Courier is asked, whatever callers and runtimes do.

use std::time::Duration;

use axum::{Router, http::StatusCode};
use courier_auth_core::emulator::Fault;
use courier_auth_tower::{CourierAuthLayer, TokenProvider};
use futures_util::future::join_all;
use tokio::{io::AsyncWriteExt, net::TcpStream, runtime};

use crate::app::{by_header, called, courier, get, send, serve, user_header, within};

const OVERLAP: Fault = Fault::Latency(Duration::from_millis(300));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_first_requests_of_one_user_are_one_call() {
    let courier = courier().await;
    courier.fail(OVERLAP);
    let address = serve(Router::new().layer(by_header(&courier))).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{address}/courier/token");
    let answers = join_all((0..200).map(|_| async {
        let request = client.get(&url).header("x-test-user", "user-1");
        let response = within(request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }))
    .await;
    let token =
        |body: &String| serde_json::from_str::<serde_json::Value>(body).unwrap()["token"].clone();
    assert!(answers.iter().all(|body| token(body) == token(&answers[0])));
    assert_eq!(courier.token_requests(), 1);
}

#[tokio::test]
async fn who_hangs_up_leaves_the_token_for_the_next() {
    let courier = courier().await;
    courier.fail(OVERLAP);
    let app = Router::new().layer(by_header(&courier));
    let address = serve(app.clone()).await;
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller
        .write_all(b"GET /courier/token HTTP/1.1\r\nhost: x\r\nx-test-user: user-1\r\n\r\n")
        .await
        .unwrap();
    called(&courier, 1).await;
    drop(caller);
    assert!(send(app, get("/courier/token")).await.user().is_some());
    assert_eq!(courier.token_requests(), 1);
}

#[tokio::test]
async fn a_caller_that_is_aborted_leaves_the_token_for_the_next() {
    let courier = courier().await;
    courier.fail(OVERLAP);
    let app: Router = Router::new().layer(by_header(&courier));
    let caller = tokio::spawn(send(app.clone(), get("/courier/token")));
    called(&courier, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(send(app, get("/courier/token")).await.user().is_some());
    assert_eq!(courier.token_requests(), 1);
}

#[test]
fn the_runtime_that_asked_courier_goes_away() {
    let own = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let courier = own.block_on(courier());
    courier.fail_next(1, Fault::Hang);
    // Built outside any runtime: the first caller's is used.
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap();
    let app: Router = Router::new().layer(CourierAuthLayer::new(provider, user_header));
    let worker = || {
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };

    let first = worker();
    first.block_on(async {
        tokio::select! {
            _ = send(app.clone(), get("/courier/token")) => panic!("Courier hangs"),
            () = called(&courier, 1) => {}
        }
    });
    drop(first);

    let next = worker().block_on(send(app, get("/courier/token")));
    assert_eq!(next.user().unwrap(), "user-1");
    assert_eq!(courier.token_requests(), 2);
}
