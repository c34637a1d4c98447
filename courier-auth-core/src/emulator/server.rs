//! A listener on loopback that carries out the emulator's answers, the torn ones too.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{self, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::answer::{Answer, Ending};
use super::issue::BODY_LIMIT;
use super::state::Emulator;

/// An [`Emulator`] that listens on loopback. Dropped, it closes its port and its connections.
#[must_use = "the emulator stops listening when this is dropped"]
pub struct EmulatorServer {
    emulator: Emulator,
    url: String,
    task: JoinHandle<()>,
}

impl EmulatorServer {
    /// The base URL for clients, such as `http://127.0.0.1:49152`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The emulator behind the listener. A clone of it outlives the listener.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Stops like a drop, and returns once the port is closed.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // It was aborted: its result says nothing else.
        let _aborted = (&mut self.task).await;
    }
}

impl Deref for EmulatorServer {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

impl Drop for EmulatorServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for EmulatorServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorServer")
            .field("url", &self.url)
            .field("emulator", &self.emulator)
            .finish_non_exhaustive()
    }
}

impl Emulator {
    /// Starts a new emulator on a free port. It needs a Tokio runtime with I/O and time, and answers while that runs: one
    /// with a single thread only within `block_on`.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened.
    pub async fn start() -> io::Result<EmulatorServer> {
        Self::new().serve(0).await
    }

    /// Listens on this port of 127.0.0.1; 0 is any free one. It needs a runtime as [`start`](Self::start) does.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened, because it is taken for example.
    pub async fn serve(self, port: u16) -> io::Result<EmulatorServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tracing::debug!(%url, "the Courier emulator listens");
        let task = tokio::spawn(accept(self.clone(), listener));
        Ok(EmulatorServer {
            emulator: self,
            url,
            task,
        })
    }
}

async fn accept(emulator: Emulator, listener: TcpListener) {
    // Dropping the set aborts the connections in it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(emulator.clone(), stream));
            }
            Err(error) => {
                tracing::debug!(%error, "the Courier emulator could not accept a connection");
                // Out of file descriptors, most likely, which lasts: do not spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(emulator: Emulator, stream: TcpStream) {
    let service = service_fn(|request| Box::pin(handle(&emulator, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await else {
        return;
    };
    let torn = error.source().and_then(|source| source.downcast_ref());
    let Some(Torn(answer)) = torn else {
        return;
    };
    let stream = connection.into_parts().io.into_inner();
    if let Err(error) = tear(stream, answer).await {
        tracing::debug!(%error, "the client of the Courier emulator left early");
    }
}

/// An error to hyper, which then leaves the connection as it is: the way to get the socket back from it.
#[derive(Debug)]
struct Torn(Answer);

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not to be sent as HTTP has it")
    }
}

impl Error for Torn {}

async fn handle(
    emulator: &Emulator,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let headers = head.headers.iter();
    let headers: Vec<_> = headers
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let answer = emulator.respond(head.method.as_str(), head.uri.path(), &headers, &body);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    match answer.ending {
        Ending::Complete => Ok(response(&answer)),
        // hyper notices when the client leaves, and ends this.
        Ending::Hang => match future::pending::<Infallible>().await {},
        _ => Err(Torn(answer).into()),
    }
}

/// The body, or the first bytes of it if it is too large: enough to see that it is.
async fn read(mut body: Incoming) -> hyper::Result<Vec<u8>> {
    /// A client that is still sending when the connection closes may never see the answer.
    const DRAIN_LIMIT: usize = 16 * BODY_LIMIT;
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().unwrap_or_default();
        seen += data.len();
        if kept.len() <= BODY_LIMIT {
            kept.extend_from_slice(&data);
        }
        if seen > DRAIN_LIMIT {
            break;
        }
    }
    Ok(kept)
}

/// What cannot be sent (a status of 1000, a line break in a header) is left out: only a fault can ask for it.
fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body.clone()));
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

async fn tear(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    let body = &answer.body;
    match answer.ending {
        // Closed with a linger time of zero, a socket sends RST instead of FIN.
        Ending::Reset => return stream.set_zero_linger(),
        Ending::TruncatedHead => stream.write_all(b"HTTP/1.1 2").await?,
        Ending::TruncatedBody => {
            stream.write_all(&head(answer)).await?;
            stream.write_all(&body[..body.len() / 2]).await?;
        }
        Ending::SlowBody(time) => {
            const PIECES: u32 = 8;
            stream.write_all(&head(answer)).await?;
            for piece in body.chunks(body.len().div_ceil(PIECES as usize).max(1)) {
                tokio::time::sleep(time / PIECES).await;
                stream.write_all(piece).await?;
            }
        }
        Ending::Complete | Ending::Hang => {}
    }
    stream.shutdown().await
}

/// Status line and headers as they go over the wire.
fn head(answer: &Answer) -> Vec<u8> {
    let response = response(answer);
    let mut head = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let last = format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        answer.body.len()
    );
    head.extend_from_slice(last.as_bytes());
    head
}
