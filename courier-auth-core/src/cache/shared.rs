use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use quick_cache::{
    DefaultHashBuilder, Lifecycle, UnitWeighter,
    sync::{Cache, EntryAction, EntryResult},
};
use tokio::runtime::Handle;

use super::{
    clock::Clock,
    peers::Peers,
    slot::Slot,
    status::Status,
    upstream::{Gate, Upstream},
};
use crate::{
    error::{Error, ErrorKind},
    metrics::{self, Levels},
    token::Token,
};

/// What the tasks of a cache share with it.
pub(crate) struct Shared {
    seats: Cache<Arc<str>, Seat, UnitWeighter, DefaultHashBuilder, PinFlights>,
    pub(super) gate: Gate,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) peers: Option<Arc<dyn Peers>>,
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
        let home = runtime.map(|runtime| {
            Arc::new(Home {
                runtime,
                upstream: Arc::clone(&upstream),
            })
        });
        Self {
            seats: Cache::with(
                max_users,
                max_users as u64,
                UnitWeighter,
                DefaultHashBuilder::default(),
                PinFlights,
            ),
            gate: Gate::new(),
            upstream,
            peers,
            home: Mutex::new(home),
            clock,
            last: Mutex::default(),
            gauges: metrics::Share::default(),
        }
    }

    /// Sets the metrics that go up and down. Must be called without locks.
    pub(super) fn show_gauges(&self) {
        self.gauges.show(|| Levels {
            users: self.seats.len(),
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
            users: self.seats.len(),
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

    /// What is known of a user.
    pub(super) fn seat(&self, user: &str) -> Option<Seat> {
        self.seats.get(user)
    }

    /// The slot of a user, made if there is none.
    pub(super) fn slot(&self, user: &Arc<str>) -> Visit {
        if let Some(Seat::Slot(slot)) = self.seat(user) {
            return Visit {
                slot,
                pinned: false,
            };
        }
        let known = self
            .seats
            .entry(user, None, |_user, seat| EntryAction::Retain(seat.open()));
        let slot = match known {
            EntryResult::Retained(slot) => {
                return Visit {
                    slot,
                    pinned: false,
                };
            }
            EntryResult::Vacant(guard) => {
                let slot = Arc::new(Slot::default());
                // From the start: in a map whose other slots are all pinned a new one would leave
                // it again at once, and whoever made it would make it again for ever.
                slot.pin();
                // It fails when the user is forgotten in this moment.
                let _forgotten = guard.insert(Seat::Slot(Arc::clone(&slot)));
                slot
            }
            // Nothing is removed or replaced above, and nothing limits how long it waits for
            // another thread that makes the slot.
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
                unreachable!("a slot is kept or made")
            }
        };
        Visit { slot, pinned: true }
    }

    /// Takes a user's slot out of the map.
    pub(super) fn forget(&self, user: &str) {
        if let Some((_, Seat::Slot(slot))) = self.seats.remove(user) {
            slot.detach();
        }
    }

    /// Leaves the bare token in the place of a slot that has become no more than that.
    pub(super) fn tidy(&self, user: &Arc<str>, slot: &Arc<Slot>) {
        // A user who has been forgotten meanwhile is not brought back: the guard of an entry that
        // is not there is dropped.
        self.seats.entry(user, None, |_user, seat| {
            if let Seat::Slot(here) = seat
                && Arc::ptr_eq(here, slot)
                && let Some(token) = slot.detach_if_plain()
            {
                *seat = Seat::Token(token);
            }
            EntryAction::Retain(())
        });
    }

    /// Where flights start: on the given runtime, or on that of the first caller.
    pub(super) fn home(&self) -> Result<Arc<Home>, Error> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(home) = &*home {
            return Ok(Arc::clone(home));
        }
        let new = Arc::new(Home {
            runtime: current_runtime()?,
            upstream: Arc::clone(&self.upstream),
        });
        *home = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Moves to the caller's runtime and to new connections, unless somebody has moved already.
    pub(super) fn move_home(&self, from: &Arc<Home>) -> Result<Arc<Home>, Error> {
        if let Some(home) = self.moved(from) {
            return Ok(home);
        }
        // Without the lock: to set up TLS takes a while.
        let new = Arc::new(Home {
            runtime: current_runtime()?,
            upstream: from.upstream.reconnected(),
        });
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
            .field("users", &self.seats.len())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// A runtime and the connections that live on it.
pub(crate) struct Home {
    pub(crate) runtime: Handle,
    pub(crate) upstream: Arc<dyn Upstream>,
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

/// What the map holds of a user.
#[derive(Clone, Debug)]
pub(super) enum Seat {
    /// A token and nothing else to remember, as with nearly all users nearly all of the time: a
    /// slot would take as much memory again, and time.
    Token(Token),
    Slot(Arc<Slot>),
}

impl Seat {
    /// Its slot, made around the token if it is one.
    fn open(&mut self) -> Arc<Slot> {
        let slot = match self {
            Self::Slot(slot) => return Arc::clone(slot),
            Self::Token(token) => Arc::new(Slot::around(token.clone())),
        };
        *self = Self::Slot(Arc::clone(&slot));
        slot
    }
}

/// A slot in hand. One that was made for it stays in the map as long as this lives.
pub(super) struct Visit {
    slot: Arc<Slot>,
    pinned: bool,
}

impl Deref for Visit {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.pinned {
            self.slot.unpin();
        }
    }
}

/// Keeps a slot in the map while a flight will land in it, and tells its holders when it leaves.
#[derive(Clone, Copy, Debug)]
struct PinFlights;

impl Lifecycle<Arc<str>, Seat> for PinFlights {
    type RequestState = ();

    fn is_pinned(&self, _user: &Arc<str>, seat: &Seat) -> bool {
        match seat {
            Seat::Token(_) => false,
            Seat::Slot(slot) => slot.is_pinned(),
        }
    }

    fn on_evict(&self, _state: &mut (), _user: Arc<str>, seat: Seat) {
        metrics::evicted();
        if let Seat::Slot(slot) = seat {
            slot.detach();
        }
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
