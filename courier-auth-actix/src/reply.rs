use std::{borrow::Cow, convert::Infallible, sync::OnceLock, time::Duration};

use actix_web::{
    HttpResponse,
    body::{self, BoxBody, SizedStream},
    dev::Payload,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, ETAG, HeaderName, HeaderValue, RETRY_AFTER},
    },
    rt::time::timeout,
    web::Bytes,
};
use courier_auth_core::endpoint::Reply;
use futures_util::{StreamExt, stream};

pub(crate) fn to_response(reply: Reply) -> HttpResponse {
    let fixed = reply.fixed_headers();
    finish(reply, fixed.map(|(name, value)| typed(name, value)))
}

/// The headers that all tokens' answers of an endpoint have. To check their names and values anew
/// would be most of what such an answer costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenHeaders(OnceLock<Vec<Typed>>);

impl TokenHeaders {
    /// As [`to_response`], faster for a token.
    pub(crate) fn to_response(&self, reply: Reply) -> HttpResponse {
        if reply.status() != 200 {
            return to_response(reply);
        }
        let fixed = || {
            reply
                .fixed_headers()
                .map(|(name, value)| typed(name, value))
        };
        let headers = self.0.get_or_init(|| fixed().collect());
        debug_assert!(fixed().eq(headers.iter().cloned()));
        finish(reply, headers.iter().cloned())
    }
}

type Typed = (HeaderName, HeaderValue);

fn typed(name: &'static str, value: &'static str) -> Typed {
    (
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}

fn finish(reply: Reply, fixed: impl Iterator<Item = Typed>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status());
    let mut response = HttpResponse::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, value);
    }
    for (name, value) in reply.own_headers() {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(known(name), value);
        }
    }
    let length = reply.content_length();
    let body = reply.into_body();
    let body = match length {
        None => BoxBody::new(body::None::new()),
        // HEAD: actix-web takes the length from the body and from nowhere else.
        Some(length) if length > 0 && body.is_empty() => {
            let nothing = stream::empty::<Result<Bytes, Infallible>>();
            BoxBody::new(SizedStream::new(length as u64, nothing))
        }
        Some(_) => BoxBody::new(match body {
            Cow::Borrowed(body) => Bytes::from_static(body),
            Cow::Owned(body) => Bytes::from(body),
        }),
    };
    response.set_body(body)
}

/// The two that there are without a look at their characters.
fn known(name: &'static str) -> HeaderName {
    match name {
        "etag" => ETAG,
        "retry-after" => RETRY_AFTER,
        other => HeaderName::from_static(other),
    }
}

/// The app's own error response is left as it is, except that no cache may keep what a token's
/// path answers.
pub(crate) fn no_store(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Reads what is left of a body that nobody needs: actix-web closes a connection on which a body
/// was left unread.
pub(crate) async fn drain(mut payload: Payload) {
    if matches!(payload, Payload::None) {
        return;
    }
    let all = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(chunk)) = payload.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Too long or too slow: the connection closes after the answer, that is all.
    let _elapsed = timeout(DRAIN_TIME, all).await;
}

/// More than a script posts to an endpoint that reads no body.
const DRAIN_BYTES: usize = 8 * 1024;
/// The answer waits for the body, but not for one that does not come. As long as actix-web itself
/// waits for a client to hang up.
const DRAIN_TIME: Duration = Duration::from_secs(1);
