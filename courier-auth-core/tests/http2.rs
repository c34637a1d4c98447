//! HTTP/2, which Courier speaks: all calls share one connection.

#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "tls/certificate.rs"]
mod certificate;

use std::convert::Infallible;

use bytes::Bytes;
use certificate::Certificate;
use courier_auth_core::{CourierClient, TokenProvider, TokenRequest, emulator::Emulator};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, Version, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime,
    sync::watch,
};

/// A NAT or a load balancer forgot the connection and tells nobody.
#[tokio::test]
async fn a_connection_that_has_gone_silent_is_left() {
    let courier = Emulator::start().await.unwrap();
    let certificate = Certificate::new();
    let server = speak_http2(&certificate, courier.url()).await;
    let (port, silence) = wire(server).await;

    let client = CourierClient::builder(courier.api_key())
        .base_url(format!("https://localhost:{port}"))
        .root_certificate_pem(certificate.authority())
        .build()
        .unwrap();
    let issue = async |user| client.issue_token(&TokenRequest::for_user(user)).await;
    issue("before").await.unwrap();
    silence.send_modify(|times| *times += 1);
    issue("after").await.unwrap();
    assert_eq!(courier.token_requests(), 2);
}

/// Their calls share a connection, which belongs to the runtime that opened it: one call of the
/// client's on a worker that was busy from then on, and nobody got a token.
#[test]
fn a_client_on_a_runtime_that_stands_still_keeps_nobody_from_a_token() {
    let runtime = || {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (server, home) = (runtime(), runtime());
    let certificate = Certificate::new();
    let (courier, port) = server.block_on(async {
        let courier = Emulator::start().await.unwrap();
        let port = speak_http2(&certificate, courier.url()).await;
        (courier, port)
    });
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(format!("https://localhost:{port}"))
        .root_certificate_pem(certificate.authority())
        .runtime(home.handle().clone())
        .build()
        .unwrap();
    let worker = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let [alice, bob] = ["alice", "bob"].map(TokenRequest::for_user);
    worker
        .block_on(provider.client().issue_token(&bob))
        .unwrap();
    home.block_on(provider.token(&alice)).unwrap();
    assert_eq!(courier.token_requests(), 2);
    drop(worker);
}

/// Puts HTTP/2 over TLS in front of an emulator. Returns the port.
async fn speak_http2(certificate: &Certificate, emulator: &str) -> u16 {
    let acceptor = certificate.acceptor(&["h2"]);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let emulator = emulator.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            let emulator = emulator.clone();
            let forward = service_fn(move |request| forward(emulator.clone(), request));
            let server = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), forward));
        }
    });
    port
}

async fn forward(
    emulator: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let answer = reqwest::Client::new()
        .request(head.method, format!("{emulator}{}", head.uri.path()))
        .header("authorization", &head.headers["authorization"])
        .header("content-type", &head.headers["content-type"])
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    Ok(Response::builder()
        .status(status)
        .body(body.into())
        .unwrap())
}

/// A wire to this port, whose connections stay open and carry nothing any more when the number of
/// silences grows. New ones do.
async fn wire(to: u16) -> (u16, watch::Sender<u32>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (silence, heard) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut heard = heard.clone();
            heard.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = heard.changed() => std::future::pending().await,
                }
            });
        }
    });
    (port, silence)
}
