//! The emulator of Courier, seen by clients over real sockets.

#![cfg(feature = "emulator")]
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
mod issue;
mod log;
mod server;

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use courier_auth_core::emulator::{Answer, Claims, Emulator, EmulatorServer};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const SCOPE: &str = "user_id:user-1 inbox:read:messages inbox:write:events";

/// Long enough for any machine: reached only where a test would hang otherwise.
const LONG: Duration = Duration::from_secs(20);

async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.unwrap()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    bounded(poll).await;
}

async fn start() -> EmulatorServer {
    Emulator::start().await.unwrap()
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(LONG);
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// Asks for a token with the right key.
async fn try_ask(courier: &EmulatorServer, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/auth/issue-token", courier.url());
    let request = client().post(url).bearer_auth(courier.api_key()).json(body);
    request.send().await
}

async fn ask(courier: &EmulatorServer, body: &Value) -> Response {
    try_ask(courier, body).await.unwrap()
}

fn usual() -> Value {
    json!({ "scope": SCOPE, "expires_in": "1h" })
}

async fn token(courier: &EmulatorServer, body: &Value) -> String {
    let response = ask(courier, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "only a token");
    body["token"].as_str().unwrap().to_owned()
}

async fn claims(courier: &EmulatorServer, body: &Value) -> Claims {
    courier.verify(&token(courier, body).await).unwrap()
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(body["message"].is_string());
    (status, body["type"].as_str().unwrap_or_default().to_owned())
}

fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The same request by hand, for what a client library would not show.
fn raw_request(courier: &EmulatorServer) -> String {
    let body = usual().to_string();
    format!(
        "POST /auth/issue-token HTTP/1.1\r\nhost: courier\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        courier.api_key(),
        body.len(),
    )
}

async fn connect(courier: &EmulatorServer) -> io::Result<TcpStream> {
    let address = courier.url().strip_prefix("http://").unwrap();
    bounded(TcpStream::connect(address)).await
}

/// What arrives until the server closes, and how it closes.
async fn raw_answer(courier: &EmulatorServer) -> (String, io::Result<usize>) {
    let mut stream = connect(courier).await.unwrap();
    let request = raw_request(courier);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = bounded(stream.read_to_end(&mut answer)).await;
    (String::from_utf8(answer).unwrap(), end)
}

/// One answer of several on a connection.
async fn next_answer(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with('}') {
        let read = bounded(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(read, 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    answer
}

fn respond(emulator: &Emulator, body: &[u8]) -> Answer {
    let key = format!("Bearer {}", emulator.api_key());
    emulator.respond(
        "POST",
        "/auth/issue-token",
        &[("Authorization", &key)],
        body,
    )
}
