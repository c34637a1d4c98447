use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use axum_core::{BoxError, response::Response};
use bytes::Bytes;
use http::{Method, Request, Response as InnerResponse};
use http_body::Body;
use tower_service::Service;

use crate::{
    courier::{Courier, Handle, Path},
    future::ResponseFuture,
};

/// The service that [`CourierAuthLayer`](crate::CourierAuthLayer) makes of another.
///
/// It decides by method and path alone whether to answer itself, and passes on what is not for it
/// with nothing but an entry in its extensions for the extractor, and
/// [without it](crate::CourierAuthLayer::without_extractor) as it is: no clone of the inner service,
/// no allocation, the same error type. Responses have axum's [`Body`](axum_core::body::Body); one of
/// another type is put into a box.
#[derive(Clone)]
#[must_use = "a service does nothing until it is called"]
pub struct CourierAuthService<S> {
    inner: S,
    courier: Arc<Courier>,
    prefix: Option<Arc<str>>,
    extractor: bool,
}

impl<S> CourierAuthService<S> {
    pub(crate) fn new(
        inner: S,
        courier: Arc<Courier>,
        prefix: Option<Arc<str>>,
        extractor: bool,
    ) -> Self {
        Self {
            inner,
            courier,
            prefix,
            extractor,
        }
    }

    /// `OPTIONS` is the app's: it knows what CORS it wants.
    fn ours<B>(&self, request: &Request<B>) -> Option<Path> {
        let path = request.uri().path().strip_prefix(self.prefix.as_deref()?)?;
        Path::parse(path).filter(|_| request.method() != Method::OPTIONS)
    }
}

impl<S, ReqBody, R> Service<Request<ReqBody>> for CourierAuthService<S>
where
    S: Service<Request<ReqBody>, Response = InnerResponse<R>>,
    // Read to its end if it is small, which takes a body and not just any type.
    ReqBody: Body + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if let Some(path) = self.ours(&request) {
            let courier = Arc::clone(&self.courier);
            return ResponseFuture::answer(courier.answer(path, request));
        }
        if self.extractor {
            let handle = Handle(Arc::clone(&self.courier));
            request.extensions_mut().insert(handle);
        }
        ResponseFuture::inner(self.inner.call(request))
    }
}

impl<S: fmt::Debug> fmt::Debug for CourierAuthService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierAuthService")
            .field("inner", &self.inner)
            .field("prefix", &self.prefix)
            .field("extractor", &self.extractor)
            .finish_non_exhaustive()
    }
}
