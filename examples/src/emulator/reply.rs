//! Answers, as axum sends them.

use std::{io, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use courier_auth_core::emulator::{Answer, Ending};
use futures_util::{StreamExt, stream};
use serde_json::Value;

/// JSON with this status.
pub(super) fn json(status: u16, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (code(status), headers, body.to_string()).into_response()
}

/// This status and no body.
pub(super) fn empty(status: u16) -> Response {
    code(status).into_response()
}

/// Courier's error body with this status.
pub(super) fn error(status: u16, message: &str) -> Response {
    complete(&Answer::error(status, message))
}

/// What a proxy's login page looks like to a client.
pub(super) fn html() -> Response {
    Html("<html><body>Please sign in</body></html>").into_response()
}

/// An answer of the core's emulator, carried out as far as this can be done from behind a router. For what it cannot,
/// see [`Broken`].
pub(super) async fn carry_out(answer: Answer) -> Response {
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    match answer.ending {
        Ending::Complete => complete(&answer),
        // hyper notices when the client leaves, and ends this.
        Ending::Hang => std::future::pending().await,
        Ending::TruncatedBody => {
            let half = answer.body.len() / 2;
            let pieces = vec![
                Ok(Bytes::copy_from_slice(&answer.body[..half])),
                Err(io::Error::other("torn")),
            ];
            // hyper sends what it has while it waits, and drops it at an error.
            let pieces = stream::iter(pieces).then(async |piece| {
                tokio::task::yield_now().await;
                piece
            });
            in_pieces(&answer, Body::from_stream(pieces))
        }
        Ending::SlowBody(time) => {
            let size = answer.body.len().div_ceil(PIECES as usize).max(1);
            let pieces: Vec<_> = answer
                .body
                .chunks(size)
                .map(Bytes::copy_from_slice)
                .collect();
            let slowly = stream::iter(pieces).then(move |piece| slowly(piece, time / PIECES));
            in_pieces(&answer, Body::from_stream(slowly))
        }
        _ => {
            let mut response = Response::default();
            response.extensions_mut().insert(Broken);
            response
        }
    }
}

/// A mark on a response that is not to be sent: the connection is closed instead, without a byte. That is what becomes
/// of a reset and of a torn head, as the stream is hyper's by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken;

async fn slowly(piece: Bytes, pause: Duration) -> io::Result<Bytes> {
    tokio::time::sleep(pause).await;
    Ok(piece)
}

/// With the length of the whole, as for a body that is sent at once.
fn in_pieces(answer: &Answer, body: Body) -> Response {
    let mut response = complete(answer).map(|_| body);
    let length = HeaderValue::from(answer.body.len());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// What cannot be sent (a status of 1000, a line break in a header) is left out: only a fault can ask for it.
fn complete(answer: &Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = code(answer.status);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

const PIECES: u32 = 8;
