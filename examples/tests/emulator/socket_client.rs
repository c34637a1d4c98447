use courier_auth_examples::emulator::CourierServer;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, protocol::CloseFrame},
};

use crate::user::{LIMIT, User};

/// A client's end of a socket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one as courier-js does, and does not yet ask for anything.
    pub(crate) async fn open(courier: &CourierServer, user: &User, cid: &str) -> Self {
        let parameters = format!("auth={}&cid={cid}&iwpv=v1&userId={}", user.token, user.id);
        Self::connect(courier, &parameters).await.unwrap()
    }

    /// Opens one and asks for everything.
    pub(crate) async fn subscribe(courier: &CourierServer, user: &User, cid: &str) -> Self {
        let mut socket = Self::open(courier, user, cid).await;
        socket.ask_for_all(user, None).await;
        socket
    }

    /// # Errors
    ///
    /// The status of the answer, if it is no socket.
    pub(crate) async fn connect(courier: &CourierServer, parameters: &str) -> Result<Self, u16> {
        let url = format!("{}/?{parameters}", courier.socket_url());
        match timeout(LIMIT, connect_async(url)).await.unwrap() {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Subscribes in the web's protocol, and waits until that is done.
    pub(crate) async fn ask_for_all(&mut self, user: &User, tenant: Option<&str>) {
        let mut data = json!({ "channel": user.id, "event": "*" });
        if let Some(tenant) = tenant {
            data["accountId"] = tenant.into();
        }
        self.say(&json!({ "tid": "s", "action": "subscribe", "data": data }))
            .await;
        assert_eq!(self.hear().await, json!({ "tid": "s", "response": "ack" }));
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        self.0.send(message).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Value {
        match timeout(LIMIT, self.0.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is on the way: what was asked last is what is answered next.
    pub(crate) async fn hears_nothing(&mut self) {
        self.say(&json!({ "tid": "p", "action": "ping" })).await;
        assert_eq!(self.hear().await, json!({ "tid": "p", "response": "pong" }));
    }

    /// Waits until it is closed; `None` without a close frame.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(LIMIT, self.0.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}
