#[expect(dead_code, reason = "what other tests need of it")]
#[path = "certificate.rs"]
mod certificate;

use courier_auth_core::emulator::EmulatorServer;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::certificate::Certificate;

/// Puts TLS in front of the emulator, with a certificate for `localhost`. Returns its address and
/// the certificate of the authority that issued it.
pub(crate) async fn behind_tls(courier: &EmulatorServer) -> (String, String) {
    behind(Certificate::new(), courier).await
}

/// The same with this certificate.
pub(crate) async fn behind(certificate: Certificate, courier: &EmulatorServer) -> (String, String) {
    let acceptor = certificate.acceptor(&[]);

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let inner = courier.url().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust it breaks the handshake off.
            if let Ok(mut outer) = acceptor.accept(stream).await {
                let mut inner = TcpStream::connect(&inner).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        }
    });
    (format!("https://localhost:{port}"), certificate.authority())
}
