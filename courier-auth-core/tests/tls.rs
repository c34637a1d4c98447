//! A certificate authority of one's own, as behind a TLS-inspecting proxy.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use courier_auth_core::{
    CourierClient, ErrorKind, TokenRequest,
    emulator::{Emulator, EmulatorServer},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_root_certificate_of_ones_own_is_trusted_if_it_is_given() {
    let courier = Emulator::start().await.unwrap();
    let (url, authority) = behind_tls(&courier).await;
    let client = || CourierClient::builder(courier.api_key()).base_url(&url);
    let request = TokenRequest::for_user("user-1");

    let strangers = client().build().unwrap();
    let error = strangers.issue_token(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(courier.issued(), 0);

    let trusting = client().root_certificate_pem(authority).build().unwrap();
    let token = trusting.issue_token(&request).await.unwrap();
    assert!(courier.verify(token.as_str()).is_ok());
}

/// Puts TLS in front of the emulator, with a certificate for `localhost`. Returns its address and
/// the certificate of the authority that issued it.
async fn behind_tls(courier: &EmulatorServer) -> (String, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();

    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let inner = courier.url().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client of the first half breaks the handshake off.
            if let Ok(mut outer) = acceptor.accept(stream).await {
                let mut inner = TcpStream::connect(&inner).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        }
    });
    (format!("https://localhost:{port}"), authority.pem())
}
