//! One user's messages.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
};

use super::{event::Change, filter::Filter, message::Message, timestamp::Timestamp};

/// One user's messages, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    messages: BTreeMap<Position, Message>,
    positions: HashMap<String, Position>,
    arrivals: u64,
}

impl Mailbox {
    pub(super) fn insert(&mut self, message: Message) {
        self.arrivals += 1;
        let position = Position {
            created: message.created,
            arrival: self.arrivals,
        };
        self.positions.insert(message.message_id.clone(), position);
        self.messages.insert(position, message);
    }

    pub(super) fn get(&self, message_id: &str) -> Option<&Message> {
        let position = self.positions.get(message_id)?;
        self.messages.get(position)
    }

    /// All of them, the newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values().rev()
    }

    pub(super) fn count(&self, filter: &Filter) -> usize {
        self.all().filter(|message| filter.matches(message)).count()
    }

    /// The newest that match, or those that come after a cursor.
    pub(super) fn page(&self, filter: &Filter, limit: usize, after: Option<Cursor>) -> Page {
        let older = match after {
            Some(Cursor(position)) => self.messages.range(..position),
            None => self.messages.range(..),
        };
        let mut matching = older.rev().filter(|(_, message)| filter.matches(message));
        let taken: Vec<_> = matching.by_ref().take(limit).collect();
        let last = taken.last().map(|(position, _)| Cursor(**position));
        Page {
            total: self.count(filter),
            next: last.filter(|_| matching.next().is_some()),
            messages: taken
                .into_iter()
                .map(|(_, message)| message.clone())
                .collect(),
        }
    }

    /// Changes a message. Says whose tenant's it is, or `None` if there is no such message.
    pub(super) fn change(&mut self, message_id: &str, change: Change) -> Option<Option<String>> {
        let position = self.positions.get(message_id)?;
        let message = self.messages.get_mut(position)?;
        apply(message, change);
        Some(message.account_id.clone())
    }

    /// Changes all that are not archived and, if it says so, were read. Returns their ids.
    pub(super) fn change_all(&mut self, change: Change, only_read: bool) -> Vec<String> {
        let messages = self.messages.values_mut();
        let concerned = messages
            .filter(|message| message.archived.is_none() && (!only_read || message.read.is_some()));
        concerned
            .map(|message| {
                apply(message, change);
                message.message_id.clone()
            })
            .collect()
    }
}

/// A part of a mailbox, the newest first.
#[derive(Debug)]
pub(super) struct Page {
    /// How many match in all.
    pub(super) total: usize,
    pub(super) messages: Vec<Message>,
    /// Asks for the page after this one, if there is one.
    pub(super) next: Option<Cursor>,
}

/// The place behind a message. It stays where it is when messages arrive or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(Position);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { created, arrival } = self.0;
        write!(f, "{}_{arrival}", created.unix_millis())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (created, arrival) = text.split_once('_').ok_or(InvalidCursor)?;
        let created = created.parse().map_err(|_| InvalidCursor)?;
        Ok(Self(Position {
            created: Timestamp::from_unix_millis(created),
            arrival: arrival.parse().map_err(|_| InvalidCursor)?,
        }))
    }
}

#[derive(Debug)]
pub(super) struct InvalidCursor;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    created: Timestamp,
    arrival: u64,
}

fn apply(message: &mut Message, change: Change) {
    let now = Timestamp::now();
    match change {
        Change::Read => drop(message.read.get_or_insert(now)),
        Change::Unread => message.read = None,
        Change::Opened => drop(message.opened.get_or_insert(now)),
        Change::Archive => drop(message.archived.get_or_insert(now)),
        Change::Unarchive => message.archived = None,
        Change::Clicked => message.clicked = Some(now),
    }
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
