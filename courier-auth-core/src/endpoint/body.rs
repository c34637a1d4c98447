use std::borrow::Cow;

use itoa::Buffer;

use crate::{
    client::Region,
    token::{Token, TokenId, is_plain},
};

/// The body of the answer that hands out a token, in one allocation of its exact size.
///
/// Written by hand because it is most of what a cached token costs: a serializer looks at each
/// byte of the token for what has to be escaped, and grows its buffer on the way.
pub(super) fn token_body(
    token: &Token,
    id: &TokenId,
    region: Region,
    expires_in: u64,
    refresh_in: u64,
) -> Vec<u8> {
    let text = |text| {
        if token.is_plain() {
            Cow::Borrowed(text)
        } else {
            escaped(text)
        }
    };
    let (user_id, jwt, unasked) = token.texts();
    let (user_id, unasked) = (text(user_id), text(unasked));
    let scopes = text(token.terms().scopes.as_str());
    let scope = match &*unasked {
        "" => ["user_id:", &user_id, " ", &scopes],
        scope => ["", "", "", scope],
    };
    let id = id.as_bytes();
    let region = region.as_str();
    let (mut left, mut next, mut end) = (Buffer::new(), Buffer::new(), Buffer::new());
    let (left, next) = (left.format(expires_in), next.format(refresh_in));
    let end = end.format(token.expires_at_s());

    let texts = jwt.len() + user_id.len() + id.len() + region.len();
    let scope_bytes: usize = scope.iter().map(|part| part.len()).sum();
    let numbers = left.len() + next.len() + end.len();
    let length = FRAME.len() + texts + scope_bytes + numbers;
    let mut body = Vec::with_capacity(length);
    // A token has no character that would have to be escaped.
    body.extend_from_slice(b"{\"token\":\"");
    body.extend_from_slice(jwt.as_bytes());
    body.extend_from_slice(b"\",\"user_id\":\"");
    body.extend_from_slice(user_id.as_bytes());
    body.extend_from_slice(b"\",\"scope\":\"");
    for part in scope {
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"\",\"expires_in\":");
    body.extend_from_slice(left.as_bytes());
    body.extend_from_slice(b",\"refresh_in\":");
    body.extend_from_slice(next.as_bytes());
    body.extend_from_slice(b",\"expires_at\":");
    body.extend_from_slice(end.as_bytes());
    body.extend_from_slice(b",\"token_id\":\"");
    body.extend_from_slice(id);
    body.extend_from_slice(b"\",\"region\":\"");
    body.extend_from_slice(region.as_bytes());
    body.extend_from_slice(b"\"}");
    debug_assert_eq!(body.len(), length);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        cache::clock::Clock, client::default_terms, request::TokenRequest, scope::Scope,
        token::Issued,
    };

    /// The body for a token that Courier says has this scope, read as JSON.
    fn body(request: &TokenRequest, scope: &str) -> Value {
        let grant = request.grant(&default_terms().unwrap()).unwrap();
        let clock = Clock::default();
        let claims = URL_SAFE_NO_PAD.encode(json!({ "scope": scope }).to_string());
        let issued = Issued::new(&grant.user_id, &format!("e30.{claims}.c2ln"), None);
        let token = Token::accept(issued, &grant, clock.now(), clock).unwrap();
        let text = token_body(&token, &token.id(), Region::Us, 3600, 3000);
        assert_eq!(text.len(), text.capacity());
        let body: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(body["token"], token.as_str());
        assert_eq!(body["token_id"], token.id().as_str());
        assert_eq!(
            (&body["expires_in"], &body["refresh_in"]),
            (&3600.into(), &3000.into())
        );
        assert_eq!(body["expires_at"], token.expires_at_s());
        body
    }

    /// An id may have quotes: what stands behind them must not become a field of its own.
    #[test]
    fn it_says_what_was_asked_for_and_what_courier_wrote_whatever_characters_these_have() {
        for odd in ["plain", r#"a","token":"b"#, r"a\", r"\u0041", "é</script>"] {
            let asked = TokenRequest::for_user(odd).scopes([Scope::new("x").unwrap()]);
            let found = body(&asked, &format!("user_id:{odd} x"));
            assert_eq!(found["user_id"], odd);
            assert_eq!(found["scope"], format!("user_id:{odd} x"));

            let asked = TokenRequest::for_user("alice").scopes([Scope::new(odd).unwrap()]);
            let scope = format!("user_id:alice {odd}");
            assert_eq!(body(&asked, &scope)["scope"], scope);

            let asked = TokenRequest::for_user("alice").lifetime(Duration::from_secs(60));
            let written = format!("user_id:alice y {odd}");
            assert_eq!(body(&asked, &written)["scope"], written);
        }
    }
}
