use std::sync::OnceLock;

use axum_core::{body::Body, response::Response};
use courier_auth_core::endpoint::Reply;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, ETAG, RETRY_AFTER},
};

/// The endpoint's answer as a response.
pub(crate) fn response(reply: Reply) -> Response {
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    append_fixed(&mut headers, &reply);
    finish(reply, headers)
}

/// The headers that all tokens' answers of an endpoint have, which are most of what such an answer
/// costs: a copy of a finished map takes a fraction of the time.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenHeaders(OnceLock<HeaderMap>);

impl TokenHeaders {
    /// As [`response`], faster for a token.
    pub(crate) fn response(&self, reply: Reply) -> Response {
        if reply.status() != 200 {
            return response(reply);
        }
        let headers = self.0.get_or_init(|| {
            let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
            append_fixed(&mut headers, &reply);
            // Their places, so that a copy need not grow.
            headers.insert(ETAG, HeaderValue::from_static(""));
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static(""));
            headers
        });
        debug_assert!(
            reply
                .fixed_headers()
                .all(|(name, value)| headers.get_all(name).iter().any(|known| known == value)),
        );
        finish(reply, headers.clone())
    }
}

fn append_fixed(headers: &mut HeaderMap, reply: &Reply) {
    for (name, value) in reply.fixed_headers() {
        let value = HeaderValue::from_static(value);
        headers.append(HeaderName::from_static(name), value);
    }
}

fn finish(reply: Reply, mut headers: HeaderMap) -> Response {
    for (name, value) in reply.own_headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(known(name), value);
        }
    }
    // Said and not left to the server, which for HEAD sees an empty body.
    if let Some(length) = reply.content_length() {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let status = StatusCode::from_u16(reply.status());
    let mut response = Response::new(Body::from(reply.into_body()));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// The two that there are without a look at their characters.
fn known(name: &'static str) -> HeaderName {
    match name {
        "etag" => ETAG,
        "retry-after" => RETRY_AFTER,
        other => HeaderName::from_static(other),
    }
}

/// These and some that the app's own layers add.
const MOST_HEADERS: usize = 12;
