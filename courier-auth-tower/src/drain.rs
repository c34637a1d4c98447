use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Buf;
use http_body::Body;
use tokio::{runtime::Handle, time::timeout};

/// Reads a small body that means nothing to us to its end.
///
/// hyper answers a request whose body was not read all the same, but then closes the connection
/// without saying so, unless the body came in the same packet as the head. A proxy that keeps
/// connections takes that for a failure of its next request. What is longer than a client that
/// means well would send, or does not come, is not waited for, and costs it the connection.
pub(crate) async fn drain(body: impl Body) {
    if body.is_end_stream() || body.size_hint().lower() > LIMIT {
        return;
    }
    // Off Tokio there is no timer, and no hyper either.
    if Handle::try_current().is_ok() {
        let _elapsed = timeout(PATIENCE, read(body)).await;
    }
}

async fn read(body: impl Body) {
    let mut body = pin!(body);
    let mut seen = 0;
    while seen <= LIMIT && !body.is_end_stream() {
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            Some(Ok(frame)) => seen += frame.data_ref().map_or(0, |data| data.remaining() as u64),
            Some(Err(_)) | None => return,
        }
    }
}

const LIMIT: u64 = 8 * 1024;
/// The answer waits for the body, but not for one that does not come.
const PATIENCE: Duration = Duration::from_secs(1);
