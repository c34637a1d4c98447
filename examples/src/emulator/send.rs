//! `POST /send`: to whom it goes, and what each inbox gets.

use std::collections::BTreeSet;

use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde_json::{Value, json};

use super::{
    courier::Courier,
    message::{Action, Draft},
    reply,
    request::RequestLog,
    state::State as Everything,
};

/// `POST /send`
pub(super) async fn send(
    State(courier): State<Courier>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = courier.only_backends(&headers) {
        return refusal.into();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = &body["message"];
    if !message["to"].is_object() && !message["to"].is_array() {
        return reply::error(
            400,
            "The body must be JSON with a `message` that has a `to`",
        );
    }
    let id = courier.state().send(message);
    reply::json(202, &json!({ "requestId": id }))
}

impl Everything {
    fn send(&mut self, message: &Value) -> String {
        let id = RequestLog::new_id();
        let mut copies = Vec::new();
        let addressed = if goes_to_inbox(message) {
            one_or_many(&message["to"])
        } else {
            &[]
        };
        let single = addressed.len() == 1 && addressed[0]["user_id"].is_string();
        let outer = text(&message["context"]["tenant_id"]);
        for to in addressed {
            let tenant = text(&to["tenant_id"])
                .or_else(|| text(&to["context"]["tenant_id"]))
                .or_else(|| outer.clone());
            for user in self.users(to) {
                let message_id = if single {
                    id.clone()
                } else {
                    format!("{id}:{user}")
                };
                // Whoever is reached in two ways gets one copy.
                if copies.iter().any(|(_, id)| *id == message_id) {
                    continue;
                }
                let draft = Draft {
                    tenant_id: tenant.clone(),
                    ..draft(message)
                };
                self.deliver(&user, message_id.clone(), draft);
                copies.push((user, message_id));
            }
        }
        self.requests.push(id.clone(), copies);
        id
    }

    /// Nobody, if it is the address of something without an inbox.
    fn users(&self, to: &Value) -> BTreeSet<String> {
        if let Some(user) = text(&to["user_id"]) {
            return BTreeSet::from([user]);
        }
        let tenant = to["tenant_id"].as_str().map(|id| self.tenants.get(id));
        let list = to["list_id"].as_str().map(|id| self.lists.get(id));
        tenant.or(list).flatten().cloned().unwrap_or_default()
    }
}

/// Unless it names the channels and the inbox is not among them, however deep.
fn goes_to_inbox(message: &Value) -> bool {
    fn names_inbox(channels: &Value) -> bool {
        match channels {
            Value::String(channel) => channel == "inbox",
            Value::Array(channels) => channels.iter().any(names_inbox),
            nested => nested.get("channels").is_some_and(names_inbox),
        }
    }
    message["routing"].get("channels").is_none_or(names_inbox)
}

fn draft(message: &Value) -> Draft {
    let content = &message["content"];
    let tags = one_or_many(&message["metadata"]["tags"]);
    let mut draft = Draft {
        title: text(&content["title"]),
        preview: text(&content["body"]),
        tags: tags.iter().filter_map(text).collect(),
        data: message["data"].as_object().cloned().unwrap_or_default(),
        ..Draft::default()
    };
    let elements = one_or_many(&content["elements"]);
    for element in elements {
        add(&mut draft, element);
    }
    if content.is_null() {
        // What a template would say is known to Courier only.
        draft.title = text(&message["template"]);
    }
    draft
}

/// Adds an element of what Courier calls Elemental. Of groups and pictures an inbox shows nothing here.
fn add(draft: &mut Draft, element: &Value) {
    match element["type"].as_str() {
        Some("meta") => draft.title = text(&element["title"]),
        Some("text") => {
            let more = element["content"].as_str().unwrap_or_default();
            draft.preview = Some(match draft.preview.take() {
                Some(before) => format!("{before}\n{more}"),
                None => more.to_owned(),
            });
        }
        Some("action") => draft.actions.push(Action {
            content: text(&element["content"]),
            data: None,
            href: text(&element["href"]),
        }),
        _ => {}
    }
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(several) => several,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
