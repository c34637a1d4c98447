//! One replica's own cache. As `slot` in courier-auth-core.

use std::{collections::HashMap, time::Duration};

use quick_cache::{
    OptionsBuilder, UnitWeighter,
    unsync::{Cache, DefaultLifecycle},
};

use crate::{
    gate::Gate,
    policy::{self, Windows, Zone},
    random::Hash,
    setup::{LIFETIME, SECOND, Time},
};

#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) up: bool,
    slots: Cache<u32, Slot, UnitWeighter, Hash>,
    max_users: usize,
    /// By user.
    pub(crate) flights: HashMap<u32, u32, Hash>,
    pub(crate) gate: Gate,
    /// Calls to Courier that it began during the outage.
    pub(crate) outage_calls: u32,
}

impl Replica {
    pub(crate) fn new(max_users: usize) -> Self {
        Self {
            up: true,
            slots: Self::slots(max_users),
            max_users,
            flights: HashMap::default(),
            gate: Gate::default(),
            outage_calls: 0,
        }
    }

    /// Comes up after a restart, knowing nothing.
    pub(crate) fn restart(&mut self) {
        assert!(self.flights.is_empty() && self.gate.is_idle(), "drained");
        self.slots = Self::slots(self.max_users);
        self.gate = Gate::default();
        self.up = true;
    }

    fn slots(max_users: usize) -> Cache<u32, Slot, UnitWeighter, Hash> {
        // As `users` in courier-auth-core.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(max_users)
            .weight_capacity(max_users as u64)
            .hot_allocation(0.5)
            .ghost_allocation(0.0)
            .build()
            .expect("both capacities are given");
        Cache::with_options(
            options,
            UnitWeighter,
            Hash::default(),
            DefaultLifecycle::default(),
        )
    }

    /// What is known about a user. It is put back with [`keep`](Self::keep) if it was changed.
    pub(crate) fn slot(&mut self, user: u32) -> Slot {
        if let Some(slot) = self.slots.get(&user) {
            return *slot;
        }
        self.slots.insert(user, Slot::default());
        Slot::default()
    }

    pub(crate) fn keep(&mut self, user: u32, slot: Slot) {
        self.slots.insert(user, slot);
    }

    pub(crate) fn users(&self) -> usize {
        self.slots.len()
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    token: Option<Token>,
    /// The jitter of the aging zone, drawn once for the token.
    u: f32,
    failures: u32,
    failed_at: Time,
    failure_u: f32,
    /// The last look for another replica's token led to nothing, and there is no point in another
    /// before.
    look_again: Time,
    /// It did because another replica was refreshing.
    yielded: bool,
}

impl Slot {
    pub(crate) fn zone(&self, now: Time) -> Zone {
        match &self.token {
            Some(token) => token.windows(self.u).zone(token.remaining(now)),
            None => Zone::Expired,
        }
    }

    pub(crate) fn usable(&self, now: Time) -> Option<Token> {
        self.token.filter(|_| self.zone(now) != Zone::Expired)
    }

    /// How long it will stay usable, if it is.
    pub(crate) fn usable_for(&self, now: Time) -> Option<Duration> {
        let token = self.usable(now)?;
        Some(token.remaining(now) - token.windows(self.u).grace)
    }

    /// What is left of the backoff after a failed flight.
    pub(crate) fn backing_off(&self, zone: Zone, now: Time) -> Option<Time> {
        if zone == Zone::Aging && self.yielded && self.looked_lately(now) {
            return Some(self.look_again - now);
        }
        if self.failures == 0 {
            return None;
        }
        let pause = policy::backoff(self.failures, zone, f64::from(self.failure_u));
        let until = self.failed_at + pause.as_micros() as Time;
        (until > now).then(|| until - now)
    }

    pub(crate) fn looked_lately(&self, now: Time) -> bool {
        now < self.look_again
    }

    pub(crate) fn note_look(&mut self, yielded: bool, now: Time, u: f64) {
        self.look_again = now + policy::look_again(u).as_micros() as Time;
        self.yielded = yielded;
    }

    /// Keeps a token if it lives longer than the one that is here.
    pub(crate) fn store(&mut self, token: Token, now: Time, u: f64) -> bool {
        let least = self.usable(now).map(|old| old.sent + MEASURING_ERROR);
        let better = least.is_none_or(|least| token.sent > least);
        if better {
            *self = Self {
                token: Some(token),
                u: u as f32,
                ..Self::default()
            };
        }
        better
    }

    pub(crate) fn note_failure(&mut self, now: Time, u: f64) {
        self.failures += 1;
        self.failed_at = now;
        self.failure_u = u as f32;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: u32,
    /// When the request for it left: from then on its life counts.
    pub(crate) sent: Time,
}

impl Token {
    pub(crate) fn windows(&self, u: f32) -> Windows {
        Windows::new(LIFETIME, f64::from(u))
    }

    pub(crate) fn remaining(&self, now: Time) -> Duration {
        Duration::from_micros((self.sent + LIFE).saturating_sub(now))
    }

    /// How long it stays in the shared cache.
    pub(crate) fn kept_until(&self) -> Time {
        self.sent + LIFE - self.windows(0.0).grace.as_micros() as Time
    }
}

const LIFE: Time = LIFETIME.as_micros() as Time;
const MEASURING_ERROR: Time = 2 * SECOND;
