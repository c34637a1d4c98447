//! Its port and its connections.

use std::{
    io::{self, Read as _, Write as _},
    time::Duration,
};

use courier_auth_core::emulator::Emulator;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{bounded, connect, next_answer, raw_request, start};

// Which has all of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_listens_on_one_loopback_address() {
    let courier = start().await;
    let (_, port) = courier.url().rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err());
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let courier = start().await;
    let mut stream = connect(&courier).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(raw_request(&courier).as_bytes())
            .await
            .unwrap();
        let answer = next_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(courier.token_requests(), 3);
}

#[tokio::test]
async fn a_dropped_server_closes_port_and_connections() {
    let courier = start().await;
    let mut open = connect(&courier).await.unwrap();
    open.write_all(raw_request(&courier).as_bytes())
        .await
        .unwrap();
    next_answer(&mut open).await;
    let address = courier.url().strip_prefix("http://").unwrap().to_owned();
    let emulator = courier.emulator().clone();

    drop(courier);
    let refused = async { while TcpStream::connect(&address).await.is_ok() {} };
    bounded(refused).await;
    let rest = bounded(open.read(&mut [0; 1])).await;
    assert!(matches!(rest, Ok(0) | Err(_)));
    assert_eq!(
        emulator.token_requests(),
        1,
        "a handle to the emulator outlives the listener"
    );
}

#[tokio::test]
async fn a_port_is_taken_once_and_free_after_shutdown() {
    let courier = start().await;
    let port = courier.url().rsplit(':').next().unwrap().parse().unwrap();
    let taken = Emulator::new().serve(port).await;
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    courier.shutdown().await;
    let again = Emulator::new().serve(port).await.unwrap();
    assert_eq!(again.url(), format!("http://127.0.0.1:{port}"));
}

/// As in a plain `#[test]` that keeps a runtime.
#[test]
fn it_answers_while_its_runtime_runs() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let courier = runtime.block_on(start());
    let address = courier.url().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(raw_request(&courier).as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
