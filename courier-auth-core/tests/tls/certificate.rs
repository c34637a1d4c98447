use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost` from an authority that nobody trusts yet.
pub(crate) struct Certificate {
    authority: String,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        Self::until(4096)
    }

    /// One that is good until this year.
    pub(crate) fn until(year: i32) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        Self {
            certificate: params.signed_by(&key, &authority).unwrap(),
            authority: authority.pem(),
            key,
        }
    }

    /// One that is its own authority, as `openssl req -x509` makes it.
    pub(crate) fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            authority: certificate.pem(),
            certificate,
            key,
        }
    }

    /// The certificate of the authority, as PEM.
    pub(crate) fn authority(&self) -> String {
        self.authority.clone()
    }

    /// The certificate and its key, as PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    /// What a server with this certificate does with a connection. It offers these protocols, or
    /// none.
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate.der().clone()], key)
                .unwrap();
        config.alpn_protocols = protocols.iter().map(|&name| name.into()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
