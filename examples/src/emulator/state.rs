//! Everything the emulator remembers. One lock is around it, so that events go out in the order of what they tell.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{
    event::{Change, ChangeAll, Event},
    fault::Faults,
    hub::Hub,
    mailbox::Mailbox,
    message::{Draft, Message},
    preference::Preferences,
    request::RequestLog,
    settings::Settings,
};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) hub: Hub,
    pub(super) mailboxes: HashMap<String, Mailbox>,
    pub(super) requests: RequestLog,
    pub(super) preferences: Preferences,
    /// Users by tenant.
    pub(super) tenants: HashMap<String, BTreeSet<String>>,
    /// Users by list.
    pub(super) lists: HashMap<String, BTreeSet<String>>,
    /// The push tokens that phones registered, by user and token.
    pub(super) devices: HashMap<String, HashMap<String, Value>>,
    /// The last events that clients tracked.
    pub(super) tracked: Vec<Value>,
}

impl State {
    /// Puts a message into an inbox, and tells the user's sockets.
    pub(super) fn deliver(&mut self, user: &str, message_id: String, draft: Draft) {
        let message = Message::new(message_id, draft);
        let mailbox = self.mailboxes.entry(user.to_owned()).or_default();
        mailbox.insert(message.clone());
        self.tell(user, &Event::Arrived(Box::new(message)), None);
    }

    /// Says whether there is such a message.
    pub(super) fn change(
        &mut self,
        user: &str,
        message_id: &str,
        change: Change,
        cause: Option<&str>,
    ) -> bool {
        let mailbox = self.mailboxes.get_mut(user);
        let Some(tenant) = mailbox.and_then(|mailbox| mailbox.change(message_id, change)) else {
            return false;
        };
        let event = Event::Changed {
            change,
            message_id: message_id.to_owned(),
            tenant,
        };
        self.tell(user, &event, cause);
        true
    }

    pub(super) fn change_all(&mut self, user: &str, change: ChangeAll, cause: Option<&str>) {
        let only_read = change == ChangeAll::ArchiveRead;
        let mailbox = self.mailboxes.get_mut(user);
        let message_ids = mailbox.map(|mailbox| mailbox.change_all(change.change(), only_read));
        let event = Event::ChangedAll {
            change,
            message_ids: message_ids.unwrap_or_default(),
        };
        self.tell(user, &event, cause);
    }

    /// What `/requests/{id}/archive` does to inboxes.
    pub(super) fn archive_request(&mut self, request_id: &str) {
        for (user, message_id) in self.requests.archive(request_id) {
            self.change(&user, &message_id, Change::Archive, None);
        }
    }

    pub(super) fn track(&mut self, event: Value) {
        if self.tracked.len() == TRACKED {
            self.tracked.remove(0);
        }
        self.tracked.push(event);
    }

    fn tell(&self, user: &str, event: &Event, cause: Option<&str>) {
        self.hub.tell(user, event, cause, self.settings.tenants);
    }
}

const TRACKED: usize = 100;
