//! The protocol of iOS, Android, Flutter and React Native.

use serde_json::{Value, json};

use super::web;
use crate::emulator::event::{ChangeAll, Event};

pub(super) fn events(event: &Event) -> Vec<Value> {
    match event {
        Event::Arrived(message) => {
            let mut node = web::node(message);
            node["type"] = "message".into();
            vec![node]
        }
        Event::Changed {
            change, message_id, ..
        } => vec![one(change.mobile_name(), message_id)],
        Event::ChangedAll {
            change: ChangeAll::MarkRead,
            ..
        } => vec![json!({ "type": "event", "event": ChangeAll::MarkRead.name() })],
        // Phones have no word for it.
        Event::ChangedAll {
            change: change @ (ChangeAll::Archive | ChangeAll::ArchiveRead),
            message_ids,
        } => {
            let name = change.change().mobile_name();
            message_ids.iter().map(|id| one(name, id)).collect()
        }
    }
}

fn one(name: &str, message_id: &str) -> Value {
    json!({ "type": "event", "event": name, "messageId": message_id })
}
