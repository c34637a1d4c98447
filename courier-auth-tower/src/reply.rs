use axum_core::{body::Body, response::Response};
use courier_auth_core::Reply;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_LENGTH};

/// The endpoint's answer as a response.
pub(crate) fn response(reply: Reply) -> Response {
    // For these and what the app's own layers add.
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    for (name, value) in reply.fixed_headers() {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    for (name, value) in reply.own_headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(HeaderName::from_static(name), value);
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

const MOST_HEADERS: usize = 12;
