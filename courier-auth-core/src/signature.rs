use std::fmt::Write as _;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

use crate::error::{Error, ErrorKind};

/// The `userSignature` of Courier's web SDKs up to version 7: HMAC-SHA256 of the user's id with the
/// API key, in lower-case hexadecimal.
///
/// Courier has deprecated it, and newer SDKs (`@trycourier/courier-react` from version 8,
/// `@trycourier/courier-ui-inbox`) do not accept it. It never expires, does not limit what its holder may
/// do, and becomes invalid for all users at once when the API key is changed.
///
/// To migrate: add this crate's token route, update the SDK, and give its `signIn` the `user_id` and
/// the `token` from there in place of `userId`, `userSignature` and the client key. Version 7 takes
/// the same token as `authorization` of `CourierProvider`, so that the backend can go first. When no
/// page asks for a signature any more, replace the API key: that invalidates the existing ones.
///
/// Call it only on the server, and only for the user of your own session.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] when the API key is empty, with which anybody could sign, and
/// [`ErrorKind::InvalidInput`] when the user id is.
///
/// ```
/// # #![expect(deprecated, reason = "an example of it")]
/// use courier_auth_core::user_signature;
///
/// let signature = user_signature("test-auth-token", "user-123")?;
/// assert_eq!(signature, "9c55f046180da9bbab3f926527492f4d3ff4834b869d54563dc995012d62db10");
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
#[deprecated(
    note = "Courier has deprecated user signatures: hand out tokens with `TokenProvider` instead"
)]
pub fn user_signature(api_key: &str, user_id: &str) -> Result<String, Error> {
    if api_key.is_empty() {
        return Err(Error::new(
            ErrorKind::Configuration,
            "the Courier API key is empty, and a signature with it could be anybody's",
        ));
    }
    if user_id.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the user id is empty; nothing was signed",
        ));
    }
    let key = Key::new(HMAC_SHA256, api_key.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in sign(&key, user_id.as_bytes()).as_ref() {
        // Writing into a string does not fail.
        let _written = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    #![expect(deprecated, reason = "it is what is tested")]

    use super::user_signature;
    use crate::error::ErrorKind;

    /// Made with node's `crypto` and with Python's `hmac`, which agree.
    #[test]
    fn signatures_are_those_of_node_and_python() {
        for (key, user, signature) in [
            (
                "test-auth-token",
                "user-123",
                "9c55f046180da9bbab3f926527492f4d3ff4834b869d54563dc995012d62db10",
            ),
            (
                "pk_test_EXAMPLE0000000000000000000000",
                "AzureDiamond",
                "76edf86403c6348c16377be321a3bb7a3c0712884338da34c595dcc25f810338",
            ),
            (
                "pk_test_ключ",
                "ユーザー:1",
                "8e47b49efbc8d181bc7b52f8d68283a58aa96b1c381495b1cfaa4372015bdc33",
            ),
        ] {
            let signed = user_signature(key, user);
            assert_eq!(signed.ok().as_deref(), Some(signature), "{user}");
        }
    }

    #[test]
    fn a_signature_of_nothing_or_with_nothing_is_refused() {
        let kind = |key, user| user_signature(key, user).map_err(|error| error.kind());
        assert_eq!(kind("", "user-1"), Err(ErrorKind::Configuration));
        assert_eq!(kind("pk_test", ""), Err(ErrorKind::InvalidInput));
    }
}
