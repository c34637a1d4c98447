use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    admission::Urgency,
    clock::Clock,
    peers::Peers,
    stalled::StalledFlights,
    status::Status,
    terms::KnownTerms,
    upstream::{Gate, Upstream},
    users::UserMap,
};
use crate::{
    error::{Error, ErrorKind},
    metrics::{self, Levels},
};

/// What the tasks of a cache share with it.
pub(crate) struct Shared {
    pub(super) users: UserMap,
    pub(super) terms: KnownTerms,
    pub(super) gate: Gate,
    pub(super) stalled: StalledFlights,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) peers: Option<Arc<dyn Peers>>,
    /// Held while an API key comes into use, so that the last one does so everywhere.
    pub(super) key_change: Mutex<()>,
    home: Mutex<Option<Arc<Home>>>,
    pub(super) clock: Clock,
    last: Mutex<Last>,
    gauges: metrics::Share,
}

/// When flights last ended well and badly.
#[derive(Debug, Default)]
struct Last {
    success: Option<SystemTime>,
    error: Option<(SystemTime, Error)>,
}

impl Shared {
    pub(super) fn new(
        upstream: Arc<dyn Upstream>,
        peers: Option<Arc<dyn Peers>>,
        max_users: usize,
        runtime: Option<Handle>,
        clock: Clock,
    ) -> Self {
        let home = runtime.map(|runtime| Arc::new(Home::new(runtime, Arc::clone(&upstream))));
        Self {
            users: UserMap::new(max_users),
            terms: KnownTerms::default(),
            gate: Gate::new(upstream.region()),
            stalled: StalledFlights::default(),
            upstream,
            peers,
            key_change: Mutex::default(),
            home: Mutex::new(home),
            clock,
            last: Mutex::default(),
            gauges: metrics::Share::default(),
        }
    }

    /// Sets the metrics that go up and down. Must be called without locks.
    pub(super) fn show_gauges(&self) {
        self.gauges.show(|| Levels {
            users: self.users.len(),
            calls_in_flight: self.gate.calls(),
            queued: self.gate.queued(),
            circuit_open: self.gate.is_open(),
            api_key_refused: self.gate.is_key_refused(),
            #[cfg(feature = "shared-cache")]
            shared_cache_bypassed: self.peers.as_ref().is_some_and(|peers| peers.is_bypassed()),
        });
    }

    pub(super) fn status(&self) -> Status {
        self.show_gauges();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            users: self.users.len(),
            calls_in_flight: self.gate.calls(),
            queued: self.gate.queued(),
            circuit_open: self.gate.is_open(),
            api_key_refused: self.gate.is_key_refused(),
            last_success_at: last.success,
            last_error: last.error.as_ref().map(|(_, error)| error.clone()),
            last_error_at: last.error.as_ref().map(|(at, _)| *at),
            #[cfg(feature = "shared-cache")]
            shared_cache: self.peers.as_ref().map(|peers| peers.status()),
        }
    }

    /// Takes their permits from flights whose runtime stands still, if no other is left.
    pub(super) fn make_room(&self, urgency: Urgency, now: Instant) {
        if !self.gate.has_room(urgency) {
            self.stalled.release_overdue(now);
        }
    }

    /// The same for looks.
    pub(super) fn make_room_to_look(&self, now: Instant) {
        if !self.gate.has_room_to_look() {
            self.stalled.release_overdue(now);
        }
    }

    /// Where flights start: on the given runtime, or on that of the first caller.
    pub(super) fn home(&self) -> Result<Arc<Home>, Error> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        match home.clone() {
            Some(gone) if gone.is_gone() => {
                drop(home);
                self.move_home(&gone)
            }
            Some(home) => Ok(home),
            None => {
                let new = Arc::new(Home::new(current_runtime()?, Arc::clone(&self.upstream)));
                *home = Some(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    /// Moves to the caller's runtime and to new connections, unless somebody has moved already.
    pub(super) fn move_home(&self, from: &Arc<Home>) -> Result<Arc<Home>, Error> {
        if let Some(home) = self.moved(from) {
            return Ok(home);
        }
        // Without the lock: to set up TLS takes a while.
        let runtime = current_runtime()?;
        let new = Arc::new(Home::new(runtime, from.upstream.reconnected()));
        if let Some(home) = self.moved(from) {
            return Ok(home);
        }
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&new));
        Ok(new)
    }

    fn moved(&self, from: &Arc<Home>) -> Option<Arc<Home>> {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        home.clone().filter(|home| !Arc::ptr_eq(home, from))
    }

    /// Remembers how a flight ended.
    pub(super) fn note(&self, outcome: Result<(), &Error>, at: SystemTime) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => last.success = Some(at),
            Err(error) => last.error = Some((at, error.clone())),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("users", &self.users.len())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// A runtime and the connections that live on it.
pub(crate) struct Home {
    pub(crate) runtime: Handle,
    pub(crate) upstream: Arc<dyn Upstream>,
    gone: AtomicBool,
}

impl Home {
    pub(super) fn new(runtime: Handle, upstream: Arc<dyn Upstream>) -> Self {
        Self {
            runtime,
            upstream,
            gone: AtomicBool::new(false),
        }
    }

    /// Notes that the runtime has shut down, which cannot be asked of it.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

fn current_runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Runtime,
            "there is no Tokio runtime to ask Courier on: call from within one, or give one to \
             the builder",
        )
    })
}
