//! REST about one user: push tokens, tenants and preferences.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, Method},
    response::Response,
    routing::{any, get, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    courier::Courier,
    preference::{Channel, Chosen, Preference, Status},
    reply,
    server::Context,
};

pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/users/{user}/tokens", get(devices))
        .route("/users/{user}/tokens/{*token}", any(device))
        .route(
            "/users/{user}/tenants/{tenant}",
            put(membership).delete(membership),
        )
        .route("/users/{user}/preferences", get(preferences))
        .route(
            "/users/{user}/preferences/{topic}",
            get(preference).put(put_preference),
        )
}

async fn devices(
    State(courier): State<Courier>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Response {
    let scope = Some("read:user-tokens");
    if let Err(refusal) = courier.backends_or_user(&headers, &user, scope) {
        return refusal.into();
    }
    let state = courier.state();
    let devices = state.devices.get(&user).into_iter().flatten();
    let tokens: Vec<_> = devices
        .map(|(token, body)| with_token(token, body))
        .collect();
    reply::json(200, &json!({ "tokens": tokens }))
}

async fn device(
    State(courier): State<Courier>,
    Path((user, token)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let scope = match method {
        Method::GET => "read:user-tokens",
        _ => "write:user-tokens",
    };
    if let Err(refusal) = courier.backends_or_user(&headers, &user, Some(scope)) {
        return refusal.into();
    }
    let mut state = courier.state();
    let devices = state.devices.entry(user).or_default();
    match method {
        Method::PUT => {
            let Ok(body @ Value::Object(_)) = serde_json::from_slice(&body) else {
                return reply::error(400, "The body must be JSON with a `provider_key`");
            };
            devices.insert(token, body);
            reply::empty(204)
        }
        Method::DELETE => {
            devices.remove(&token);
            reply::empty(204)
        }
        Method::GET => match devices.get(&token) {
            Some(body) => reply::json(200, &with_token(&token, body)),
            None => reply::error(404, "Not Found"),
        },
        // Of what it changes, nothing is used here.
        Method::PATCH if devices.contains_key(&token) => reply::empty(204),
        Method::PATCH => reply::error(404, "Not Found"),
        _ => reply::error(405, "Method Not Allowed"),
    }
}

fn with_token(token: &str, body: &Value) -> Value {
    let mut body = body.clone();
    body["token"] = token.into();
    body
}

async fn membership(
    State(courier): State<Courier>,
    Path((user, tenant)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.only_backends(&headers) {
        return refusal.into();
    }
    match method {
        Method::PUT => courier.add_to_tenant(&tenant, &user),
        _ => {
            let mut state = courier.state();
            if let Some(members) = state.tenants.get_mut(&tenant) {
                members.remove(&user);
            }
        }
    }
    reply::empty(204)
}

#[derive(Deserialize)]
struct Tenant {
    tenant_id: Option<String>,
}

async fn preferences(
    State(courier): State<Courier>,
    Path(user): Path<String>,
    Query(Tenant { tenant_id }): Query<Tenant>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.backends_or_user(&headers, &user, Some(READ)) {
        return refusal.into();
    }
    let preferences = courier.state().preferences.of(&user, tenant_id.as_deref());
    let items: Vec<_> = preferences.iter().map(topic).collect();
    let paging = json!({ "cursor": null, "more": false });
    reply::json(200, &json!({ "items": items, "paging": paging }))
}

async fn preference(
    State(courier): State<Courier>,
    Path((user, id)): Path<(String, String)>,
    Query(Tenant { tenant_id }): Query<Tenant>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = courier.backends_or_user(&headers, &user, Some(READ)) {
        return refusal.into();
    }
    let tenant = tenant_id.as_deref();
    match courier.state().preferences.one(&user, tenant, &id) {
        Some(preference) => reply::json(200, &json!({ "topic": topic(&preference) })),
        None => reply::error(404, "Not Found"),
    }
}

#[derive(Deserialize)]
struct Put {
    topic: PutTopic,
}

#[derive(Deserialize)]
struct PutTopic {
    status: Status,
    #[serde(default)]
    has_custom_routing: Option<bool>,
    #[serde(default)]
    custom_routing: Option<Vec<Channel>>,
}

async fn put_preference(
    State(courier): State<Courier>,
    Path((user, id)): Path<(String, String)>,
    Query(Tenant { tenant_id }): Query<Tenant>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = courier.backends_or_user(&headers, &user, Some(WRITE)) {
        return refusal.into();
    }
    let Ok(Put { topic }) = serde_json::from_slice(&body) else {
        return reply::error(
            400,
            "The body must be JSON with a `topic` that has a `status`",
        );
    };
    let routing = topic.custom_routing.unwrap_or_default();
    let chosen = Chosen {
        status: topic.status,
        routing: topic
            .has_custom_routing
            .unwrap_or_default()
            .then_some(routing),
        digest_schedule: None,
    };
    let tenant = tenant_id.as_deref();
    match courier
        .state()
        .preferences
        .choose(&user, tenant, &id, chosen)
    {
        Some(_) => reply::json(200, &json!({ "message": "success" })),
        None => reply::error(404, "Not Found"),
    }
}

fn topic(preference: &Preference) -> Value {
    json!({
        "topic_id": preference.template_id,
        "topic_name": preference.template_name,
        "section_id": preference.section_id,
        "section_name": preference.section_name,
        "default_status": preference.default_status,
        "status": preference.status,
        "has_custom_routing": preference.has_custom_routing,
        "custom_routing": preference.routing_preferences,
    })
}

const READ: &str = "read:preferences";
const WRITE: &str = "write:preferences";
