use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Caller, TokenCache, Unsaid, Wish,
    admission::{Admission, Urgency},
    clock::Moment,
    flight::{Flight, FlightTask, Outcome, Purpose},
    gone,
    policy::{self, Demand, Plan, Zone},
    shared::Home,
    slot::{Slot, SlotState},
    upstream::overloaded,
};
use crate::{error::Error, request::Grant, token::Token};

impl TokenCache {
    /// Looks at the slot and decides, without waiting for anything.
    pub(super) fn step(
        &self,
        grant: &Grant,
        caller: &mut Caller,
        takeover: Option<&Takeover>,
    ) -> Result<Step, Error> {
        // Before the slot is locked: where the last one has gone, new connections are made.
        let home = match takeover {
            Some(takeover) => Ok(Arc::clone(&takeover.home)),
            None => self.shared.home(),
        };
        for _ in 0..MAX_LOOKS {
            let slot = self.shared.users.slot(&grant.user_id);
            let mut state = slot.lock();
            if state.detached {
                // It left the map between the look-up and the lock.
                continue;
            }
            let decision = self.decide(&slot, &mut state, grant, caller, takeover, home);
            drop(state);
            if let Some(takeover) = takeover {
                // Whoever else waits for it joins its successor at once.
                takeover.of.finish(Outcome::Abandoned);
            }
            self.say(&std::mem::take(&mut caller.unsaid));
            let (step, task) = decision?;
            if let Some(task) = task {
                task.spawn();
            }
            return Ok(step);
        }
        Err(overloaded())
    }

    /// The locked half of [`step`](Self::step). A task that it returns is spawned after the lock.
    fn decide(
        &self,
        slot: &Arc<Slot>,
        state: &mut SlotState,
        grant: &Grant,
        caller: &mut Caller,
        takeover: Option<&Takeover>,
        home: Result<Arc<Home>, Error>,
    ) -> Result<(Step, Option<FlightTask>), Error> {
        let now = self.shared.clock.now();
        let demand = demand(state, grant, caller.wish, takeover.is_some(), now);
        let avoid = caller.wish.refused();
        // A user whose tokens differ in every request would fill the queue, and nobody else would
        // get a place in it.
        let crowded = takeover.is_none() && state.is_crowded(now.mono);
        if avoid.is_some() && demand != Demand::Any {
            caller.replaced.get_or_insert(false);
        }
        let variant = state.variant(grant, now);
        if let Some(takeover) = takeover {
            variant.clear_flight(&takeover.of);
            // What it was admitted with would stay with a task that nobody polls; also if its user
            // was forgotten meanwhile, and this is another slot.
            drop(takeover.of.release());
        }
        let zone = variant.zone(now);
        let held = variant.usable(now).cloned();
        let failure = match &variant.flight {
            Some(_) => None,
            None => variant.backing_off(zone, demand, now.mono),
        };
        let plan = policy::plan(zone, demand, failure.is_some());
        let patience = match plan {
            Plan::Refuse => return Err(failure.unwrap_or_else(gone)),
            Plan::Serve => return Ok((Step::serve(held)?, None)),
            Plan::ServeAndRefresh => None,
            // No longer than the token in hand stays usable: who had one when it asked gets one.
            Plan::Wait(patience) => match &held {
                Some(held) => {
                    Some(patience.min(held.usable_for(now))).filter(|wait| !wait.is_zero())
                }
                None => Some(patience),
            },
        };

        let (flight, task) = match &variant.flight {
            Some(flight) => (Arc::clone(flight), None),
            None => {
                let background = zone == Zone::Aging && demand != Demand::Other;
                let looked = variant.looked_lately(now.mono);
                let urgency = if background {
                    Urgency::Background
                } else {
                    Urgency::Foreground
                };
                let replaces = avoid.filter(|_| demand == Demand::Other);
                let purpose = Purpose {
                    urgency,
                    replaces,
                    avoid,
                };
                let unsaid = &mut caller.unsaid;
                let task = home.and_then(|home| {
                    let admission = if crowded {
                        Err(overloaded())
                    } else {
                        self.admit(urgency, looked, unsaid, now)
                    };
                    let admission = admission
                        .inspect_err(|error| unsaid.skipped = Some((urgency, error.kind())))?;
                    Ok(self.prepare(slot, grant, purpose, home, admission, now))
                });
                let task = match task {
                    Ok(task) => task,
                    Err(error) => return Ok((Step::serve(held).map_err(|_| error)?, None)),
                };
                let flight = task.flight();
                variant.flight = Some(Arc::clone(&flight));
                if replaces.is_some() {
                    state.note_replacement(now.mono);
                    caller.replaced = Some(true);
                }
                (flight, Some(task))
            }
        };
        let step = match patience {
            None => Step::serve(held)?,
            Some(patience) => Step::Wait { flight, patience },
        };
        Ok((step, task))
    }

    /// Lets a flight start, if Courier may be asked or another replica be looked to.
    fn admit(
        &self,
        urgency: Urgency,
        looked: bool,
        unsaid: &mut Unsaid,
        now: Moment,
    ) -> Result<Admission, Error> {
        let shared = &self.shared;
        if let Some(peers) = shared.peers.as_ref().filter(|_| !looked) {
            if peers.admits_look(now.mono) {
                shared.make_room_to_look(now.mono);
                if let Some(admission) = shared.gate.admit_look() {
                    return Ok(admission);
                }
            }
            unsaid.look_left_out = true;
        }
        shared.make_room(urgency, now.mono);
        shared.gate.admit(urgency, now.mono)
    }

    /// Prepares a flight that may start.
    fn prepare(
        &self,
        slot: &Arc<Slot>,
        grant: &Grant,
        purpose: Purpose,
        home: Arc<Home>,
        admission: Admission,
        now: Moment,
    ) -> FlightTask {
        let task = FlightTask::new(
            Arc::clone(&self.shared),
            Arc::clone(slot),
            grant.clone(),
            home,
            purpose,
            admission,
            now.mono,
        );
        self.shared.stalled.add(&task.flight());
        task
    }

    fn say(&self, unsaid: &Unsaid) {
        if unsaid.look_left_out
            && let Some(peers) = &self.shared.peers
        {
            peers.note_look_left_out();
        }
        if let Some((urgency, reason)) = unsaid.skipped {
            self.shared.gate.note_skip(urgency, reason, Instant::now());
        }
    }
}

/// What the look at a slot led to.
pub(super) enum Step {
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

/// A caller goes on in the place of a flight that is stalled.
pub(super) struct Takeover {
    pub(super) of: Arc<Flight>,
    pub(super) home: Arc<Home>,
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
    if state.may_replace(age, now.mono) {
        Demand::Other
    } else {
        Demand::Newer
    }
}

/// Slots that may leave the map between a look-up and the lock, each of which takes an eviction or
/// an invalidation of this very user in that moment.
const MAX_LOOKS: usize = 100;
