use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    clock::Moment,
    flight::Flight,
    policy::{self, Windows, Zone},
};
use crate::{
    error::{Error, ErrorKind},
    request::Grant,
    scope::Scopes,
    token::{Token, TokenId},
};

/// All that is known about one user.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<SlotState>,
    /// Kept beside the state, because the map looks at it while it holds a lock of its own.
    pins: AtomicUsize,
}

impl Slot {
    /// Never held across `.await` or `spawn`, nor while the map of slots is touched.
    pub(crate) fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the slot must stay in the map, because a flight will land in it.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }

    pub(crate) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes the slot out of use: it has left the map. Whoever still holds it must look again.
    pub(crate) fn detach(&self) {
        self.lock().detached = true;
    }
}

#[derive(Debug, Default)]
pub(crate) struct SlotState {
    pub(crate) detached: bool,
    /// The one that was asked for last is the last.
    variants: Vec<Variant>,
    /// When tokens of this user were replaced because Courier refused them.
    replacements: Vec<Instant>,
}

impl SlotState {
    /// The variant of a grant, made if it is new.
    pub(crate) fn variant(&mut self, grant: &Grant, now: Moment) -> &mut Variant {
        let last = match self.variants.iter().position(|known| known.is_for(grant)) {
            Some(at) if at + 1 == self.variants.len() => at,
            Some(at) => {
                let variant = self.variants.remove(at);
                self.variants.push(variant);
                self.variants.len() - 1
            }
            None => {
                self.make_room(now);
                self.variants.push(Variant::new(grant));
                self.variants.len() - 1
            }
        };
        &mut self.variants[last]
    }

    /// The variant, if there is one and it has not been dropped meanwhile.
    pub(crate) fn known_variant(&mut self, grant: &Grant) -> Option<&mut Variant> {
        self.variants.iter_mut().find(|known| known.is_for(grant))
    }

    /// Whether a token of this age, which Courier is said to have refused, may be replaced now.
    pub(crate) fn may_replace(&mut self, age: Duration, now: Instant) -> bool {
        self.replacements
            .retain(|then| now.saturating_duration_since(*then) < policy::REPLACEMENT_WINDOW);
        let since_last = self
            .replacements
            .last()
            .map(|then| now.saturating_duration_since(*then));
        policy::may_replace(age, since_last, self.replacements.len())
    }

    pub(crate) fn note_replacement(&mut self, now: Instant) {
        self.replacements.push(now);
    }

    /// Drops a variant when there are too many: scopes that differ in every request must not fill
    /// the memory. One that is worth nothing if there is one, else the one that was not asked for
    /// longest.
    fn make_room(&mut self, now: Moment) {
        if self.variants.len() < MAX_VARIANTS {
            return;
        }
        let idle = |variant: &Variant| variant.flight.is_none();
        let worthless = |variant: &Variant| {
            let zone = variant.zone(now);
            zone == Zone::Expired && variant.backing_off(zone, now.mono).is_none()
        };
        let variants = &self.variants;
        let victim = variants
            .iter()
            .position(|variant| idle(variant) && worthless(variant))
            .or_else(|| variants.iter().position(idle));
        if let Some(victim) = victim {
            self.variants.remove(victim);
        }
    }
}

/// One (scopes, lifetime) of one user.
#[derive(Debug)]
pub(crate) struct Variant {
    scopes: Scopes,
    lifetime: Duration,
    entry: Option<Entry>,
    failure: Option<Failure>,
    /// The last look for another replica's token, if it led to nothing.
    look: Option<Look>,
    pub(crate) flight: Option<Arc<Flight>>,
}

impl Variant {
    fn new(grant: &Grant) -> Self {
        Self {
            scopes: grant.scopes.clone(),
            lifetime: grant.lifetime,
            entry: None,
            failure: None,
            look: None,
            flight: None,
        }
    }

    fn is_for(&self, grant: &Grant) -> bool {
        self.lifetime == grant.lifetime && self.scopes.same(&grant.scopes)
    }

    pub(crate) fn zone(&self, now: Moment) -> Zone {
        match &self.entry {
            Some(entry) => entry.zone(now),
            None => Zone::Expired,
        }
    }

    /// The token that may be handed out, if there is one.
    pub(crate) fn usable(&self, now: Moment) -> Option<&Entry> {
        self.entry.as_ref().filter(|entry| entry.is_usable(now))
    }

    pub(crate) fn is_flown_by(&self, flight: &Arc<Flight>) -> bool {
        let here = self.flight.as_ref();
        here.is_some_and(|here| Arc::ptr_eq(here, flight))
    }

    /// Takes this flight off the variant, if it is still there.
    pub(crate) fn relieve(&mut self, flight: &Arc<Flight>) -> bool {
        self.flight
            .take_if(|here| Arc::ptr_eq(here, flight))
            .is_some()
    }

    /// The error of the last flight, as long as its backoff lasts.
    pub(crate) fn backing_off(&self, zone: Zone, now: Instant) -> Option<Error> {
        if zone == Zone::Aging
            && let Some(look) = self.look.as_ref().filter(|look| look.is_recent(now))
            && look.yielded
        {
            return Some(look.error.clone());
        }
        let failure = self.failure.as_ref()?;
        let pause = policy::backoff(failure.count, zone, failure.u);
        let pause = pause.max(failure.error.retry_after().unwrap_or_default());
        let rest = (failure.at + pause).checked_duration_since(now)?;
        (!rest.is_zero()).then(|| failure.error.clone().with_retry_after(rest))
    }

    /// Keeps a new token if it is better than the one that is here.
    ///
    /// An issuer that hands out the same token again must not be asked in a loop: no longer life
    /// counts as a failure. What is left counts and not `exp`, because a clock that was set
    /// forward shortens the life of the old one alone.
    pub(crate) fn store(
        &mut self,
        token: &Token,
        replaced: Option<TokenId>,
        now: Moment,
    ) -> Result<(), Error> {
        if let Some(old) = self.usable(now) {
            let replaces = replaced == Some(old.token.id()) && token.id() != old.token.id();
            let least = old.token.remaining(now) + MEASURING_ERROR;
            if !replaces && token.remaining(now) <= least {
                return Err(Error::new(
                    ErrorKind::BadAnswer,
                    "Courier answered with a token that lives no longer than the last one",
                ));
            }
        }
        self.failure = None;
        self.entry = Some(Entry {
            token: token.clone(),
            windows: token.windows(fastrand::f64()),
            since: now.mono,
        });
        Ok(())
    }

    /// Whether another replica's token was looked for in vain a moment ago.
    pub(crate) fn looked_lately(&self, now: Instant) -> bool {
        self.look.as_ref().is_some_and(|look| look.is_recent(now))
    }

    /// Notes that looking led to nothing and Courier was not asked: because another replica does
    /// (`yielded`), or because it may not be.
    pub(crate) fn note_look(&mut self, error: Error, yielded: bool, now: Instant) {
        self.look = Some(Look {
            until: now + policy::look_again(fastrand::f64()),
            yielded,
            error,
        });
    }

    /// Notes a failed flight. The token that is here stays.
    pub(crate) fn note_failure(&mut self, error: Error, now: Instant) {
        let before = self.failure.take().map_or(0, |failure| failure.count);
        self.failure = Some(Failure {
            count: before.saturating_add(1),
            at: now,
            u: fastrand::f64(),
            error,
        });
    }
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) token: Token,
    windows: Windows,
    since: Instant,
}

impl Entry {
    pub(crate) fn zone(&self, now: Moment) -> Zone {
        self.windows.zone(self.token.remaining(now))
    }

    pub(crate) fn is_usable(&self, now: Moment) -> bool {
        self.zone(now) != Zone::Expired
    }

    /// How long it will stay usable, a timer's resolution less.
    pub(crate) fn usable_for(&self, now: Moment) -> Duration {
        self.token
            .remaining(now)
            .saturating_sub(self.windows.grace + TIMER_RESOLUTION)
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// Flights that failed since the last that did not.
#[derive(Debug)]
struct Failure {
    count: u32,
    at: Instant,
    /// Its share of jitter.
    u: f64,
    error: Error,
}

/// A look for another replica's token that led to nothing.
#[derive(Debug)]
struct Look {
    /// There is no point in looking again before.
    until: Instant,
    yielded: bool,
    error: Error,
}

impl Look {
    fn is_recent(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// A timer may fire this late.
const TIMER_RESOLUTION: Duration = Duration::from_millis(5);
/// Courier's clock is known to the second, in both measurements.
const MEASURING_ERROR: Duration = Duration::from_secs(2);
/// Scopes and lifetimes in use at once by one user. An app has one or two; one that embeds
/// Courier's designer, one for each tenant that a user works on.
const MAX_VARIANTS: usize = 32;
