//! REST that is not about one user: the core's two calls, what was sent, lists and tracking.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, Request, State},
    http::HeaderMap,
    response::Response,
    routing::{any, delete, get, post, put},
};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{courier::Courier, reply, request::RequestLog, send, server::Context};

/// The calls that the core's emulator answers, with its own faults.
pub(super) fn core_routes() -> Router<Context> {
    Router::new()
        .route("/auth/issue-token", any(core))
        .route("/requests/{id}/archive", any(core))
}

pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/send", post(send::send))
        .route("/messages", get(messages))
        .route("/messages/{id}", get(message))
        .route("/client/lists/{list}/subscribe/{user}", put(subscribe))
        .route(
            "/client/lists/{list}/unsubscribe/{user}",
            delete(unsubscribe),
        )
        .route("/inbound/courier", post(track))
}

async fn core(State(courier): State<Courier>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // More than the core reads at most, so that it can say that it is too much.
    let Ok(body) = Limited::new(body, CORE_LIMIT).collect().await else {
        return reply::error(413, "The body is too large");
    };
    let headers = head.headers.iter();
    let headers: Vec<_> = headers
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let path = head.uri.path();
    let answer = courier
        .tokens()
        .respond(head.method.as_str(), path, &headers, &body.to_bytes());
    let archived = path.strip_prefix("/requests/");
    let archived = archived.and_then(|rest| rest.strip_suffix("/archive"));
    if let (Some(id), 200..300) = (archived, answer.status) {
        courier.state().archive_request(id);
    }
    reply::carry_out(answer).await
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    archived: bool,
}

async fn messages(
    State(courier): State<Courier>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.only_backends(&headers) {
        return refusal.into();
    }
    let results: Vec<_> = courier.state().requests.list(which.archived).collect();
    let paging = json!({ "cursor": null, "more": false });
    reply::json(200, &json!({ "paging": paging, "results": results }))
}

async fn message(
    State(courier): State<Courier>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.only_backends(&headers) {
        return refusal.into();
    }
    match courier.state().requests.get(&id) {
        Some(message) => reply::json(200, &message),
        None => reply::error(404, "Not Found"),
    }
}

async fn subscribe(
    State(courier): State<Courier>,
    Path((list, user)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.backends_or_user(&headers, &user, None) {
        return refusal.into();
    }
    courier.state().lists.entry(list).or_default().insert(user);
    reply::empty(204)
}

async fn unsubscribe(
    State(courier): State<Courier>,
    Path((list, user)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.backends_or_user(&headers, &user, None) {
        return refusal.into();
    }
    if let Some(members) = courier.state().lists.get_mut(&list) {
        members.remove(&user);
    }
    reply::empty(204)
}

/// Browsers send a client key here and no token. The key is Courier's, so any will do.
async fn track(State(courier): State<Courier>, headers: HeaderMap, body: Bytes) -> Response {
    if !headers.contains_key("x-courier-client-key")
        && let Err(refusal) = courier.only_backends(&headers)
    {
        return refusal.into();
    }
    let Ok(event @ Value::Object(_)) = serde_json::from_slice::<Value>(&body) else {
        return reply::error(400, "The body must be a JSON object");
    };
    let id = event["messageId"].as_str().map(str::to_owned);
    let id = id.unwrap_or_else(RequestLog::new_id);
    courier.state().track(event);
    reply::json(202, &json!({ "messageId": id }))
}

const CORE_LIMIT: usize = 1024 * 1024;
