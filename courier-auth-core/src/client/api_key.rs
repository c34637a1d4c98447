use reqwest::header::HeaderValue;
#[cfg(feature = "shared-cache")]
use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::configuration;
use crate::error::Error;

/// The workspace's API key, checked, and the header that carries it.
pub(super) struct ApiKey {
    pub(super) secret: SecretString,
    pub(super) header: HeaderValue,
}

impl ApiKey {
    pub(super) fn new(key: String, name: &str) -> Result<Self, Error> {
        let problem = if key.is_empty() {
            "is empty"
        } else if key.starts_with("COURIER_API_KEY=") {
            "begins with `COURIER_API_KEY=`, the name of the variable, which is no part of it"
        } else if key.starts_with("${") {
            "is a placeholder that nothing has filled in"
        } else if key.chars().any(char::is_whitespace) {
            "contains whitespace; was a line break copied with it?"
        } else if is_quoted(&key) {
            "has quotes around it, which are not part of it"
        } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            "contains characters that no API key has"
        } else {
            let header = bearer(&key)
                .ok_or_else(|| configuration(format!("{name} cannot be sent in a header")))?;
            return Ok(Self {
                secret: key.into(),
                header,
            });
        };
        Err(configuration(format!("{name} {problem}")))
    }
}

/// What carries a secret, marked so that no log of the HTTP client and no table of a compression has
/// it.
pub(super) fn bearer(secret: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {secret}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Whether this could be an API key.
#[cfg(feature = "shared-cache")]
pub(crate) fn check_api_key(key: &SecretString, name: &str) -> Result<(), Error> {
    ApiKey::new(key.expose_secret().to_owned(), name).map(|_key| ())
}

/// Whether a setting has quotes around it: some readers of `.env` files leave them in place.
pub(crate) fn is_quoted(setting: &str) -> bool {
    let quotes = ['"', '\''];
    setting.starts_with(quotes) || setting.ends_with(quotes)
}

/// What the key is called where it did not come from the environment.
pub(super) const API_KEY_NAME: &str = "the Courier API key";

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_secret_on_its_way_is_marked_as_one() {
        let header = bearer("pk_test");
        assert!(header.is_some_and(|header| header.is_sensitive()));
    }
}
