use std::{
    future::ready,
    sync::{Arc, LazyLock},
};

use axum_core::response::Response;
use courier_auth_core::{
    TokenProvider,
    endpoint::{Call, Endpoint, Reply},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderName, Request, request::Parts};
use http_body::Body;

use crate::{
    drain::drain,
    error::CourierTokenRejection,
    extract::CourierToken,
    identity::{Hook, Identified},
    reply::{TokenHeaders, response},
};

/// The endpoint and who is signed in: what the layer, the routes and the extractor share.
#[derive(Clone)]
pub(crate) struct Courier {
    endpoint: Endpoint,
    hook: Hook,
    token_headers: TokenHeaders,
}

impl Courier {
    pub(crate) fn new(endpoint: Endpoint, hook: Hook) -> Self {
        Self {
            endpoint,
            hook,
            token_headers: TokenHeaders::default(),
        }
    }

    pub(crate) fn allow_cross_site(&mut self, allow: bool) {
        self.endpoint = self.endpoint.clone().allow_cross_site(allow);
    }

    pub(crate) fn provider(&self) -> &TokenProvider {
        self.endpoint.provider()
    }

    /// Answers a request to the token's path, or the script's.
    pub(crate) fn answer(
        self: Arc<Self>,
        path: Path,
        request: Request<impl Body + Send + 'static>,
    ) -> BoxFuture<'static, Response> {
        let (parts, body) = request.into_parts();
        let answer = match path {
            Path::Token => self.hook.answer(Arc::clone(&self), parts),
            Path::Script => {
                let reply = Endpoint::script(parts.method.as_str(), headers(&parts));
                ready(response(reply)).boxed()
            }
        };
        if body.is_end_stream() {
            return answer;
        }
        Box::pin(async {
            let response = answer.await;
            drain(body).await;
            response
        })
    }

    #[expect(clippy::result_large_err, reason = "it is sent at once")]
    pub(crate) fn accept(&self, parts: &Parts) -> Result<Call, Reply> {
        let (method, query) = (parts.method.as_str(), parts.uri.query());
        self.endpoint.accept(method, query, headers(parts))
    }

    pub(crate) async fn reply(&self, call: &Call, identified: Identified) -> Response {
        match identified {
            Ok(signed_in) => {
                let reply = self.endpoint.reply(call, signed_in).await;
                self.token_headers.response(reply)
            }
            Err(apps_answer) => apps_answer,
        }
    }

    /// The token for a handler.
    pub(crate) async fn token(
        &self,
        parts: &mut Parts,
    ) -> Result<CourierToken, CourierTokenRejection> {
        let signed_in = self
            .hook
            .identify(parts)
            .await
            .map_err(CourierTokenRejection::app)?;
        let Some(request) = signed_in else {
            let reply = self.endpoint.signed_out();
            return Err(CourierTokenRejection::signed_out(reply));
        };
        match self.provider().token(&request).await {
            Ok(token) => Ok(CourierToken::new(token)),
            Err(error) => {
                let reply = self.endpoint.failed(&error);
                Err(CourierTokenRejection::failed(error, reply))
            }
        }
    }
}

/// What is answered below the prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    Token,
    Script,
}

impl Path {
    /// The path of a request, without the prefix.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        match path {
            Endpoint::TOKEN_PATH => Some(Self::Token),
            Endpoint::SCRIPT_PATH => Some(Self::Script),
            _ => None,
        }
    }
}

/// Those that the endpoint reads: browsers send a dozen others.
fn headers(parts: &Parts) -> impl Iterator<Item = (&str, &[u8])> {
    let read = parts.headers.iter();
    let read = read.filter(|(name, _)| HEADERS.contains(name));
    read.map(|(name, value)| (name.as_str(), value.as_bytes()))
}

static HEADERS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let names = Endpoint::HEADERS.iter().copied();
    names.map(HeaderName::from_static).collect()
});

/// What the layer leaves in the extensions of a request for the extractor.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Arc<Courier>);
