use std::{io, sync::Arc, time::Duration};

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
use tokio::{runtime::Handle, time::timeout};

use super::configuration;
use crate::{error::Error, shared::SharedCacheError};

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
        let client = if is_cluster {
            AnyClient::cluster(&nodes, certificates)
        } else {
            AnyClient::node(&nodes, certificates.as_ref())
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
    pub(super) fn connect(&self, runtime: &Handle) -> Connecting {
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
        // A server that does not know a command quotes its arguments, those of `AUTH` as well, and
        // only the beginning of long ones.
        if let Some(arguments) = text.find("with args") {
            text.truncate(arguments);
        }
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
        SharedCacheError::new(format!("{}: {text}", self.place()))
    }

    pub(super) fn place(&self) -> String {
        format!("Redis ({})", self.address())
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

/// An open connection, or those to all nodes.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    pub(super) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Node(node) => node.req_packed_command(command).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.req_packed_command(command).await,
        };
        // An error of the server's comes as a value.
        value?.extract_error()
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

/// The outcome of connecting, for all that wait for it.
pub(super) type Connecting = Shared<BoxFuture<'static, RedisResult<Connection>>>;

/// For TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For all of it: a cluster's nodes are tried one after the other.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// The provider waits less.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that may wait to be written; a deploy has every user looked up at once.
const PIPELINE: usize = 1024;
const MAX_ERROR_CHARS: usize = 200;
