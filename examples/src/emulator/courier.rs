//! The emulator itself: what a test or a demo holds.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use courier_auth_core::emulator::Emulator;
use serde_json::json;

use super::{
    fault::{InboxFault, Surface},
    graphql::{ClientSchema, InboxSchema},
    hub::{Outgoing, SocketInfo},
    message::{Draft, Message},
    request::RequestLog,
    settings::Settings,
    state::State,
};

/// Courier in this process: tokens, inbox, sockets and REST. A clone is another handle to the same.
///
/// [`start`](Self::start) and [`serve`](Self::serve) put a listener in front of it.
#[derive(Clone)]
pub struct Courier {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) tokens: Emulator,
    pub(super) inbox: InboxSchema,
    pub(super) client: ClientSchema,
    state: Mutex<State>,
}

impl Courier {
    /// An emulator that knows one API key, an obviously fake one: see [`Emulator::api_key`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_tokens(Emulator::new())
    }

    /// An emulator whose tokens come from this one.
    #[must_use]
    pub fn with_tokens(tokens: Emulator) -> Self {
        let shared = Shared {
            tokens,
            inbox: InboxSchema::new(),
            client: ClientSchema::new(),
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The half that issues tokens, with its own faults and its log of calls.
    pub fn tokens(&self) -> &Emulator {
        &self.shared.tokens
    }

    /// Changes how it behaves where Courier's behaviour is not known.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state().settings);
    }

    /// How it behaves where Courier's behaviour is not known.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Puts a message into a user's inbox as `/send` would, and returns its id.
    pub fn send(&self, user_id: &str, draft: Draft) -> String {
        let id = RequestLog::new_id();
        let mut state = self.state();
        state.deliver(user_id, id.clone(), draft);
        let copies = vec![(user_id.to_owned(), id.clone())];
        state.requests.push(id.clone(), copies);
        id
    }

    /// A user's messages, archived ones too, the newest first.
    pub fn messages(&self, user_id: &str) -> Vec<Message> {
        let state = self.state();
        let mailbox = state.mailboxes.get(user_id);
        mailbox.map_or_else(Vec::new, |mailbox| mailbox.all().cloned().collect())
    }

    /// Makes a user a member of a tenant, so that what is sent to the tenant reaches the user.
    pub fn add_to_tenant(&self, tenant_id: &str, user_id: &str) {
        let mut state = self.state();
        let members = state.tenants.entry(tenant_id.to_owned()).or_default();
        members.insert(user_id.to_owned());
    }

    /// Puts a fault in the way of the next `n` calls. Asked several times, the faults come one after the other, and all
    /// of them before that of [`fail`](Self::fail).
    pub fn fail_next(&self, surface: Surface, n: usize, fault: InboxFault) {
        self.state().faults.push(surface, n, fault);
    }

    /// Puts a fault in the way of every call until [`recover`](Self::recover). It replaces the one given before.
    pub fn fail(&self, surface: Surface, fault: InboxFault) {
        self.state().faults.stand(surface, fault);
    }

    /// Takes all faults away, those of [`tokens`](Self::tokens) too.
    pub fn recover(&self) {
        self.tokens().recover();
        self.state().faults = Default::default();
    }

    /// The open sockets.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        let state = self.state();
        state.hub.of(None).map(|socket| socket.info()).collect()
    }

    /// Asks the clients of a user, or of all, to leave and to come back after this many seconds. Only the web's
    /// protocol has a word for it.
    pub fn ask_to_reconnect(&self, user_id: Option<&str>, retry_after: u32) {
        let event = json!({
            "event": "reconnect",
            "message": "The emulator was told to send the clients away",
            "retryAfter": retry_after,
            "code": 1012,
        });
        self.to_sockets(user_id, || Outgoing::Text(event.to_string()));
    }

    /// Sends a user's sockets, or all, a ping, which clients of the web's protocol answer.
    pub fn ping_sockets(&self, user_id: Option<&str>) {
        let ping = json!({ "tid": RequestLog::new_id(), "action": "ping" });
        self.to_sockets(user_id, || Outgoing::Text(ping.to_string()));
    }

    /// Closes a user's sockets, or all, with this code; clients come back after this many seconds, or when they like,
    /// and after a code of 1000 never. A code that no server may send, such as 1006, ends the connection without one.
    pub fn close_sockets(&self, user_id: Option<&str>, code: u16, retry_after: Option<u32>) {
        let reason = retry_after.map(|seconds| json!({ "Retry-After": seconds.to_string() }));
        let reason = reason.map_or_else(String::new, |reason| reason.to_string());
        self.to_sockets(user_id, || Outgoing::Close {
            code,
            reason: reason.clone(),
        });
    }

    /// Forgets messages, preferences, settings, faults and whatever else there is. Tokens stay good, sockets open.
    pub fn reset(&self) {
        self.recover();
        self.tokens().clear_calls();
        let mut state = self.state();
        let hub = std::mem::take(&mut state.hub);
        *state = State {
            hub,
            ..State::default()
        };
    }

    fn to_sockets(&self, user_id: Option<&str>, outgoing: impl Fn() -> Outgoing) {
        for socket in self.state().hub.of(user_id) {
            socket.send(outgoing());
        }
    }

    /// Nothing is left half done when a thread panics with the lock in hand, so a poisoned lock is as good as any.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let locked = self.shared.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Courier {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows neither keys nor messages.
impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier")
            .field("tokens", self.tokens())
            .finish_non_exhaustive()
    }
}
