use std::{
    cell::Cell,
    pin::Pin,
    ptr,
    task::{Context, Poll},
};

use actix_web::HttpRequest;
use futures_util::future::LocalBoxFuture;

use crate::identity::Identified;

/// The app is being asked who is signed in.
pub(crate) struct Asking {
    app: LocalBoxFuture<'static, Identified>,
    request: HttpRequest,
}

impl Asking {
    /// Calls the hook. While the app is at work the request is marked, so that a hook that extracts
    /// a `CourierToken` itself gets an error and not itself again.
    pub(crate) fn begin(
        request: &HttpRequest,
        hook: impl FnOnce() -> LocalBoxFuture<'static, Identified>,
    ) -> Self {
        let _mark = Mark::set(request);
        Self {
            app: hook(),
            request: request.clone(),
        }
    }

    pub(crate) fn is_marked(request: &HttpRequest) -> bool {
        ASKED.get() == Some(address(request))
    }
}

impl Future for Asking {
    type Output = Identified;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Identified> {
        // While it is polled and not until it is done: other extractors of the same handler run
        // in between.
        let _mark = Mark::set(&self.request);
        self.app.as_mut().poll(cx)
    }
}

/// Takes the mark off again.
struct Mark {
    before: Option<usize>,
}

impl Mark {
    fn set(request: &HttpRequest) -> Self {
        Self {
            before: ASKED.replace(Some(address(request))),
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        ASKED.set(self.before);
    }
}

/// The same for all clones of a request, and no other's while one of them lives.
fn address(request: &HttpRequest) -> usize {
    ptr::from_ref(request.head()).addr()
}

thread_local! {
    /// The request whose app is being asked at this moment. Not in the request's extensions, where
    /// it would cost every request an entry.
    static ASKED: Cell<Option<usize>> = const { Cell::new(None) };
}
