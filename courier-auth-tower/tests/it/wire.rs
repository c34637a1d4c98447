//! What goes over a real connection, byte for byte.

use std::net::SocketAddr;

use axum::Router;
use courier_auth_core::emulator::EmulatorServer;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::Layer;

use crate::app::{by_header, courier, serve, within};

/// A keep-alive connection to an app.
struct Connection(TcpStream);

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// The head of the next response.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// The next response, by its `content-length`.
    async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let mut body = vec![0; length(&head).unwrap()];
        within(self.0.read_exact(&mut body)).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Asks for the token, which shows that the connection is alive and in step.
    async fn works(&mut self) {
        self.write(request("GET", "")).await;
        let (head, body) = self.response().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.starts_with("{\"token\":"), "{body}");
    }
}

fn request(method: &str, headers: &str) -> String {
    format!("{method} /courier/token HTTP/1.1\r\nhost: x\r\nx-test-user: user-1\r\n{headers}\r\n")
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn length(head: &str) -> Option<usize> {
    field(head, "content-length")?.parse().ok()
}

/// The same app as a layered router, as routes, and without axum.
async fn forms(courier: &EmulatorServer) -> Vec<SocketAddr> {
    let layer = by_header(courier);
    vec![
        serve(Router::new().layer(layer.clone())).await,
        #[cfg(feature = "axum")]
        serve(Router::new().nest("/courier", layer.routes())).await,
        serve_bare(layer.layer(Router::new())).await,
    ]
}

async fn serve_bare(service: courier_auth_tower::CourierAuthService<Router>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

#[tokio::test]
async fn head_announces_what_get_sends_and_sends_nothing() {
    let courier = courier().await;
    for address in forms(&courier).await {
        let mut connection = Connection::open(address).await;
        connection.write(request("GET", "")).await;
        let (get, body) = connection.response().await;
        connection.write(request("HEAD", "")).await;
        let head = connection.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(field(&head, "etag"), field(&get, "etag"));
        // The seconds that are left in it may lose a digit between the two, never more.
        assert!(length(&head).unwrap().abs_diff(body.len()) <= 2, "{head}");
        connection.works().await;
    }
}

#[tokio::test]
async fn not_modified_has_neither_body_nor_length() {
    let courier = courier().await;
    for address in forms(&courier).await {
        let mut connection = Connection::open(address).await;
        connection.write(request("GET", "")).await;
        let (get, _) = connection.response().await;
        let held = field(&get, "etag").unwrap();
        connection
            .write(request("GET", &format!("if-none-match: {held}\r\n")))
            .await;
        let head = connection.head().await;
        assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{head}");
        assert_eq!(length(&head), None, "{head}");
        assert_eq!(field(&head, "content-type"), None, "{head}");
        connection.works().await;
    }
}

#[tokio::test]
async fn a_small_body_that_comes_late_does_not_cost_the_connection() {
    let courier = courier().await;
    for address in forms(&courier).await {
        let mut connection = Connection::open(address).await;
        // The token is cached, so that nothing but the body is waited for.
        connection.works().await;
        connection
            .write(request("POST", "content-length: 8192\r\n"))
            .await;
        // hyper sees the head alone.
        tokio::task::yield_now().await;
        connection.write(vec![b'x'; 8192]).await;
        let (head, _) = connection.response().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        connection.works().await;

        connection
            .write(request("POST", "transfer-encoding: chunked\r\n"))
            .await;
        connection.write("5\r\nhello\r\n0\r\n\r\n").await;
        connection.response().await;
        connection.works().await;
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_a_small_body_gets_it() {
    let courier = courier().await;
    let address = serve(Router::new().layer(by_header(&courier))).await;
    let mut connection = Connection::open(address).await;
    connection
        .write(request(
            "POST",
            "content-length: 5\r\nexpect: 100-continue\r\n",
        ))
        .await;
    assert_eq!(connection.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write("hello").await;
    connection.response().await;
    connection.works().await;
}

#[tokio::test]
async fn a_large_body_is_answered_without_being_read() {
    let courier = courier().await;
    for address in forms(&courier).await {
        let mut connection = Connection::open(address).await;
        connection
            .write(request("POST", "content-length: 200000\r\n"))
            .await;
        // The answer does not wait for a body.
        let (head, body) = connection.response().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.starts_with("{\"token\":"), "{body}");

        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client
            .post(format!("http://{address}/courier/token"))
            .header("x-test-user", "user-1")
            .body(vec![b'x'; 200_000])
            .send();
        let response = within(response).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.unwrap().starts_with("{\"token\":"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_holds_no_answer_up() {
    let courier = courier().await;
    for address in forms(&courier).await {
        let mut connection = Connection::open(address).await;
        connection.works().await;
        connection
            .write(request("GET", "content-length: 10\r\n"))
            .await;
        // `head` has a time limit of its own.
        connection.head().await;
    }
}
