//! Apps on real sockets, a client that shows what is on the wire, and waiting without sleeping.

use std::{fmt::Debug, net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpRequest, HttpServer,
    body::{MessageBody, to_bytes},
    dev::{ServerHandle, Service, ServiceResponse},
    test,
    web::ServiceConfig,
};
use courier_auth_actix::{CourierAuth, TokenProvider};
use courier_auth_core::emulator::{Emulator, EmulatorServer};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::endpoint::USER_HEADER;

pub(crate) const TOKEN: &str = "/courier/token";

pub(crate) async fn emulator() -> EmulatorServer {
    Emulator::start().await.unwrap()
}

pub(crate) fn provider(courier: &EmulatorServer) -> TokenProvider {
    TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap()
}

/// Signed in is whom the test header names.
pub(crate) fn by_header(provider: TokenProvider) -> CourierAuth {
    CourierAuth::new(
        provider,
        |request: HttpRequest| async move { user_of(&request) },
    )
}

pub(crate) fn user_of(request: &HttpRequest) -> Option<String> {
    let user = request.headers().get(USER_HEADER)?;
    user.to_str().ok().map(str::to_owned)
}

/// A request of a user, for apps that are tested without a socket.
pub(crate) fn get(uri: &str, user: &str) -> test::TestRequest {
    test::TestRequest::get()
        .uri(uri)
        .insert_header((USER_HEADER, user))
}

/// Bounds a wait that should not be one.
pub(crate) async fn within<T>(wait: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), wait).await.unwrap()
}

/// Waits for what gives no signal.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// What an app answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["token"].as_str().unwrap().to_owned()
    }

    /// What kind of problem it is.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        self.json()["code"].as_str().unwrap().to_owned()
    }

    fn parse(head: &str, body: &[u8]) -> Self {
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        Self {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// Asks an app without a socket.
pub(crate) async fn call<S, R, B, E>(app: &S, request: R) -> Answer
where
    S: Service<R, Response = ServiceResponse<B>, Error = E>,
    B: MessageBody,
    E: Debug,
{
    let (_, response) = within(test::call_service(app, request)).await.into_parts();
    let headers = response.headers().iter();
    Answer {
        status: response.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8(
            to_bytes(response.into_body())
                .await
                .unwrap_or_else(|_| panic!("a broken body"))
                .to_vec(),
        )
        .unwrap(),
    }
}

/// A real server on a free port, which stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    pub(crate) fn start(
        workers: usize,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let server = HttpServer::new(move || App::new().configure(configure.clone()))
            .workers(workers)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, handle }
    }

    pub(crate) fn with(courier: &CourierAuth) -> Self {
        let courier = courier.clone();
        Self::start(1, move |config| courier.routes()(config))
    }

    /// Stops at once; returns when the workers are gone.
    pub(crate) async fn stop(&self) {
        within(self.handle.stop(false)).await;
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request.as_bytes()).await;
        within(connection.rest()).await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The command is sent even if nobody waits for the outcome.
        drop(self.handle.stop(false));
    }
}

/// The head of a request after which the server closes the connection.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut head = keep_alive(method, target, headers);
    head.insert_str(head.len() - 2, "connection: close\r\n");
    head
}

pub(crate) fn keep_alive(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let headers = headers.iter();
    let headers: String = headers
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next answer, of a request that is not `HEAD`.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut seen = Vec::new();
        within(async {
            loop {
                let text = String::from_utf8_lossy(&seen).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let answer = Answer::parse(head, body.as_bytes());
                    let length = answer.header("content-length").unwrap();
                    if body.len() == length.parse::<usize>().unwrap() {
                        return answer;
                    }
                }
                assert_ne!(self.0.read_buf(&mut seen).await.unwrap(), 0, "{text}");
            }
        })
        .await
    }

    /// Everything until the server closes the connection, the body being what follows the head.
    async fn rest(&mut self) -> Answer {
        let mut seen = Vec::new();
        self.0.read_to_end(&mut seen).await.unwrap();
        let end = seen
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        Answer::parse(std::str::from_utf8(&seen[..end]).unwrap(), &seen[end + 4..])
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut more = Vec::new();
        within(self.0.read_to_end(&mut more)).await.is_err() || more.is_empty()
    }
}
