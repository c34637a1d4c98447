use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, TlsCertificates, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{
    runtime::{self, Handle},
    time::{Instant, timeout},
};

use super::configuration;
use crate::{error::Error, shared::SharedCacheError};

/// The connection in use, made when it is needed and made again when it is no good.
///
/// Not redis's own `ConnectionManager`: that one belongs to the runtime on which it was made, and
/// does not notice a peer that has gone without a word.
pub(super) struct Links {
    source: Source,
    link: Mutex<Option<Arc<Link>>>,
}

impl Links {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            link: Mutex::new(None),
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Runs a command, once more on a new connection if the one in use turns out to be closed: all
    /// commands may be repeated.
    pub(super) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let (link, is_new) = self.link();
        match self.run_on(&link, command).await {
            Err(error) if error.is_unrecoverable_error() && !is_new => {
                self.run_on(&self.link().0, command).await
            }
            outcome => outcome,
        }
    }

    async fn run_on(&self, link: &Arc<Link>, command: &Cmd) -> RedisResult<Value> {
        let mut connection = match link.connected.clone().await {
            Ok(connection) => connection,
            Err(error) => {
                self.drop_link(link);
                return Err(error);
            }
        };
        let mut attempt = Attempt {
            links: self,
            link,
            answered: false,
        };
        let outcome = connection.run(command).await;
        match &outcome {
            Err(error) if error.is_unrecoverable_error() => self.drop_link(link),
            Err(error) if error.is_timeout() => {}
            _ => attempt.answered = true,
        }
        outcome
    }

    /// The link in use, or a new one that begins to connect, and which of both it is.
    fn link(&self) -> (Arc<Link>, bool) {
        let runtime = Handle::current();
        let mut current = self.lock();
        if let Some(link) = current.as_ref().filter(|link| link.runtime == runtime.id()) {
            return (Arc::clone(link), false);
        }
        let link = Arc::new(Link {
            runtime: runtime.id(),
            connected: self.source.connect(&runtime),
            silent: AtomicU32::new(0),
            heard: Mutex::new(Instant::now()),
        });
        *current = Some(Arc::clone(&link));
        (link, true)
    }

    /// Has the next command connect anew, unless another has seen to that.
    fn drop_link(&self, link: &Arc<Link>) {
        self.lock().take_if(|here| Arc::ptr_eq(here, link));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, or one that is being made.
struct Link {
    runtime: runtime::Id,
    /// In a task of its own: callers wait 50 ms, and TLS may take longer.
    connected: Connecting,
    /// Commands without an answer since the last one with.
    silent: AtomicU32,
    heard: Mutex<Instant>,
}

/// One command on its way. Dropped without an answer, it counts against the connection: a peer that
/// vanished (a failover, a firewall that forgot) never closes it, and TCP waits for a quarter of an
/// hour.
struct Attempt<'a> {
    links: &'a Links,
    link: &'a Arc<Link>,
    answered: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut heard = self
            .link
            .heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.answered {
            self.link.silent.store(0, Ordering::Relaxed);
            *heard = Instant::now();
            return;
        }
        let silent = self.link.silent.fetch_add(1, Ordering::Relaxed) + 1;
        if silent >= MAX_SILENT && heard.elapsed() >= SILENCE {
            drop(heard);
            self.links.drop_link(self.link);
        }
    }
}

#[derive(Clone)]
enum Connection {
    Node(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(node) => node.req_packed_command(command).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.req_packed_command(command).await,
        }
    }
}

/// Where Redis is and how to get in.
#[derive(Clone)]
pub(super) struct Source {
    nodes: Vec<ConnectionInfo>,
    /// Authorities to trust instead of the system's, as PEM.
    roots: Vec<u8>,
    client: AnyClient,
}

#[derive(Clone)]
enum AnyClient {
    Node(Arc<Client>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Arc<redis::cluster::ClusterClient>),
}

impl Source {
    pub(super) fn node(info: ConnectionInfo) -> Result<Self, Error> {
        Self::new(vec![info], Vec::new(), false)
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) fn cluster(nodes: Vec<ConnectionInfo>) -> Result<Self, Error> {
        Self::new(nodes, Vec::new(), true)
    }

    /// The same, trusting these authorities as well as those that were named before.
    pub(super) fn trusting(&self, pem: &[u8]) -> Result<Self, Error> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        if certificates.is_ok_and(|certificates| certificates.is_empty()) {
            return Err(configuration(
                "the root certificate for Redis holds no PEM block `-----BEGIN CERTIFICATE-----`",
            ));
        }
        let roots = [&self.roots[..], b"\n", pem].concat();
        Self::new(self.nodes.clone(), roots, self.client.is_cluster())
    }

    fn new(nodes: Vec<ConnectionInfo>, roots: Vec<u8>, is_cluster: bool) -> Result<Self, Error> {
        let certificates = (!roots.is_empty()).then(|| TlsCertificates {
            client_tls: None,
            root_cert: Some(roots.clone()),
        });
        let client = match is_cluster {
            false => AnyClient::node(&nodes, certificates.as_ref()),
            true => AnyClient::cluster(&nodes, certificates),
        };
        // What redis says is left out: it may quote what it was given.
        let client = client.map_err(|_| {
            configuration(
                "Redis cannot be set up: a root certificate must be PEM and needs rediss://; the \
                 nodes of a cluster, at least one, differ in host and port alone",
            )
        })?;
        Ok(Self {
            nodes,
            roots,
            client,
        })
    }

    /// Begins to connect, on this runtime.
    fn connect(&self, runtime: &Handle) -> Connecting {
        let client = self.client.clone();
        let tls = self
            .nodes
            .iter()
            .any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }));
        let task = runtime.spawn(async move {
            if tls {
                choose_cryptography();
            }
            match timeout(CONNECT_LIMIT, client.connect()).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        });
        task.map(|outcome| outcome.unwrap_or_else(|_| Err(gone())))
            .boxed()
            .shared()
    }

    /// What went wrong, for logs: on one line, without a password.
    pub(super) fn describe(&self, error: &RedisError) -> SharedCacheError {
        let mut text = error.to_string();
        // A server that does not know a command quotes its arguments, those of `AUTH` as well.
        for node in &self.nodes {
            if let Some(password) = node.redis_settings().password().filter(|it| !it.is_empty()) {
                text = text.replace(password, "[the password]");
            }
        }
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_ERROR_CHARS)
            .collect();
        SharedCacheError::new(format!("Redis ({}): {text}", self.address()))
    }

    /// Where it is, without user and password.
    pub(super) fn address(&self) -> String {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.addr().to_string())
            .collect();
        nodes.join(", ")
    }
}

impl AnyClient {
    fn node(nodes: &[ConnectionInfo], tls: Option<&TlsCertificates>) -> RedisResult<Self> {
        let node = nodes.first().ok_or_else(no_node)?.clone();
        let settings = node
            .redis_settings()
            .clone()
            .set_lib_name("courier-auth", env!("CARGO_PKG_VERSION"));
        let node = node.set_redis_settings(settings);
        let client = match tls {
            Some(certificates) => Client::build_with_tls(node, certificates.clone())?,
            None => Client::open(node)?,
        };
        Ok(Self::Node(Arc::new(client)))
    }

    #[cfg(feature = "redis-cluster")]
    fn cluster(nodes: &[ConnectionInfo], tls: Option<TlsCertificates>) -> RedisResult<Self> {
        let mut builder = redis::cluster::ClusterClient::builder(nodes.iter().cloned())
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            .overall_response_timeout(Some(RESPONSE_TIMEOUT));
        if let Some(certificates) = tls {
            builder = builder.certs(certificates);
        }
        Ok(Self::Cluster(Arc::new(builder.build()?)))
    }

    #[cfg(not(feature = "redis-cluster"))]
    fn cluster(_: &[ConnectionInfo], _: Option<TlsCertificates>) -> RedisResult<Self> {
        Err(no_node())
    }

    fn is_cluster(&self) -> bool {
        match self {
            Self::Node(_) => false,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => true,
        }
    }

    async fn connect(&self) -> RedisResult<Connection> {
        match self {
            Self::Node(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT))
                    .set_pipeline_buffer_size(PIPELINE);
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
                    .map(Connection::Node)
            }
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

/// redis takes the cryptography that is the default of the process, and panics if there is none
/// and more than one is compiled in. An app that has chosen one keeps it.
fn choose_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

fn no_node() -> RedisError {
    (ErrorKind::InvalidClientConfig, "no node is named").into()
}

fn gone() -> RedisError {
    (ErrorKind::Io, "the task that connects went away").into()
}

type Connecting = Shared<BoxFuture<'static, RedisResult<Connection>>>;

/// For TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For all of it: a cluster's nodes are tried one after the other.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The provider waits less.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that may wait to be written; a deploy has every user looked up at once.
const PIPELINE: usize = 1024;
const MAX_SILENT: u32 = 3;
const SILENCE: Duration = Duration::from_secs(1);
const MAX_ERROR_CHARS: usize = 200;
