//! Flights: how a replica comes by a token. As `decide`, `flight` and `look` in courier-auth-core.

use crate::{
    gate::{Admission, QUEUE_WAIT, Refused},
    policy::{self, Demand, Plan, Zone},
    random::exponential,
    redis::{FOUND, LOCK, NOTHING, ROUND_TRIP, UNLOCK, WRITE},
    replica::Token,
    setup::{LATENCY, LATENCY_TAIL, SECOND, Time},
    world::{Event, Step, World},
};

#[derive(Debug)]
pub(crate) struct Flight {
    replica: u16,
    user: u32,
    /// Visits that wait for it, each with the epoch of its request.
    pub(crate) waiters: Vec<(u32, u32)>,
    admission: Admission,
    /// Whether the token is served meanwhile, so that it is left to another replica that is at it.
    background: bool,
    locked: bool,
    tries: u32,
}

impl World {
    /// Looks at the slot and decides.
    pub(crate) fn ask(&mut self, at: u16, user: u32, held: Option<u32>) -> Step {
        let now = self.now;
        let replica = &mut self.replicas[usize::from(at)];
        let slot = replica.slot(user);
        let zone = slot.zone(now);
        let usable = slot.usable(now);
        let serve = |after| usable.map_or(Step::Refuse(after), Step::Serve);
        let demand = match held {
            Some(id) if usable.is_some_and(|token| token.id == id) => Demand::Newer,
            _ => Demand::Any,
        };
        let flying = replica.flights.get(&user).copied();
        let backoff = match flying {
            Some(_) => None,
            None => slot.backing_off(zone, now),
        };
        let patience = match policy::plan(zone, demand, backoff.is_some()) {
            Plan::Refuse => return Step::Refuse(backoff.unwrap_or(SECOND)),
            Plan::Serve => return serve(SECOND),
            Plan::ServeAndRefresh if flying.is_some() => return serve(SECOND),
            Plan::ServeAndRefresh => None,
            // No longer than the token in hand stays usable.
            Plan::Wait(patience) => {
                let usable_for = slot.usable_for(now);
                let patience = usable_for.map_or(patience, |left| patience.min(left));
                Some(patience).filter(|wait| !wait.is_zero())
            }
        };
        let flight = match flying {
            Some(flight) => flight,
            None => {
                let background = zone == Zone::Aging;
                let looks = self.redis.is_some() && !slot.looked_lately(now);
                let gate = &mut replica.gate;
                let look = looks.then(|| gate.admit_look()).flatten();
                match look.map_or_else(|| gate.admit(background, now), Ok) {
                    Ok(admission) => self.take_off(at, user, background, admission),
                    Err(Refused(after)) => return serve(after),
                }
            }
        };
        match patience {
            None => serve(SECOND),
            Some(patience) => Step::Wait { flight, patience },
        }
    }

    fn take_off(&mut self, at: u16, user: u32, background: bool, admission: Admission) -> u32 {
        self.stats.total.flights += 1;
        let number = self.stats.total.flights as u32;
        let flight = Flight {
            replica: at,
            user,
            waiters: Vec::new(),
            admission,
            background,
            locked: false,
            tries: 0,
        };
        self.flights.insert(number, flight);
        let replica = &mut self.replicas[usize::from(at)];
        replica.flights.insert(user, number);
        if admission.look {
            self.at(self.now + ROUND_TRIP, Event::Look(number));
        } else {
            self.line_up(number);
        }
        number
    }

    /// Has another replica a token?
    pub(crate) fn look(&mut self, number: u32) {
        if self.found(number) {
            return;
        }
        if self.flights[&number].background {
            self.at(self.now + 2 * ROUND_TRIP, Event::Lock(number));
        } else {
            self.exchange(number);
        }
    }

    /// Is another replica asking for one? If not, it may just have written.
    pub(crate) fn lock(&mut self, number: u32) {
        let now = self.now;
        let (Some(redis), Some(flight)) = (&mut self.redis, self.flights.get_mut(&number)) else {
            return;
        };
        self.stats.command(now, LOCK);
        flight.locked = redis.lock(flight.user, number, now);
        if !flight.locked {
            self.stats.total.yielded += 1;
            self.put_off(number, true, SECOND);
        } else if !self.found(number) {
            self.exchange(number);
        }
    }

    /// Lands if another replica has a token that is fresh. One that is better than ours but about to
    /// age is kept as well.
    fn found(&mut self, number: u32) -> bool {
        let now = self.now;
        let u = self.jitter();
        let (Some(redis), Some(flight)) = (&self.redis, self.flights.get(&number)) else {
            return false;
        };
        let found = redis.read(flight.user, now);
        self.stats
            .command(now, if found.is_some() { FOUND } else { NOTHING });
        let Some(token) = found else { return false };
        let replica = &mut self.replicas[usize::from(flight.replica)];
        let mut slot = replica.slot(flight.user);
        if !slot.store(token, now, u) {
            return false;
        }
        replica.keep(flight.user, slot);
        let fresh = slot.zone(now) == Zone::Fresh;
        if fresh {
            self.stats.total.adopted += 1;
            self.land(number, Some(token), 0);
        }
        fresh
    }

    /// Exchanges the look for a call to Courier.
    fn exchange(&mut self, number: u32) {
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        let gate = &mut self.replicas[usize::from(flight.replica)].gate;
        match gate.admit(flight.background, self.now) {
            Ok(admission) => {
                gate.release(std::mem::replace(&mut flight.admission, admission));
                self.line_up(number);
            }
            Err(Refused(after)) => self.put_off(number, false, after),
        }
    }

    fn put_off(&mut self, number: u32, yielded: bool, after: Time) {
        self.stats.total.put_off += 1;
        let u = self.rng.f64();
        let flight = &self.flights[&number];
        let replica = &mut self.replicas[usize::from(flight.replica)];
        let mut slot = replica.slot(flight.user);
        slot.note_look(yielded, self.now, u);
        replica.keep(flight.user, slot);
        self.land(number, None, after);
    }

    fn line_up(&mut self, number: u32) {
        let flight = &self.flights[&number];
        if flight.admission.permit {
            self.at(self.now, Event::Call(number));
        } else {
            let replica = usize::from(flight.replica);
            self.replicas[replica].gate.queue(number);
            self.at(self.now + QUEUE_WAIT, Event::OutOfQueue(number));
        }
    }

    /// Was in the queue for too long.
    pub(crate) fn out_of_queue(&mut self, number: u32) {
        let Some(flight) = self.flights.get(&number) else {
            return;
        };
        if flight.admission.permit {
            return;
        }
        let replica = usize::from(flight.replica);
        self.replicas[replica].gate.unqueue(number);
        self.stats.total.put_off += 1;
        self.land(number, None, SECOND);
    }

    pub(crate) fn call(&mut self, number: u32) {
        let now = self.now;
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        flight.tries += 1;
        self.stats.total.calls += 1;
        self.stats.calls.add(now, 1);
        let takes = LATENCY + exponential(&mut self.rng, LATENCY_TAIL);
        if self.setup.is_down(now) {
            self.replicas[usize::from(flight.replica)].outage_calls += 1;
        }
        if self.setup.is_down(now) || takes >= TRY_TIMEOUT {
            self.at(now + TRY_TIMEOUT, Event::Timeout(number));
        } else {
            self.at(now + takes, Event::Answer(number, now));
        }
    }

    pub(crate) fn answer(&mut self, number: u32, sent: Time) {
        let now = self.now;
        self.stats.total.issued += 1;
        let token = Token {
            id: self.stats.total.issued as u32,
            sent,
        };
        let u = self.jitter();
        let Some(flight) = self.flights.get(&number) else {
            return;
        };
        let replica = &mut self.replicas[usize::from(flight.replica)];
        replica.gate.succeeded();
        let mut slot = replica.slot(flight.user);
        slot.store(token, now, u);
        replica.keep(flight.user, slot);
        if let Some(redis) = &mut self.redis {
            let before = redis.write(flight.user, token, now);
            self.stats.entry_lives(now, token.kept_until(), before);
            self.stats.command(now, WRITE);
        }
        self.land(number, Some(token), 0);
    }

    pub(crate) fn timeout(&mut self, number: u32) {
        self.stats.total.timed_out += 1;
        let u = self.rng.f64();
        let Some(flight) = self.flights.get(&number) else {
            return;
        };
        if flight.tries < TRIES {
            let longest = FIRST_PAUSE * Time::from(3_u32.pow(flight.tries - 1));
            let pause = (longest as f64 * u) as Time;
            self.at(self.now + pause, Event::Call(number));
            return;
        }
        self.stats.total.failed += 1;
        let replica = &mut self.replicas[usize::from(flight.replica)];
        let mut slot = replica.slot(flight.user);
        slot.note_failure(self.now, self.rng.f64());
        replica.keep(flight.user, slot);
        replica.gate.failed(flight.user, self.now, u);
        self.land(number, None, 0);
    }

    /// Publishes the outcome; `after` is what the error says about when to come again.
    fn land(&mut self, number: u32, token: Option<Token>, after: Time) {
        let now = self.now;
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        if let Some(redis) = self.redis.as_mut().filter(|_| flight.locked) {
            redis.unlock(flight.user, number);
            self.stats.command(now, UNLOCK);
        }
        let replica = &mut self.replicas[usize::from(flight.replica)];
        replica.flights.remove(&flight.user);
        replica.gate.release(flight.admission);
        let held = token.or_else(|| replica.slot(flight.user).usable(now));
        for (visit, epoch) in flight.waiters {
            if !self.is_current(visit, epoch) {
                continue;
            }
            match held {
                Some(token) => self.served(visit, token),
                None => self.refused(visit, after),
            }
        }
        self.board(flight.replica);
    }

    /// Lets those in the queue go on, as far as there are permits.
    fn board(&mut self, at: u16) {
        let now = self.now;
        let at = usize::from(at);
        while let Some(number) = self.replicas[at].gate.next() {
            let Some(flight) = self.flights.get_mut(&number) else {
                continue;
            };
            flight.admission.permit = true;
            if !flight.admission.probe {
                match self.replicas[at].gate.check(now) {
                    Ok(probe) => flight.admission.probe = probe,
                    Err(Refused(after)) => {
                        self.stats.total.put_off += 1;
                        self.land(number, None, after);
                        continue;
                    }
                }
            }
            self.at(now, Event::Call(number));
        }
    }
}

const TRIES: u32 = 3;
const TRY_TIMEOUT: Time = 2 * SECOND;
const FIRST_PAUSE: Time = 100_000;
