//! A certificate authority of one's own, as behind a TLS-inspecting proxy.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "tls/server.rs"]
mod server;

use courier_auth_core::{CourierClient, ErrorKind, TokenRequest, emulator::Emulator};
use server::behind_tls;

#[tokio::test]
async fn a_root_certificate_of_ones_own_is_trusted_if_it_is_given() {
    let courier = Emulator::start().await.unwrap();
    let (url, authority) = behind_tls(&courier).await;
    let client = || CourierClient::builder(courier.api_key()).base_url(&url);
    let request = TokenRequest::for_user("user-1");

    let strangers = client().build().unwrap();
    let error = strangers.issue_token(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(courier.token_requests(), 0);

    let trusting = client().root_certificate_pem(authority).build().unwrap();
    let token = trusting.issue_token(&request).await.unwrap();
    assert!(courier.verify(token.as_str()).is_ok());
}
