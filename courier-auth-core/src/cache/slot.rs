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
    policy::{self, Demand, Zone},
    upstream::MAX_CALLS,
};
use crate::{
    error::{Error, ErrorKind},
    request::{Grant, Terms, Wanted},
    token::{Token, TokenId},
};

/// All that is known about one user of whom more is known than a token.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) user: Arc<str>,
    state: Mutex<SlotState>,
    /// Kept beside the state, because the map looks at it while it holds a lock of its own.
    pins: AtomicUsize,
}

impl Slot {
    pub(crate) fn new(user: &Arc<str>) -> Self {
        Self {
            user: Arc::clone(user),
            state: Mutex::default(),
            pins: AtomicUsize::new(0),
        }
    }

    /// Makes room for more than this token of the user's.
    pub(crate) fn around(user: &Arc<str>, token: Token) -> Self {
        let state = SlotState {
            variants: vec![Variant::holding(token)],
            ..SlotState::default()
        };
        Self {
            state: Mutex::new(state),
            ..Self::new(user)
        }
    }

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

    /// As [`detach`](Self::detach), if nothing is in it but one token.
    pub(crate) fn detach_if_plain(&self) -> Option<Token> {
        let mut state = self.lock();
        let token = state.plain()?.clone();
        state.detached = true;
        Some(token)
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
    /// The token, if it is fresh, and what is left of its life: what every plan comes to unless the
    /// caller wants another.
    pub(crate) fn fresh(&mut self, wanted: Wanted<'_>, now: Moment) -> Option<(Token, Duration)> {
        if self.detached {
            return None;
        }
        let at = self.variants.iter().position(|one| one.is_for(wanted))?;
        let token = self.variants[at].token.clone()?;
        let left = token.fresh_for(wanted, now)?;
        self.asked_for(at);
        Some((token, left))
    }

    /// The variant of a grant, made if it is new.
    pub(crate) fn variant(&mut self, grant: &Grant, now: Moment) -> &mut Variant {
        let wanted = Wanted::from(grant);
        match self.variants.iter().position(|known| known.is_for(wanted)) {
            Some(at) => self.asked_for(at),
            None => {
                self.make_room(now);
                // Most users have one.
                self.variants.reserve_exact(1);
                self.variants.push(Variant::new(grant));
            }
        }
        let last = self.variants.len() - 1;
        &mut self.variants[last]
    }

    /// The variant, if there is one and it has not been dropped meanwhile.
    pub(crate) fn known_variant(&mut self, grant: &Grant) -> Option<&mut Variant> {
        let wanted = Wanted::from(grant);
        self.variants.iter_mut().find(|known| known.is_for(wanted))
    }

    /// Whether so many of the user's tokens are being asked for that one more could not be at once.
    pub(crate) fn is_crowded(&self, now: Instant) -> bool {
        // With one or two, which is what nearly all users have, there is nothing to count.
        if self.variants.len() < MAX_CALLS {
            return false;
        }
        let flights = self.variants.iter().filter_map(|one| one.flight.as_ref());
        // One whose task does not run has no call for long.
        flights.filter(|flight| !flight.is_overdue(now)).count() >= MAX_CALLS
    }

    /// Whether there is a token that could be served.
    pub(crate) fn is_of_use(&self) -> bool {
        let mut tokens = self.variants.iter().filter_map(|one| one.token.as_ref());
        tokens.any(|token| token.is_usable(token.now()))
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

    /// The token, if there is nothing else to remember.
    fn plain(&self) -> Option<&Token> {
        match &*self.variants {
            [only]
                if !self.detached
                    && self.replacements.is_empty()
                    && only.flight.is_none()
                    && only.failure.is_none()
                    && only.look.is_none() =>
            {
                only.token.as_ref()
            }
            _ => None,
        }
    }

    /// Puts the variant last.
    fn asked_for(&mut self, at: usize) {
        self.variants[at..].rotate_left(1);
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
            zone == Zone::Expired && variant.backing_off(zone, Demand::Any, now.mono).is_none()
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

/// What one user was granted on one set of terms.
#[derive(Debug)]
pub(crate) struct Variant {
    terms: Arc<Terms>,
    token: Option<Token>,
    failure: Option<Failure>,
    /// The last look for another replica's token, if it led to nothing.
    look: Option<FailedLook>,
    pub(crate) flight: Option<Arc<Flight>>,
}

impl Variant {
    fn new(grant: &Grant) -> Self {
        Self {
            terms: Arc::clone(&grant.terms),
            token: None,
            failure: None,
            look: None,
            flight: None,
        }
    }

    fn holding(token: Token) -> Self {
        Self {
            terms: Arc::clone(token.terms()),
            token: Some(token),
            failure: None,
            look: None,
            flight: None,
        }
    }

    fn is_for(&self, wanted: Wanted<'_>) -> bool {
        wanted.matches(&self.terms)
    }

    pub(crate) fn zone(&self, now: Moment) -> Zone {
        match &self.token {
            Some(token) => token.zone(now),
            None => Zone::Expired,
        }
    }

    /// The token that may be handed out, if there is one.
    pub(crate) fn usable(&self, now: Moment) -> Option<&Token> {
        self.token.as_ref().filter(|token| token.is_usable(now))
    }

    pub(crate) fn has_flight(&self, flight: &Arc<Flight>) -> bool {
        let here = self.flight.as_ref();
        here.is_some_and(|here| Arc::ptr_eq(here, flight))
    }

    /// Takes this flight off the variant, if it is still there.
    pub(crate) fn clear_flight(&mut self, flight: &Arc<Flight>) -> bool {
        self.flight
            .take_if(|here| Arc::ptr_eq(here, flight))
            .is_some()
    }

    /// The error of the last flight, as long as its backoff lasts.
    pub(crate) fn backing_off(&self, zone: Zone, demand: Demand, now: Instant) -> Option<Error> {
        // Another replica's next token is waited for by whoever has a good one meanwhile.
        if zone == Zone::Aging
            && demand != Demand::Other
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
            let replaces = replaced == Some(old.id()) && token.id() != old.id();
            let least = old.remaining(now) + MEASURING_ERROR;
            if !replaces && token.remaining(now) <= least {
                return Err(Error::new(
                    ErrorKind::InvalidResponse,
                    "Courier answered with a token that lives no longer than the last one",
                ));
            }
        }
        self.failure = None;
        self.look = None;
        self.token = Some(token.clone());
        Ok(())
    }

    /// Whether another replica's token was looked for in vain a moment ago.
    pub(crate) fn looked_lately(&self, now: Instant) -> bool {
        self.look.as_ref().is_some_and(|look| look.is_recent(now))
    }

    /// Notes that looking led to nothing and Courier was not asked: because another replica does
    /// (`yielded`), or because it may not be.
    pub(crate) fn note_look(&mut self, error: Error, yielded: bool, now: Instant) {
        self.look = Some(FailedLook {
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
struct FailedLook {
    /// There is no point in looking again before.
    until: Instant,
    yielded: bool,
    error: Error,
}

impl FailedLook {
    fn is_recent(&self, now: Instant) -> bool {
        now < self.until
    }
}

/// Courier's clock is known to the second, in both measurements.
const MEASURING_ERROR: Duration = Duration::from_secs(2);
/// Scopes and lifetimes in use at once by one user. An app has one or two; one that embeds
/// Courier's designer, one for each tenant that a user works on.
const MAX_VARIANTS: usize = 32;
