//! Version 1 of the web's protocol.

use serde_json::{Value, json};

use super::Heard;
use crate::emulator::{event::Event, message::Message, settings::Settings};

pub(super) fn answer(heard: &Heard, settings: &Settings) -> Option<Value> {
    let tid = heard.tid.as_deref();
    match heard.action.as_str() {
        "get-config" => Some(json!({
            "tid": tid,
            "response": "config",
            "data": {
                "pingInterval": settings.ping_interval,
                "maxOutstandingPings": settings.max_outstanding_pings,
            },
        })),
        "subscribe" | "unsubscribe" => Some(json!({ "tid": tid, "response": "ack" })),
        "ping" if settings.answer_pings => Some(json!({ "tid": tid, "response": "pong" })),
        _ => None,
    }
}

pub(super) fn event(event: &Event) -> Value {
    match event {
        Event::Arrived(message) => json!({ "event": "message", "data": node(message) }),
        Event::Changed {
            change, message_id, ..
        } => json!({ "event": change.name(), "messageId": message_id }),
        Event::ChangedAll { change, .. } => json!({ "event": change.name() }),
    }
}

/// A message as a query returns it, but for the tracking ids, which are among the sender's data.
pub(super) fn node(message: &Message) -> Value {
    let mut node = json!(message);
    node["data"]["trackingIds"] = node["trackingIds"].take();
    if let Some(fields) = node.as_object_mut() {
        fields.remove("trackingIds");
    }
    node
}
