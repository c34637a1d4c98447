//! The socket at `/`: who may open one, and its life until it is closed.

mod mobile;
mod web;

use std::{
    future::Future,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use courier_auth_core::emulator::VerifyError;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    access::{self, Refusal},
    courier::Courier,
    event::Event,
    hub::{Outgoing, Socket, Subscription},
    reply,
    server::{Context, Stopped},
    settings::{AtExpiry, MissingScope, Settings},
};

/// Which words a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Version 1, of the web SDKs.
    Web,
    /// What iOS, Android, Flutter and React Native use.
    Mobile,
}

impl Protocol {
    /// An event in this protocol's words.
    pub(super) fn texts(self, event: &Event) -> Vec<String> {
        let messages = match self {
            Self::Web => vec![web::event(event)],
            Self::Mobile => mobile::events(event),
        };
        messages.iter().map(Value::to_string).collect()
    }

    fn answer(self, heard: &Heard, settings: &Settings) -> Option<Value> {
        match self {
            Self::Web => web::answer(heard, settings),
            // Phones are told events and nothing else.
            Self::Mobile => None,
        }
    }
}

/// What the socket's URL says.
#[derive(Default)]
struct Parameters {
    auth: Option<String>,
    cid: Option<String>,
    iwpv: Option<String>,
    user_id: Option<String>,
}

impl Parameters {
    fn read(query: &str) -> Self {
        let mut parameters = Self::default();
        // The SDKs do not encode what they put in, so that a plus is a plus.
        let query = query.replace('+', "%2B");
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let parameter = match &*name {
                "auth" => &mut parameters.auth,
                "cid" => &mut parameters.cid,
                "iwpv" => &mut parameters.iwpv,
                "userId" => &mut parameters.user_id,
                _ => continue,
            };
            *parameter = Some(value.into_owned());
        }
        parameters
    }
}

/// What a client says, in either protocol.
#[derive(Deserialize)]
struct Heard {
    tid: Option<String>,
    action: String,
    #[serde(default)]
    data: Asked,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Asked {
    channel: Option<String>,
    account_id: Option<String>,
    client_source_id: Option<String>,
}

/// `GET /`
pub(super) async fn open(
    State(Context { courier, stopped }): State<Context>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return reply::error(426, "This is where sockets are opened");
    };
    let parameters = Parameters::read(&query.unwrap_or_default());
    let ticket = match Ticket::check(&courier, parameters) {
        Ok(ticket) => ticket,
        Err(refusal) => return refusal.into(),
    };
    upgrade.on_upgrade(move |socket| {
        let open = OpenSocket::new(courier, ticket);
        open.run(socket, stopped)
    })
}

/// What a client showed to get in.
struct Ticket {
    token: String,
    user: String,
    source: Option<String>,
    protocol: Protocol,
    /// Whether there is anything to be heard with this token.
    hears: bool,
    expires: Option<SystemTime>,
}

impl Ticket {
    fn check(courier: &Courier, parameters: Parameters) -> Result<Self, Refusal> {
        let token = parameters.auth.ok_or(Refusal::Unauthorized)?;
        let claims = courier.tokens().verify(&token);
        let claims = claims.map_err(|_| Refusal::Unauthorized)?;
        let protocol = match parameters.iwpv {
            Some(_) => Protocol::Web,
            None => Protocol::Mobile,
        };
        // Phones name the user only when they subscribe.
        let user = parameters.user_id;
        let user = user.or_else(|| claims.user_ids().next().map(str::to_owned));
        let user = user.unwrap_or_default();
        let hears = access::names_user(&claims, &user) && access::has_scope(&claims, SCOPE);
        if !hears && courier.settings().missing_scope == MissingScope::Forbidden {
            return Err(Refusal::Forbidden);
        }
        let expires = claims.exp.and_then(|exp| u64::try_from(exp).ok());
        Ok(Self {
            token,
            user,
            source: parameters.cid,
            protocol,
            hears,
            expires: expires.map(|exp| UNIX_EPOCH + Duration::from_secs(exp)),
        })
    }
}

/// A socket in the hub, until this is dropped.
struct OpenSocket {
    courier: Courier,
    ticket: Ticket,
    number: u64,
    outgoing: UnboundedReceiver<Outgoing>,
}

impl OpenSocket {
    fn new(courier: Courier, ticket: Ticket) -> Self {
        let (sender, outgoing) = unbounded_channel();
        let number = courier.state().hub.open(Socket {
            user: ticket.user.clone(),
            source: ticket.source.clone(),
            protocol: ticket.protocol,
            subscription: None,
            outgoing: sender,
        });
        Self {
            courier,
            ticket,
            number,
            outgoing,
        }
    }

    async fn run(mut self, mut socket: WebSocket, mut stopped: Stopped) {
        tokio::select! {
            () = self.converse(&mut socket) => {}
            () = stopped.wait() => {}
        }
    }

    async fn converse(&mut self, socket: &mut WebSocket) {
        let mut expiry = pin!(expiry(self.courier.clone(), &self.ticket));
        loop {
            let message = tokio::select! {
                heard = socket.recv() => match heard {
                    Some(Ok(Message::Text(text))) => match self.hear(&text) {
                        Some(answer) => Message::text(answer),
                        None => continue,
                    },
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => continue,
                },
                outgoing = self.outgoing.recv() => match outgoing {
                    Some(Outgoing::Text(text)) => Message::text(text),
                    Some(Outgoing::Close { code, reason }) => return close(socket, code, reason).await,
                    // `reset` has taken the socket out of the hub.
                    None => return,
                },
                code = &mut expiry => {
                    return close(socket, code, String::new()).await;
                }
            };
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }

    fn hear(&self, text: &str) -> Option<String> {
        // What is not understood is not answered, and does no harm.
        let heard: Heard = serde_json::from_str(text).ok()?;
        let mut state = self.courier.state();
        match heard.action.as_str() {
            "subscribe" => {
                let channel = heard.data.channel.as_deref();
                let own = channel.is_none_or(|channel| channel == self.ticket.user);
                let socket = state.hub.get_mut(self.number)?;
                if own && self.ticket.hears {
                    socket.subscription = Some(Subscription {
                        tenant: heard.data.account_id.clone(),
                    });
                }
                if let Some(source) = &heard.data.client_source_id {
                    socket.source = Some(source.clone());
                }
            }
            "unsubscribe" => state.hub.get_mut(self.number)?.subscription = None,
            _ => {}
        }
        let answer = self.ticket.protocol.answer(&heard, &state.settings);
        answer.map(|answer| answer.to_string())
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.courier.state().hub.forget(self.number);
    }
}

/// Returns the code to close with, once the token has expired and if that is to close the socket.
fn expiry(courier: Courier, ticket: &Ticket) -> impl Future<Output = u16> + use<> {
    let (token, expires) = (ticket.token.clone(), ticket.expires);
    async move {
        loop {
            let left = expires.and_then(|at| at.duration_since(SystemTime::now()).ok());
            // A fault may move the emulator's clock meanwhile, and the setting may change.
            let pause = left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
            tokio::time::sleep(pause.max(SHORTEST_PAUSE)).await;
            let expired = courier.tokens().verify(&token) == Err(VerifyError::Expired);
            if let (true, AtExpiry::Close(code)) = (expired, courier.settings().at_expiry) {
                return code;
            }
        }
    }
}

/// Closes it the way the protocol has it, or just ends the connection where the code must not be sent.
async fn close(socket: &mut WebSocket, code: u16, reason: String) {
    let sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !sendable {
        return;
    }
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if socket.send(Message::Close(Some(frame))).await.is_err() {
        return;
    }
    // The client's own close frame comes back, and only then is the connection ended.
    let end = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _overdue = tokio::time::timeout(FAREWELL, end).await;
}

const SCOPE: &str = "inbox:read:messages";
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const FAREWELL: Duration = Duration::from_secs(5);
