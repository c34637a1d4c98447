//! Tokens by user: served while they are fresh, refreshed before they end, asked for once.
//!
//! `policy` decides, `slot` remembers, `flight` asks Courier in a task of its own, `upstream`
//! says whether Courier may be asked (with a `breaker`), `peers` are the other replicas and `look`
//! asks them first, `clock` tells the time, `shared` is what they all need. This file ties them
//! together: it looks at a slot, decides and waits.

pub(crate) mod breaker;
pub(crate) mod clock;
mod flight;
mod log;
mod look;
pub(crate) mod peers;
pub(crate) mod policy;
mod shared;
mod slot;
mod status;
#[cfg(test)]
mod tests;
pub(crate) mod upstream;

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::Instant};

pub use self::status::Status;
use self::{
    clock::{Clock, Moment},
    flight::{Flight, Landing, Mission, Pilot, Waited},
    peers::Peers,
    policy::{Demand, Plan, Zone},
    shared::{Home, Seat, Shared},
    slot::{Slot, SlotState},
    upstream::{Upstream, Urgency, overloaded},
};
use crate::{
    error::{Error, ErrorKind},
    metrics,
    request::{Grant, UserId, Wanted},
    token::{Token, TokenId},
};

/// The cache of one provider. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache {
    shared: Arc<Shared>,
}

impl TokenCache {
    pub(crate) fn new(
        upstream: Arc<dyn Upstream>,
        peers: Option<Arc<dyn Peers>>,
        max_users: usize,
        runtime: Option<Handle>,
        clock: Clock,
    ) -> Self {
        let shared = Shared::new(upstream, peers, max_users, runtime, clock);
        // So that they are there before the first user.
        shared.show_gauges();
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The cached token, or a new one.
    pub(crate) async fn get<'a>(
        &self,
        wanted: impl Into<Wanted<'a>>,
        wish: Wish,
    ) -> Result<Token, Error> {
        let (token, _left) = self.get_timed(wanted, wish).await?;
        Ok(token)
    }

    /// As [`get`](Self::get), with what is left of the token's life: to look at the clocks once
    /// more would be a good part of what a cached one costs.
    pub(crate) async fn get_timed<'a>(
        &self,
        wanted: impl Into<Wanted<'a>>,
        wish: Wish,
    ) -> Result<(Token, Duration), Error> {
        let wanted = wanted.into();
        if let Some(fresh) = self.fresh(wanted, wish) {
            metrics::cached();
            return Ok(fresh);
        }
        // Boxed, so that the many futures which end above are small.
        let token = Box::pin(self.settle(wanted.into(), wish)).await?;
        let left = token.expires_in();
        Ok((token, left))
    }

    /// The short way for nearly all calls: a token that is fresh, for whoever has not had it
    /// refused. No lock of a slot and no allocation.
    fn fresh(&self, wanted: Wanted<'_>, wish: Wish) -> Option<(Token, Duration)> {
        if matches!(wish, Wish::Other(_)) {
            return None;
        }
        let seat = self.shared.seat(wanted.user_id)?;
        let now = self.shared.clock.now();
        match seat {
            Seat::Token(token) => {
                let left = token.fresh_for(wanted, now)?;
                Some((token, left))
            }
            Seat::Slot(slot) => slot.lock().fresh(wanted, now),
        }
    }

    /// The long way: through the user's slot, and maybe to Courier.
    async fn settle(&self, grant: Grant, wish: Wish) -> Result<Token, Error> {
        let mut start = None;
        let outcome = self.look_and_wait(&grant, wish, &mut start).await;
        self.note(&grant, &outcome, start);
        outcome
    }

    /// `start` is when the caller began to wait, if it did.
    async fn look_and_wait(
        &self,
        grant: &Grant,
        wish: Wish,
        start: &mut Option<Instant>,
    ) -> Result<Token, Error> {
        let mut takeover = None;
        for _ in 0..MAX_ROUNDS {
            let (flight, patience) = match self.step(grant, wish, takeover.as_ref())? {
                Step::Serve(token) => return Ok(token),
                Step::Wait { flight, patience } => (flight, patience),
            };
            let start = *start.get_or_insert_with(Instant::now);
            let waiting = metrics::Waiting::begin();
            let waited = flight.wait(start + patience).await;
            drop(waiting);
            let error = match waited {
                Waited::Landed(Landing::Token(token)) => return Ok(token),
                Waited::Landed(Landing::Failed(error)) => error,
                Waited::OutOfPatience => match self.usable(grant) {
                    // The token in hand ran out meanwhile: the machine slept. Wait on.
                    None if patience < policy::HARD_WAIT => continue,
                    held => return held.ok_or_else(out_of_patience),
                },
                Waited::Landed(Landing::Abandoned) | Waited::Stranded => {
                    match self.shared.move_home(&flight.home) {
                        Ok(home) => {
                            takeover = Some(Takeover { of: flight, home });
                            continue;
                        }
                        Err(error) => error,
                    }
                }
            };
            return self.usable(grant).ok_or(error);
        }
        self.usable(grant).ok_or_else(gone)
    }

    /// Forgets a user. A flight that is on its way lands in the forgotten slot.
    pub(crate) fn invalidate(&self, user: &str) {
        self.shared.forget(user);
        self.shared.show_gauges();
        if let Some(peers) = &self.shared.peers
            && let Ok(user) = UserId::new(user)
        {
            let home = self.shared.home().ok();
            peers.forget(user, home.as_ref().map(|home| &home.runtime));
        }
    }

    pub(crate) fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        let checked = api_key.clone();
        self.shared.upstream.set_api_key(api_key)?;
        if let Some(peers) = &self.shared.peers {
            peers.set_api_key(checked);
        }
        self.shared.gate.key_changed();
        self.shared.show_gauges();
        Ok(())
    }

    pub(crate) fn status(&self) -> Status {
        self.shared.status()
    }

    /// Looks at the slot and decides, without waiting for anything.
    fn step(&self, grant: &Grant, wish: Wish, takeover: Option<&Takeover>) -> Result<Step, Error> {
        for _ in 0..MAX_LOOKS {
            let slot = self.shared.slot(&grant.user_id);
            let mut state = slot.lock();
            if state.detached {
                // It left the map between the look-up and the lock.
                continue;
            }
            let decision = self.decide(&slot, &mut state, grant, wish, takeover);
            drop(state);
            let (step, pilot) = decision?;
            if let Some(pilot) = pilot {
                pilot.take_off();
            }
            return Ok(step);
        }
        Err(overloaded())
    }

    /// The locked half of [`step`](Self::step). A pilot that it returns takes off after the lock.
    fn decide(
        &self,
        slot: &Arc<Slot>,
        state: &mut SlotState,
        grant: &Grant,
        wish: Wish,
        takeover: Option<&Takeover>,
    ) -> Result<(Step, Option<Pilot>), Error> {
        let now = self.shared.clock.now();
        let demand = demand(state, grant, wish, takeover.is_some(), now);
        let variant = state.variant(grant, now);
        if let Some(takeover) = takeover {
            variant.relieve(&takeover.of);
            // What it was admitted with would stay with a task that nobody polls; also if its user
            // was forgotten meanwhile, and this is another slot.
            drop(takeover.of.release());
        }
        let zone = variant.zone(now);
        let held = variant.usable(now).cloned();
        let failure = match &variant.flight {
            Some(_) => None,
            None => variant.backing_off(zone, now.mono),
        };
        let plan = policy::plan(zone, demand, failure.is_some());
        let patience = match plan {
            Plan::Refuse => return Err(failure.unwrap_or_else(gone)),
            Plan::Serve => return Ok((Step::serve(held)?, None)),
            Plan::ServeAndRefresh if variant.flight.is_some() => {
                return Ok((Step::serve(held)?, None));
            }
            Plan::ServeAndRefresh => None,
            // No longer than the token in hand stays usable: who had one when it asked gets one.
            Plan::Wait(patience) => match &held {
                Some(held) => {
                    Some(patience.min(held.usable_for(now))).filter(|wait| !wait.is_zero())
                }
                None => Some(patience),
            },
        };

        let (flight, pilot) = match &variant.flight {
            Some(flight) => (Arc::clone(flight), None),
            None => {
                let background = zone == Zone::Aging && demand != Demand::Other;
                let looked = variant.looked_lately(now.mono);
                let urgency = if background {
                    Urgency::Background
                } else {
                    Urgency::Foreground
                };
                let replaces = held
                    .as_ref()
                    .filter(|_| demand == Demand::Other)
                    .map(|held| held.id());
                let mission = Mission {
                    urgency,
                    replaces,
                    avoid: match wish {
                        Wish::Other(refused) => Some(refused),
                        Wish::Any | Wish::Newer(_) => None,
                    },
                };
                let pilot = match self.pilot(slot, grant, mission, looked, takeover, now) {
                    Ok(pilot) => pilot,
                    Err(error) => return Ok((Step::serve(held).map_err(|_| error)?, None)),
                };
                let flight = pilot.flight();
                variant.flight = Some(Arc::clone(&flight));
                if replaces.is_some() {
                    state.note_replacement(now.mono);
                }
                (flight, Some(pilot))
            }
        };
        let step = match patience {
            None => Step::serve(held)?,
            Some(patience) => Step::Wait { flight, patience },
        };
        Ok((step, pilot))
    }

    /// Prepares a flight, if Courier may be asked or another replica be looked to.
    fn pilot(
        &self,
        slot: &Arc<Slot>,
        grant: &Grant,
        mission: Mission,
        looked: bool,
        takeover: Option<&Takeover>,
        now: Moment,
    ) -> Result<Pilot, Error> {
        let home = match takeover {
            Some(takeover) => Arc::clone(&takeover.home),
            None => self.shared.home()?,
        };
        let look = self.shared.peers.as_ref().filter(|_| !looked);
        let look = look.filter(|peers| peers.is_reachable(now.mono));
        let admission = match look.and_then(|_peers| self.shared.gate.admit_look()) {
            Some(admission) => admission,
            None => self.shared.gate.admit(mission.urgency, now.mono)?,
        };
        Ok(Pilot::new(
            Arc::clone(&self.shared),
            Arc::clone(slot),
            grant.clone(),
            home,
            mission,
            admission,
        ))
    }

    /// The cached token, if it can still be used: an error never takes its place.
    fn usable(&self, grant: &Grant) -> Option<Token> {
        let seat = self.shared.seat(&grant.user_id)?;
        let now = self.shared.clock.now();
        match seat {
            Seat::Token(token) => {
                (token.is_for(grant.into()) && token.is_usable(now)).then_some(token)
            }
            Seat::Slot(slot) => slot.lock().known_variant(grant)?.usable(now).cloned(),
        }
    }
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// A token.
    Any,
    /// A newer one than this, which the caller holds.
    Newer(TokenId),
    /// Another one than this, which Courier refused.
    Other(TokenId),
}

/// What the look at a slot led to.
enum Step {
    Serve(Token),
    Wait {
        flight: Arc<Flight>,
        patience: Duration,
    },
}

impl Step {
    fn serve(held: Option<Token>) -> Result<Self, Error> {
        held.map(Self::Serve).ok_or_else(gone)
    }
}

/// A caller flies on for a flight that is stranded.
struct Takeover {
    of: Arc<Flight>,
    home: Arc<Home>,
}

/// What a wish comes to, given what is cached.
fn demand(
    state: &mut SlotState,
    grant: &Grant,
    wish: Wish,
    taking_over: bool,
    now: Moment,
) -> Demand {
    let (Wish::Newer(id) | Wish::Other(id)) = wish else {
        return Demand::Any;
    };
    let held = state
        .known_variant(grant)
        .and_then(|variant| variant.usable(now));
    let Some(age) = held
        .filter(|held| held.id() == id)
        .map(|held| held.age(now))
    else {
        // Something else is cached than what the caller has: that is what it gets.
        return Demand::Any;
    };
    if matches!(wish, Wish::Newer(_)) {
        return Demand::Newer;
    }
    if taking_over {
        return Demand::Other;
    }
    let replace = state.may_replace(age, now.mono);
    metrics::rejected(replace);
    match replace {
        true => Demand::Other,
        false => Demand::Newer,
    }
}

fn out_of_patience() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "Courier takes longer than a caller waits; the call goes on and its token will be cached",
    )
    .with_retry_after(Duration::from_secs(2))
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Runtime,
        "the task that asked Courier went away with its runtime",
    )
    .with_retry_after(Duration::from_secs(1))
}

/// How often one caller looks again: two runtimes may go away under it, and a token run out.
const MAX_ROUNDS: usize = 4;
/// Slots that may leave the map between a look-up and the lock, each of which takes an eviction or
/// an invalidation of this very user in that moment.
const MAX_LOOKS: usize = 100;
