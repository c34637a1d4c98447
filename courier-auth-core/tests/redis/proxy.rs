//! What can go wrong on the way to a server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    /// Connections come about, and nothing ever comes back.
    BlackHole,
    /// Each answer comes late.
    Slow(Duration),
    /// The connection is closed when half of an answer has come through.
    Torn,
}

/// Between a cache and its server, on loopback. Dropped, it closes its port and its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &str, way: Way) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(way);
        let connections = Arc::<AtomicUsize>::default();
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (ways, server) = (ways.clone(), server.clone());
                tasks.spawn(async move {
                    // Whichever side ends it: nobody is left to be told.
                    let _ended = carry(client, &server, ways).await;
                });
            }
        });
        Self {
            address,
            way,
            connections,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// What goes wrong from now on, on open connections too.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: &str, ways: watch::Receiver<Way>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth = io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            let way = *ways.borrow();
            match way {
                _ if length == 0 => return Ok(()),
                Way::Clear => to_client.write_all(&buffer[..length]).await?,
                Way::BlackHole => {}
                Way::Slow(late) => {
                    sleep(late).await;
                    to_client.write_all(&buffer[..length]).await?;
                }
                Way::Torn => {
                    to_client.write_all(&buffer[..length / 2]).await?;
                    return Ok(());
                }
            }
        }
    };
    tokio::select! {
        forth = forth => forth.map(drop),
        back = back => back,
    }
}
