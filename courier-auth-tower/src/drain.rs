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

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use bytes::Bytes;
    use http_body::{Frame, SizeHint};

    use super::*;

    /// Whatever it announces, there is always more of it.
    struct Endless<'a> {
        announced: u64,
        frames: &'a mut usize,
    }

    impl Body for Endless<'_> {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            *self.frames += 1;
            assert!(*self.frames < 100, "it is read for ever");
            let frame = Frame::data(Bytes::from_static(&[b'x'; 1024]));
            Poll::Ready(Some(Ok(frame)))
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(self.announced);
            hint
        }
    }

    async fn frames_read(announced: u64) -> usize {
        let mut frames = 0;
        drain(Endless {
            announced,
            frames: &mut frames,
        })
        .await;
        frames
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        assert_eq!(frames_read(0).await, 9);
        assert_eq!(frames_read(LIMIT).await, 9);
    }

    #[tokio::test]
    async fn of_one_that_is_announced_as_longer_nothing_is_read() {
        assert_eq!(frames_read(LIMIT + 1).await, 0);
    }
}
