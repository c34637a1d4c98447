//! What was sent: the log behind `/messages`, and the way from a request to its copies in inboxes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::timestamp::Timestamp;

/// The requests to `/send`, oldest first.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Vec<SentRequest>);

#[derive(Debug)]
struct SentRequest {
    id: String,
    sent: Timestamp,
    archived: bool,
    /// Users and message ids. None if it went to no inbox.
    copies: Vec<(String, String)>,
}

impl RequestLog {
    /// An id as Courier makes them.
    pub(super) fn new_id() -> String {
        let id = Uuid::new_v4().simple().to_string();
        let (first, second) = id.split_at(8);
        format!("1-{first}-{second}")
    }

    pub(super) fn push(&mut self, id: String, copies: Vec<(String, String)>) {
        self.0.push(SentRequest {
            id,
            sent: Timestamp::now(),
            archived: false,
            copies,
        });
    }

    /// Returns the users and ids of its copies.
    pub(super) fn archive(&mut self, id: &str) -> Vec<(String, String)> {
        let request = self.0.iter_mut().find(|request| request.id == id);
        let copies = request.map(|request| {
            request.archived = true;
            request.copies.clone()
        });
        copies.unwrap_or_default()
    }

    /// The log as `GET /messages` tells it, the newest first.
    pub(super) fn list(&self, archived: bool) -> impl Iterator<Item = Value> {
        let requests = self.0.iter().rev();
        requests
            .filter(move |request| request.archived == archived)
            .flat_map(SentRequest::entries)
    }

    pub(super) fn get(&self, message_id: &str) -> Option<Value> {
        let mut entries = self.0.iter().flat_map(SentRequest::entries);
        entries.find(|entry| entry["id"] == message_id)
    }
}

impl SentRequest {
    fn entries(&self) -> Vec<Value> {
        let entry = |id: &str, recipient: &str, status| {
            json!({
                "id": id,
                "recipient": recipient,
                "status": status,
                "event": "",
                "notification": "",
                "enqueued": self.sent.unix_millis(),
                "sent": self.sent.unix_millis(),
                "delivered": self.sent.unix_millis(),
            })
        };
        if self.copies.is_empty() {
            return vec![entry(&self.id, "", "UNROUTABLE")];
        }
        let copies = self.copies.iter();
        copies
            .map(|(user, id)| entry(id, user, "DELIVERED"))
            .collect()
    }
}
