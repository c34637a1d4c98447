//! The open sockets, and who of them is told what.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::{event::Event, filter::TenantFilter, settings::TenantRule, socket::Protocol};

/// The open sockets of all users.
#[derive(Debug, Default)]
pub(super) struct Hub {
    sockets: BTreeMap<u64, Socket>,
    opened: u64,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) user: String,
    /// By which the client names itself in its HTTP calls.
    pub(super) source: Option<String>,
    pub(super) protocol: Protocol,
    /// What it asked for; nothing before it did.
    pub(super) subscription: Option<Subscription>,
    pub(super) outgoing: UnboundedSender<Outgoing>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) tenant: Option<String>,
}

/// What a socket is to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    Text(String),
    Close { code: u16, reason: String },
}

/// An open socket, as the control endpoint shows it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SocketInfo {
    /// Whose it is.
    pub user_id: String,
    /// Whether it speaks the phones' protocol.
    pub mobile: bool,
    /// Whether it asked for messages.
    pub subscribed: bool,
}

impl Hub {
    /// Returns the socket's number.
    pub(super) fn open(&mut self, socket: Socket) -> u64 {
        self.opened += 1;
        self.sockets.insert(self.opened, socket);
        self.opened
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Socket> {
        self.sockets.get_mut(&number)
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.sockets.remove(&number);
    }

    /// Tells the user's sockets, except the client's own that caused it.
    pub(super) fn tell(&self, user: &str, event: &Event, cause: Option<&str>, rule: TenantRule) {
        for socket in self.of(Some(user)) {
            let Some(subscription) = &socket.subscription else {
                continue;
            };
            if cause.is_some() && socket.source.as_deref() == cause {
                continue;
            }
            let tenants = TenantFilter::of(subscription.tenant.clone(), rule);
            if event
                .tenant()
                .is_some_and(|tenant| !tenants.matches(tenant))
            {
                continue;
            }
            for text in socket.protocol.texts(event) {
                socket.send(Outgoing::Text(text));
            }
        }
    }

    /// The sockets of a user, or of all.
    pub(super) fn of<'a>(&'a self, user: Option<&'a str>) -> impl Iterator<Item = &'a Socket> {
        let sockets = self.sockets.values();
        sockets.filter(move |socket| user.is_none_or(|user| socket.user == user))
    }
}

impl Socket {
    /// A socket that is going away gets no more, and need not.
    pub(super) fn send(&self, outgoing: Outgoing) {
        let _gone = self.outgoing.send(outgoing);
    }

    pub(super) fn info(&self) -> SocketInfo {
        SocketInfo {
            user_id: self.user.clone(),
            mobile: self.protocol == Protocol::Mobile,
            subscribed: self.subscription.is_some(),
        }
    }
}
