use std::borrow::Cow;

use itoa::Buffer;

use crate::{
    client::Region,
    token::{Token, is_plain},
};

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
    let text = |text| match token.is_plain() {
        true => Cow::Borrowed(text),
        false => escaped(text),
    };
    let user_id = text(token.user_id().as_str());
    let (unasked, scopes) = match token.unasked_scope() {
        Some(unasked) => (text(unasked), None),
        None => (Cow::Borrowed(""), Some(text(token.scopes().as_str()))),
    };
    let id = token.id();
    let id = id.as_str();
    let region = region.as_str();
    let (mut left, mut next, mut end) = (Buffer::new(), Buffer::new(), Buffer::new());
    let (left, next) = (left.format(expires_in), next.format(refresh_in));
    let end = end.format(token.expires_at_s());

    let scope_bytes = scopes.as_ref().map_or(unasked.len(), |scopes| {
        "user_id: ".len() + user_id.len() + scopes.len()
    });
    let texts = token.as_str().len() + user_id.len() + scope_bytes + id.len() + region.len();
    let mut body = String::with_capacity(FRAME.len() + texts + left.len() + next.len() + end.len());
    // A token has no character that would have to be escaped.
    body.push_str("{\"token\":\"");
    body.push_str(token.as_str());
    body.push_str("\",\"user_id\":\"");
    body.push_str(&user_id);
    body.push_str("\",\"scope\":\"");
    match &scopes {
        Some(scopes) => {
            body.push_str("user_id:");
            body.push_str(&user_id);
            body.push(' ');
            body.push_str(scopes);
        }
        None => body.push_str(&unasked),
    }
    body.push_str("\",\"expires_in\":");
    body.push_str(left);
    body.push_str(",\"refresh_in\":");
    body.push_str(next);
    body.push_str(",\"expires_at\":");
    body.push_str(end);
    body.push_str(",\"token_id\":\"");
    body.push_str(id);
    body.push_str("\",\"region\":\"");
    body.push_str(region);
    body.push_str("\"}");
    debug_assert_eq!(body.len(), body.capacity());
    body
}

/// Text as it stands between the quotes of JSON.
fn escaped(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let quoted = serde_json::Value::from(text).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

/// What of it is the same for all tokens.
const FRAME: &str = "{\"token\":\"\",\"user_id\":\"\",\"scope\":\"\",\"expires_in\":,\
                     \"refresh_in\":,\"expires_at\":,\"token_id\":\"\",\"region\":\"\"}";
