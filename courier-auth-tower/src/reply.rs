use axum_core::{body::Body, response::Response};
use courier_auth_core::Reply;
use http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_LENGTH};

/// The endpoint's answer as a response.
pub(crate) fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in reply.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    // Said and not left to the server, which for HEAD sees an empty body.
    if let Some(length) = reply.content_length() {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::from(reply.into_body());
    response
}
