use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum_core::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response as InnerResponse;
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;

pin_project! {
    /// The future of [`CourierAuthService`](crate::CourierAuthService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Inner {
            #[pin]
            future: F,
        },
        Answer {
            future: BoxFuture<'static, Response>,
        },
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn inner(future: F) -> Self {
        Self {
            kind: Kind::Inner { future },
        }
    }

    pub(crate) fn answer(future: BoxFuture<'static, Response>) -> Self {
        Self {
            kind: Kind::Answer { future },
        }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<InnerResponse<R>, E>>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            // A body of axum's own stays what it is.
            KindProj::Inner { future } => future.poll(cx).map_ok(|inner| inner.map(Body::new)),
            KindProj::Answer { future } => future.as_mut().poll(cx).map(Ok),
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
