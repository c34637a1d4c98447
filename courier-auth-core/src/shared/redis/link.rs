use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, RedisResult, Value};
use tokio::{
    runtime::{self, Handle},
    time::{Instant, timeout},
};

use super::source::{Connecting, Source};

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

    /// Runs a command, once more on a new connection if the one in use turns out to be no good: all
    /// commands may be repeated.
    pub(super) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let (link, is_new) = self.link();
        let error = match self.run_on(&link, command).await {
            Err(error) if !is_new && !self.is_current(&link) => error,
            outcome => return outcome,
        };
        let again = async { self.run_on(&self.link().0, command).await };
        if !link.has_failed() {
            return again.await;
        }
        timeout(AGAIN_LIMIT, again).await.unwrap_or(Err(error))
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
            // The primary has become a replica, and its name is that of another machine now.
            Err(error) if error.code() == Some("READONLY") => {
                attempt.answered = true;
                self.drop_link(link);
            }
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
            lost: AtomicU32::new(0),
            since: Instant::now(),
        });
        *current = Some(Arc::clone(&link));
        (link, true)
    }

    /// Has the next command connect anew, unless another has seen to that.
    fn drop_link(&self, link: &Arc<Link>) {
        self.lock().take_if(|here| Arc::ptr_eq(here, link));
    }

    fn is_current(&self, link: &Arc<Link>) -> bool {
        let current = self.lock();
        current.as_ref().is_some_and(|here| Arc::ptr_eq(here, link))
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
    /// Commands without an answer, whatever the others brought: of a cluster's nodes one may have
    /// vanished, and which other stands in for it is asked by a new connection alone.
    lost: AtomicU32,
    since: Instant,
}

impl Link {
    /// Whether no connection came of it.
    fn has_failed(&self) -> bool {
        matches!(self.connected.peek(), Some(Err(_)))
    }
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
        let lost = self.link.lost.fetch_add(1, Ordering::Relaxed) + 1;
        let is_dead = silent >= MAX_SILENT && heard.elapsed() >= SILENCE;
        let is_lossy = lost >= MAX_LOST && self.link.since.elapsed() >= LOSSY;
        if is_dead || is_lossy {
            drop(heard);
            self.links.drop_link(self.link);
        }
    }
}

/// Less than callers wait, who would otherwise never hear why the last attempt to connect failed.
const AGAIN_LIMIT: Duration = Duration::from_millis(40);
const MAX_SILENT: u32 = 3;
const SILENCE: Duration = Duration::from_secs(1);
const MAX_LOST: u32 = 20;
/// So that a store which is slow is not connected to all the time.
const LOSSY: Duration = Duration::from_secs(10);
