//! They sign in anybody, so nobody but this machine reaches them.

// Which has all of 127.0.0.0/8.
#![cfg(target_os = "linux")]

use std::net::TcpStream;

use crate::{for_each_example, process::Example};

for_each_example!(on_one_loopback_address);

#[cfg(feature = "inbox")]
#[tokio::test]
async fn courier_emulator() {
    on_one_loopback_address(env!("CARGO_BIN_EXE_courier-emulator")).await;
}

async fn on_one_loopback_address(binary: &str) {
    let mut example = Example::start(binary, &[]).await;
    let (_, port) = example.url.rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    example.end().await;
}
