//! What happens in an inbox, and what each protocol calls it.

use super::message::Message;

/// Something that a user's sockets are told of.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Arrived(Box<Message>),
    Changed {
        change: Change,
        message_id: String,
        tenant: Option<String>,
    },
    ChangedAll {
        change: ChangeAll,
        /// Which messages, for clients that know of no such event.
        message_ids: Vec<String>,
    },
}

impl Event {
    /// The tenant whose message it is about: `None` if it is about many messages.
    pub(super) fn tenant(&self) -> Option<Option<&str>> {
        match self {
            Self::Arrived(message) => Some(message.account_id.as_deref()),
            Self::Changed { tenant, .. } => Some(tenant.as_deref()),
            Self::ChangedAll { .. } => None,
        }
    }
}

/// What can be done to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Read,
    Unread,
    Opened,
    Archive,
    Unarchive,
    Clicked,
}

impl Change {
    /// In the web's protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Unread => "unread",
            Self::Opened => "opened",
            Self::Archive => "archive",
            Self::Unarchive => "unarchive",
            Self::Clicked => "clicked",
        }
    }

    /// In the phones' protocol.
    pub(super) fn mobile_name(self) -> &'static str {
        match self {
            Self::Clicked => "click",
            other => other.name(),
        }
    }
}

/// What can be done to all messages of an inbox at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeAll {
    MarkRead,
    Archive,
    ArchiveRead,
}

impl ChangeAll {
    /// In the web's protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MarkRead => "mark-all-read",
            Self::Archive => "archive-all",
            Self::ArchiveRead => "archive-read",
        }
    }

    /// What it does to each message.
    pub(super) fn change(self) -> Change {
        match self {
            Self::MarkRead => Change::Read,
            Self::Archive | Self::ArchiveRead => Change::Archive,
        }
    }
}
