//! A listener on loopback, and which path leads where.

use std::{convert::Infallible, error::Error, fmt, io, net::Ipv4Addr, ops::Deref, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, Request, State},
    http::{HeaderName, Method, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tower::ServiceExt;
use tower_http::cors::{Any, CorsLayer};

use super::{
    control,
    courier::Courier,
    fault::{InboxFault, Surface},
    graphql,
    reply::{self, Broken},
    rest, socket, users,
};

/// A [`Courier`] that listens on loopback. Dropped, it closes its port, its connections and its sockets.
#[must_use = "the emulator stops listening when this is dropped"]
pub struct CourierServer {
    courier: Courier,
    url: String,
    task: JoinHandle<()>,
    /// Dropped, it tells the sockets, which are no longer connections of HTTP.
    _running: watch::Sender<()>,
}

impl CourierServer {
    /// The one base URL for everything, such as `http://127.0.0.1:4000`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same for sockets, such as `ws://127.0.0.1:4000`.
    pub fn socket_url(&self) -> String {
        self.url.replacen("http", "ws", 1)
    }

    /// What courier-js takes as `apiUrls`; `signIn` of all the web SDKs has it.
    pub fn api_urls(&self) -> Value {
        let url = &self.url;
        json!({
            "courier": { "rest": url, "graphql": format!("{url}/client/q") },
            "inbox": { "graphql": format!("{url}/q"), "webSocket": self.socket_url() },
        })
    }

    /// The emulator behind the listener. A clone of it outlives the listener.
    pub fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Stops like a drop, and returns once the port is closed.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // It was aborted: its result says nothing else.
        let _aborted = (&mut self.task).await;
    }
}

impl Deref for CourierServer {
    type Target = Courier;

    fn deref(&self) -> &Courier {
        &self.courier
    }
}

impl Drop for CourierServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for CourierServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierServer")
            .field("url", &self.url)
            .field("courier", &self.courier)
            .finish_non_exhaustive()
    }
}

impl Courier {
    /// Starts a new emulator on a free port. It needs a Tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened.
    pub async fn start() -> io::Result<CourierServer> {
        Self::new().serve(0).await
    }

    /// Listens on this port of 127.0.0.1; 0 is any free one. It needs a Tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened, because it is taken for example.
    pub async fn serve(self, port: u16) -> io::Result<CourierServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (running, stopped) = watch::channel(());
        let router = router(Context {
            courier: self.clone(),
            stopped: Stopped(stopped),
        });
        Ok(CourierServer {
            courier: self,
            url,
            task: tokio::spawn(accept(router, listener)),
            _running: running,
        })
    }
}

/// What the routes know.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) courier: Courier,
    pub(super) stopped: Stopped,
}

impl FromRef<Context> for Courier {
    fn from_ref(context: &Context) -> Self {
        context.courier.clone()
    }
}

/// Whether the listener is gone.
#[derive(Clone)]
pub(super) struct Stopped(watch::Receiver<()>);

impl Stopped {
    pub(super) async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

fn router(context: Context) -> Router {
    let failing = |surface, routes: Router<Context>| {
        let state = (context.courier.clone(), surface);
        routes.route_layer(middleware::from_fn_with_state(state, fail))
    };
    let inbox = Router::new().route("/q", post(graphql::inbox));
    let client = Router::new().route("/client/q", post(graphql::client));
    let socket = Router::new().route("/", get(socket::open));
    Router::new()
        .merge(rest::core_routes())
        .merge(control::routes())
        .merge(failing(Surface::Inbox, inbox))
        .merge(failing(Surface::Client, client))
        .merge(failing(Surface::Socket, socket))
        .merge(failing(
            Surface::Rest,
            rest::routes().merge(users::routes()),
        ))
        .fallback(async || reply::error(404, "Not Found"))
        .method_not_allowed_fallback(async || reply::error(405, "Method Not Allowed"))
        // Around everything, so that a browser's script can read the errors too.
        .layer(cors())
        .with_state(context)
}

/// Each header by its name: `*` does not cover `authorization`.
fn cors() -> CorsLayer {
    let headers = [
        "x-courier-ua",
        "x-courier-user-id",
        "x-courier-client-source-id",
        "x-courier-client-key",
        "x-courier-user-signature",
        "idempotency-key",
    ]
    .map(HeaderName::from_static);
    let headers = headers
        .into_iter()
        .chain([header::AUTHORIZATION, header::CONTENT_TYPE]);
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers(headers.collect::<Vec<_>>())
        .max_age(Duration::from_secs(600))
}

async fn fail(
    State((courier, surface)): State<(Courier, Surface)>,
    request: Request,
    next: Next,
) -> Response {
    let fault = courier.state().faults.take(surface);
    match fault {
        Some(InboxFault::Status(status)) => reply::error(status, "The emulator was told to fail"),
        Some(InboxFault::Errors(message)) => reply::json(200, &graphql::errors(&message)),
        Some(InboxFault::Html) => reply::html(),
        Some(InboxFault::Latency(latency)) => {
            tokio::time::sleep(latency).await;
            next.run(request).await
        }
        Some(InboxFault::Hang) => std::future::pending().await,
        None => next.run(request).await,
    }
}

async fn accept(router: Router, listener: TcpListener) {
    // Dropping the set aborts the connections in it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(router.clone(), stream));
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

async fn connection(router: Router, stream: TcpStream) {
    let service = service_fn(|request| handle(router.clone(), request));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the Courier emulator broke");
    }
}

/// An error makes hyper close the connection.
async fn handle(
    router: Router,
    request: hyper::Request<Incoming>,
) -> Result<Response, Box<dyn Error + Send + Sync>> {
    let method = request.method().clone();
    let response: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
    let response = response?;
    // Neither the path nor the query: a device's push token is in one, and a socket's token in the other.
    tracing::debug!(%method, status = response.status().as_u16(), "the Courier emulator was called");
    match response.extensions().get::<Broken>() {
        Some(_) => Err("the answer is not to be sent".into()),
        None => Ok(response),
    }
}
