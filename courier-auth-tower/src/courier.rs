use std::sync::Arc;

use axum_core::response::Response;
use courier_auth_core::{Endpoint, TokenProvider};
use http::{Request, request::Parts};
use http_body::Body;

use crate::{
    drain::drain, error::CourierTokenRejection, extract::CourierToken, identity::Hook,
    reply::response,
};

/// The endpoint and who is signed in: what the layer, the routes and the extractor share.
#[derive(Clone)]
pub(crate) struct Courier {
    endpoint: Endpoint,
    hook: Hook,
}

impl Courier {
    pub(crate) fn new(endpoint: Endpoint, hook: Hook) -> Self {
        Self { endpoint, hook }
    }

    pub(crate) fn allow_cross_site(&mut self, allow: bool) {
        self.endpoint = self.endpoint.clone().allow_cross_site(allow);
    }

    pub(crate) fn provider(&self) -> &TokenProvider {
        self.endpoint.provider()
    }

    /// Answers a request to the token's path.
    pub(crate) async fn answer(&self, request: Request<impl Body>) -> Response {
        let (parts, body) = request.into_parts();
        let response = self.answer_head(parts).await;
        drain(body).await;
        response
    }

    async fn answer_head(&self, mut parts: Parts) -> Response {
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let call = match self
            .endpoint
            .accept(parts.method.as_str(), parts.uri.query(), headers)
        {
            Ok(call) => call,
            Err(refusal) => return response(refusal),
        };
        match self.hook.identify(&mut parts).await {
            Ok(signed_in) => response(self.endpoint.reply(&call, signed_in).await),
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
            let reply = self.endpoint.failure(None);
            return Err(CourierTokenRejection::signed_out(reply));
        };
        match self.provider().token(&request).await {
            Ok(token) => Ok(CourierToken::new(token)),
            Err(error) => {
                let reply = self.endpoint.failure(Some(&error));
                Err(CourierTokenRejection::failed(error, reply))
            }
        }
    }
}

/// What the layer leaves in the extensions of a request for the extractor.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Arc<Courier>);
