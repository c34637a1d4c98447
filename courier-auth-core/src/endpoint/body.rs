use std::borrow::Cow;

use itoa::Buffer;

use crate::{client::Region, token::Token};

/// The body of the answer that hands out a token, in one allocation of its exact size.
///
/// Written by hand because it is most of what a cached token costs: a serializer looks at each
/// byte of the token for what has to be escaped, and grows its buffer on the way.
pub(super) fn token_body(
    token: &Token,
    region: Region,
    expires_in: u64,
    refresh_in: u64,
) -> String {
    let user_id = escaped(token.user_id().as_str());
    let id = token.id();
    let (mut expires_in_text, mut refresh_in_text, mut expires_at_text) =
        (Buffer::new(), Buffer::new(), Buffer::new());
    let unasked = token.unasked_scope().map(escaped);
    let scope = match &unasked {
        Some(scope) => ["", scope, "", ""],
        None => ["user_id:", &user_id, " ", &escaped(token.scopes().as_str())],
    };
    let parts = [
        // A token has no character that would have to be escaped.
        "{\"token\":\"",
        token.as_str(),
        "\",\"user_id\":\"",
        &user_id,
        "\",\"scope\":\"",
        scope[0],
        scope[1],
        scope[2],
        scope[3],
        "\",\"expires_in\":",
        expires_in_text.format(expires_in),
        ",\"refresh_in\":",
        refresh_in_text.format(refresh_in),
        ",\"expires_at\":",
        expires_at_text.format(token.expires_at_s()),
        ",\"token_id\":\"",
        id.as_str(),
        "\",\"region\":\"",
        region.as_str(),
        "\"}",
    ];
    parts.concat()
}

/// Text as it stands between the quotes of JSON.
fn escaped(text: &str) -> Cow<'_, str> {
    // All bytes, instead of up to the first that is special: the compiler does many at a time.
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if !text.bytes().fold(false, |any, byte| any | special(byte)) {
        return Cow::Borrowed(text);
    }
    let quoted = serde_json::Value::from(text).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}
