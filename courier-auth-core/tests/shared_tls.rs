//! TLS to Redis, in a process that has chosen no cryptography: a binary of its own for that.

#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "tls/certificate.rs"]
mod certificate;

use std::time::Duration;

use courier_auth_core::{RedisCache, SharedCache};
use rustls::crypto::CryptoProvider;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use self::certificate::Certificate;

#[tokio::test]
async fn redis_behind_tls_is_reached_if_its_authority_is_trusted() {
    assert!(CryptoProvider::get_default().is_none());
    let (port, authority) = listen().await;
    let url = format!("rediss://localhost:{port}");
    let get = async |cache: RedisCache| {
        let answer = timeout(Duration::from_secs(5), cache.get("key")).await;
        answer.expect("an end")
    };

    let strangers = RedisCache::new(&url).unwrap();
    let error = get(strangers).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    let trusting = RedisCache::new(&url)
        .unwrap()
        .only_root_certificate_pem(authority);
    assert_eq!(get(trusting.unwrap()).await.unwrap().unwrap(), b"value");
}

/// A server behind a certificate for `localhost` that answers the greeting, two commands, and then
/// each with a value. Returns its port and its authority.
async fn listen() -> (u16, String) {
    let certificate = Certificate::new();
    let acceptor = certificate.acceptor(&[]);

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client of the first half breaks the handshake off.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut seen = String::new();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
                for _ in seen.matches("SETINFO") {
                    stream.write_all(b"+OK\r\n").await.unwrap();
                }
                for _ in seen.matches("GET") {
                    stream.write_all(b"$5\r\nvalue\r\n").await.unwrap();
                }
                seen.clear();
            }
        }
    });
    (port, certificate.authority())
}
