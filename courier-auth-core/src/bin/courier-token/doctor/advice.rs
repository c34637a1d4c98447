//! What to do about it.

use courier_auth_core::{Error, ErrorKind};
use secrecy::ExposeSecret;

use super::check::Check;
use crate::{connection::Key, failure::USAGE};

pub(super) const KEY: &str =
    "Copy it again, whole and without quotes (in Courier: Settings, API Keys).";
pub(super) const BASE_URL: &str = "Courier itself needs no base URL: leave out --base-url and COURIER_BASE_URL, and in the EU give \
     --region eu. That of an emulator or gateway begins with https://, or takes --danger-allow-http \
     if it is not on this machine.";
pub(super) const ROOT_CERTIFICATE: &str = "--root-certificate takes a file in PEM: text, with `-----BEGIN CERTIFICATE-----` in it. Leave it \
     out if nothing in between shows a certificate of its own.";
pub(super) const AUTHORITIES: &str = "Install ca-certificates, as with `apt-get install ca-certificates`, or name a file of them in \
     SSL_CERT_FILE.";

pub(super) const INSPECTION: &str = "It was issued just now, for five minutes: if it is not what was asked for, Courier or what is \
     in between has changed it.";

/// Whether this looks like an API key. Nothing of it is repeated.
pub(super) fn shape(key: &Key) -> Check {
    let text = key.secret.expose_secret();
    let failed = |code, message: &str| Check::failed("api-key", code, USAGE, message).help(KEY);
    if text.starts_with("eyJ") && text.contains('.') {
        return failed(
            "api-key-is-a-token",
            "This is a token and not an API key: tokens are what the key is there to get.",
        );
    }
    if text.starts_with(['$', '<', '{']) {
        return failed(
            "api-key-placeholder",
            "This is a placeholder: whatever was to fill in the key did not.",
        );
    }
    if !text.starts_with("pk_") {
        return Check::warning(
            "api-key",
            "api-key-unusual",
            format!(
                "The key from {} does not begin with `pk_`, as Courier's do.",
                key.origin
            ),
        )
        .help("See that it is the API key, and not the client key or one of another service.");
    }
    Check::good("api-key", format!("from {}", key.origin))
}

/// A code for why no token was issued, and what helps.
pub(super) fn refusal(error: &Error) -> (&'static str, &'static [&'static str]) {
    match (error.kind(), error.status()) {
        (ErrorKind::ApiKeyRefused, Some(403)) => (
            "key-forbidden",
            &[
                "The key is known, and may not do this: see what it is allowed to in Courier \
                 (Settings, API Keys).",
                "A gateway or firewall in between answers 403 too.",
            ],
        ),
        (ErrorKind::ApiKeyRefused, _) => (
            "key-refused",
            &[
                "Wrong key: copy it again, whole (in Courier: Settings, API Keys). It may have been \
                 replaced or revoked.",
                "Wrong region: a workspace in the EU is known at https://api.eu.courier.com alone; \
                 try --region eu, or without.",
                "Wrong environment: test and production have keys of their own, and so has each \
                 workspace. Is it the one in which the messages are sent?",
            ],
        ),
        (ErrorKind::RateLimited, _) => (
            "rate-limited",
            &[
                "Wait for a minute. If it stays so, look for what asks Courier for a token on each \
                 page view; this crate asks once per user and lifetime.",
            ],
        ),
        (ErrorKind::Timeout, _) => (
            "timeout",
            &[
                "The connection works, and this call gets no answer: see Courier's status page, \
               and what is in between.",
            ],
        ),
        (ErrorKind::Unavailable, _) => (
            "courier-unavailable",
            &[
                "See Courier's status page. Apps with this crate go on serving the tokens they \
               have.",
            ],
        ),
        (ErrorKind::RequestRefused, _) => (
            "request-refused",
            &[
                "The key was not the matter: see that the base URL is that of Courier's API, with no \
               path of its own.",
            ],
        ),
        (ErrorKind::InvalidResponse, _) => (
            "invalid-response",
            &[
                "Something else than Courier answers, or changes what Courier answers: see the base \
               URL and what is in between, such as a proxy's login page.",
            ],
        ),
        (ErrorKind::InvalidInput, _) => ("user-id-invalid", &["Give another id to --user."]),
        _ => ("not-issued", &[]),
    }
}
