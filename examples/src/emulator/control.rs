//! `/emulator/…`: what a test or a demo page does to the emulator from outside, as JSON.

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::{get, patch, post},
};
use courier_auth_core::emulator::Fault;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    courier::Courier,
    fault::{InboxFault, Surface},
    message::Draft,
    reply,
    server::Context,
};

pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/emulator", get(overview))
        .route("/emulator/messages", get(list).post(send))
        .route("/emulator/settings", patch(configure))
        .route("/emulator/faults", post(fail).delete(recover))
        .route("/emulator/sockets/reconnect", post(reconnect))
        .route("/emulator/sockets/close", post(close))
        .route("/emulator/sockets/ping", post(ping))
        .route("/emulator/reset", post(reset))
}

/// Everything but secrets: no API key, no token.
async fn overview(State(courier): State<Courier>) -> Response {
    let sockets = courier.sockets();
    let state = courier.state();
    let mut users: Vec<_> = state.mailboxes.iter().collect();
    users.sort_unstable_by_key(|(user, _)| user.as_str());
    let users = users
        .iter()
        .map(|(user, mailbox)| json!({ "user_id": user, "messages": mailbox.all().count() }));
    let overview = json!({
        "tokens_asked_for": courier.tokens().token_requests(),
        "users": users.collect::<Vec<_>>(),
        "sockets": sockets,
        "tracked": state.tracked,
        "settings": state.settings,
    });
    reply::json(200, &overview)
}

#[derive(Deserialize)]
struct Owner {
    user_id: String,
}

async fn list(
    State(courier): State<Courier>,
    owner: Result<Query<Owner>, QueryRejection>,
) -> Response {
    match owner {
        Ok(Query(owner)) => {
            let messages = courier.messages(&owner.user_id);
            reply::json(200, &json!({ "messages": messages }))
        }
        Err(rejection) => reply::error(400, &rejection.body_text()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sending {
    user_id: String,
    #[serde(default)]
    message: Draft,
}

async fn send(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |sending: Sending| {
        let id = courier.send(&sending.user_id, sending.message);
        Ok(json!({ "message_id": id }))
    })
}

/// Sets what is named and leaves the rest.
async fn configure(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |change: serde_json::Map<String, Value>| {
        let mut settings = json!(courier.settings());
        for (name, value) in change {
            settings[name] = value;
        }
        let settings = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        courier.configure(|current| *current = settings);
        Ok(json!(courier.settings()))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failing {
    on: On,
    fault: InboxFault,
    /// For how many calls; until they are taken away, if it is not said.
    calls: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum On {
    Tokens,
    Inbox,
    Client,
    Rest,
    Socket,
}

impl On {
    /// `None` is the half that issues tokens.
    fn surface(&self) -> Option<Surface> {
        Some(match self {
            Self::Tokens => return None,
            Self::Inbox => Surface::Inbox,
            Self::Client => Surface::Client,
            Self::Rest => Surface::Rest,
            Self::Socket => Surface::Socket,
        })
    }
}

async fn fail(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |Failing { on, fault, calls }| {
        match on.surface() {
            None => {
                let fault = of_tokens(&fault)?;
                match calls {
                    Some(calls) => courier.tokens().fail_next(calls, fault),
                    None => courier.tokens().fail(fault),
                }
            }
            Some(surface) => match calls {
                Some(calls) => courier.fail_next(surface, calls, fault),
                None => courier.fail(surface, fault),
            },
        }
        Ok(json!({}))
    })
}

fn of_tokens(fault: &InboxFault) -> Result<Fault, String> {
    match fault {
        InboxFault::Status(status) => Ok(Fault::status(*status)),
        InboxFault::Html => Ok(Fault::Html),
        InboxFault::Latency(latency) => Ok(Fault::Latency(*latency)),
        InboxFault::Hang => Ok(Fault::Hang),
        InboxFault::Errors(_) => Err("tokens are not asked for with GraphQL".to_owned()),
    }
}

async fn recover(State(courier): State<Courier>) -> Response {
    courier.recover();
    reply::json(200, &json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sockets {
    /// All, if it is not said.
    user_id: Option<String>,
    retry_after: Option<u32>,
    code: Option<u16>,
}

async fn reconnect(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |which: Sockets| {
        let retry_after = which.retry_after.unwrap_or(1);
        courier.ask_to_reconnect(which.user_id.as_deref(), retry_after);
        Ok(json!({}))
    })
}

async fn close(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |which: Sockets| {
        let code = which.code.ok_or("`code` is missing")?;
        courier.close_sockets(which.user_id.as_deref(), code, which.retry_after);
        Ok(json!({}))
    })
}

async fn ping(State(courier): State<Courier>, body: Bytes) -> Response {
    with(&body, |which: Sockets| {
        courier.ping_sockets(which.user_id.as_deref());
        Ok(json!({}))
    })
}

async fn reset(State(courier): State<Courier>) -> Response {
    courier.reset();
    reply::json(200, &json!({}))
}

/// Nothing is the same as `{}`.
fn with<T: DeserializeOwned>(
    body: &[u8],
    act: impl FnOnce(T) -> Result<Value, String>,
) -> Response {
    let body = if body.is_empty() { b"{}" } else { body };
    let asked = serde_json::from_slice(body).map_err(|error| error.to_string());
    match asked.and_then(act) {
        Ok(body) => reply::json(200, &body),
        Err(message) => reply::error(400, &message),
    }
}
