//! GraphQL over HTTP: the request as the SDKs write it, whose it is, and what the answer looks like.

mod caller;
mod client;
mod inbox;

use async_graphql::{EmptySubscription, ObjectType, Request, Response, Schema, Variables};
use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response as HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use self::caller::Caller;
use super::{courier::Courier, reply, settings::MissingScope};

/// The schema of `/q`.
pub(super) type InboxSchema = Api<inbox::Query, inbox::Mutation>;
/// The schema of `/client/q`.
pub(super) type ClientSchema = Api<client::Query, client::Mutation>;

pub(super) struct Api<Q, M>(Schema<Q, M, EmptySubscription>);

/// `POST /q`
pub(super) async fn inbox(
    State(courier): State<Courier>,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    courier.shared.inbox.answer(&courier, &headers, &body).await
}

/// `POST /client/q`
pub(super) async fn client(
    State(courier): State<Courier>,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    courier
        .shared
        .client
        .answer(&courier, &headers, &body)
        .await
}

impl<Q, M> Api<Q, M>
where
    Q: ObjectType + Default + 'static,
    M: ObjectType + Default + 'static,
{
    pub(super) fn new() -> Self {
        Self(Schema::new(Q::default(), M::default(), EmptySubscription))
    }

    async fn answer(&self, courier: &Courier, headers: &HeaderMap, body: &[u8]) -> HttpResponse {
        let caller = match Caller::of(courier, headers) {
            Ok(caller) => caller,
            Err(refusal) => return refusal.into(),
        };
        let missing_scope = caller.missing_scope();
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return reply::error(400, "The body must be JSON with a string `query`");
        };
        let response = self.0.execute(body.into_request().data(caller)).await;
        if response.errors.iter().any(caller::is_refusal) {
            return match missing_scope {
                MissingScope::Errors => reply::json(200, &errors("Forbidden")),
                MissingScope::Empty | MissingScope::Forbidden => reply::error(403, "Forbidden"),
            };
        }
        if let Some(message) = not_executed(&response) {
            return reply::error(400, message);
        }
        match serde_json::to_value(&response) {
            Ok(body) => reply::json(200, &body),
            Err(error) => reply::error(500, &error.to_string()),
        }
    }
}

/// A response of GraphQL that brings an error and nothing else.
pub(super) fn errors(message: &str) -> Value {
    json!({ "data": null, "errors": [{ "message": message }] })
}

/// Why a query was not even begun: it is no GraphQL, or the schema has no such field.
fn not_executed(response: &Response) -> Option<&str> {
    let error = response.errors.first()?;
    let begun = response.errors.iter().any(|error| !error.path.is_empty());
    (!begun).then_some(&error.message)
}

#[derive(Deserialize)]
struct Body {
    query: String,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Value,
}

impl Body {
    fn into_request(self) -> Request {
        // iOS sends the object as a string of JSON.
        let variables = match self.variables {
            Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
            other => other,
        };
        let request = Request::new(self.query).variables(Variables::from_json(variables));
        match self.operation_name.filter(|name| !name.is_empty()) {
            Some(name) => request.operation_name(name),
            None => request,
        }
    }
}
