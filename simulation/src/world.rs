//! The event loop, the visits and the load balancer. Flights are in `flight`.

use std::{collections::HashMap, time::Duration};

use crate::{
    flight::Flight,
    policy::Windows,
    queue::Queue,
    random::{Hash, exponential, geometric, mix},
    redis::SharedCache,
    replica::{Replica, Token},
    setup::{
        Balancing, DAY, DEPLOY_AWAY, DEPLOY_BATCHES, DEPLOY_STEP, LIFETIME, MINUTE, SECOND, SWING,
        Setup, Time, WARM_UP, curve,
    },
    stats::Stats,
};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) now: Time,
    events: Queue<Event>,
    visits: Vec<Visit>,
    ended: Vec<u32>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) flights: HashMap<u32, Flight, Hash>,
    pub(crate) redis: Option<SharedCache>,
    /// Of the servers. When visits begin is drawn from `arrivals`, and each visit has its own, so
    /// that all runs see the same ones.
    pub(crate) rng: fastrand::Rng,
    arrivals: fastrand::Rng,
    pub(crate) stats: Stats,
}

/// In the order in which they happen at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Down(u16),
    Up(u16),
    Count,
    Arrival,
    Called,
    Wake { visit: u32, epoch: u32 },
    OutOfPatience { visit: u32, epoch: u32 },
    OutOfQueue(u32),
    Call(u32),
    Answer(u32, Time),
    Timeout(u32),
    Look(u32),
    Lock(u32),
}

/// A page in a browser, with what `session.js` does.
#[derive(Debug)]
struct Visit {
    user: u32,
    replica: u16,
    /// After this one.
    views_left: u32,
    /// Changes with each request, so that what belongs to an earlier one can be told.
    epoch: u32,
    /// Whether the page asks because it was just opened.
    opening: bool,
    held: Option<u32>,
    failures: u32,
    asked: Time,
    next_view: Time,
    refresh: Time,
    close: Time,
    rng: fastrand::Rng,
}

const NEVER: Time = Time::MAX;

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let replica = |_| Replica::new(setup.max_users);
        let mut world = Self {
            now: 0,
            events: Queue::new(),
            visits: Vec::new(),
            ended: Vec::new(),
            replicas: (0..setup.replicas).map(replica).collect(),
            flights: HashMap::default(),
            redis: setup.shared.then(|| SharedCache::new(setup.users)),
            rng: fastrand::Rng::with_seed(mix(setup.seed)),
            arrivals: fastrand::Rng::with_seed(mix(setup.seed + 1)),
            stats: Stats::new(),
            setup,
        };
        world.at(0, Event::Arrival);
        world.at(0, Event::Count);
        world.plan_deploys();
        world.plan_broadcast();
        world
    }

    fn plan_deploys(&mut self) {
        for begin in self.setup.deploys.clone() {
            for replica in 0..self.setup.replicas {
                let batch = u64::from(replica % DEPLOY_BATCHES);
                let down = begin + batch * DEPLOY_STEP;
                self.at(down, Event::Down(replica));
                self.at(down + DEPLOY_AWAY, Event::Up(replica));
            }
        }
    }

    fn plan_broadcast(&mut self) {
        let Some(broadcast) = self.setup.broadcast else {
            return;
        };
        let who_come = f64::from(self.setup.users) * broadcast.share;
        for _ in 0..who_come as u64 {
            let then = broadcast.at + self.arrivals.u64(0..MINUTE);
            self.at(then, Event::Called);
        }
    }

    /// Until the last visit that began on the day has ended.
    pub(crate) fn run(mut self) -> Self {
        while let Some((now, event)) = self.events.pop() {
            self.now = now;
            self.happen(event);
        }
        self
    }

    pub(crate) fn at(&mut self, then: Time, event: Event) {
        self.events.push(then.max(self.now), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Down(replica) => self.replicas[usize::from(replica)].up = false,
            Event::Up(replica) => self.replicas[usize::from(replica)].restart(),
            Event::Count => self.count(),
            Event::Arrival => self.arrival(),
            Event::Called => self.come(),
            Event::Wake { visit, epoch } if self.is_current(visit, epoch) => self.wake(visit),
            Event::OutOfPatience { visit, epoch } if self.is_current(visit, epoch) => {
                let Visit { replica, user, .. } = self.visits[visit as usize];
                match self.replicas[usize::from(replica)]
                    .slot(user)
                    .usable(self.now)
                {
                    Some(token) => self.served(visit, token),
                    None => self.refused(visit, 2 * SECOND),
                }
            }
            Event::Wake { .. } | Event::OutOfPatience { .. } => {}
            Event::OutOfQueue(flight) => self.out_of_queue(flight),
            Event::Call(flight) => self.call(flight),
            Event::Answer(flight, sent) => self.answer(flight, sent),
            Event::Timeout(flight) => self.timeout(flight),
            Event::Look(flight) => self.look(flight),
            Event::Lock(flight) => self.lock(flight),
        }
    }

    fn count(&mut self) {
        let most = self.replicas.iter().map(Replica::users).max();
        let stats = &mut self.stats;
        stats.users_in_memory = stats.users_in_memory.max(most.unwrap_or_default());
        if self.now < WARM_UP + DAY {
            self.at(self.now + MINUTE, Event::Count);
        }
    }

    fn arrival(&mut self) {
        // As many as in the busiest hour, of which those stay away that are too many now.
        let busiest = self.setup.visits_per_second() * (1.0 + SWING);
        let gap = exponential(&mut self.arrivals, (SECOND as f64 / busiest) as Time);
        if self.now < WARM_UP + DAY {
            self.at(self.now + gap.max(1), Event::Arrival);
        }
        if self.arrivals.f64() * (1.0 + SWING) < curve(self.now) {
            self.come();
        }
    }

    /// Somebody opens the app.
    fn come(&mut self) {
        let user = self.arrivals.u32(0..self.setup.users);
        let seed = self.arrivals.u64(..);
        self.begin(user, seed);
    }

    fn begin(&mut self, user: u32, seed: u64) {
        self.stats.total.visits += 1;
        let mut rng = fastrand::Rng::with_seed(seed);
        let views = geometric(&mut rng, self.setup.traffic.views);
        let mut visit = Visit {
            user,
            replica: 0,
            views_left: views,
            epoch: 0,
            opening: true,
            held: None,
            failures: 0,
            asked: 0,
            next_view: self.now,
            refresh: NEVER,
            close: NEVER,
            rng,
        };
        visit.replica = self.any_replica();
        let place = match self.ended.pop() {
            Some(place) => {
                visit.epoch = self.visits[place as usize].epoch;
                self.visits[place as usize] = visit;
                place
            }
            None => {
                self.visits.push(visit);
                self.visits.len() as u32 - 1
            }
        };
        self.wake(place);
    }

    fn wake(&mut self, place: u32) {
        let now = self.now;
        let traffic = self.setup.traffic;
        let visit = &mut self.visits[place as usize];
        visit.epoch += 1;
        if now >= visit.close {
            self.ended.push(place);
            return;
        }
        visit.opening = now >= visit.next_view;
        if visit.opening {
            visit.held = None;
            visit.failures = 0;
            visit.views_left -= 1;
            if visit.views_left > 0 {
                visit.next_view = now + exponential(&mut visit.rng, traffic.gap);
            } else {
                let stays = visit.rng.f64() < traffic.tabs;
                let mean = if stays { traffic.tab } else { traffic.linger };
                visit.next_view = NEVER;
                visit.close = now + exponential(&mut visit.rng, mean);
            }
            self.stats.views.add(now, 1);
        }
        self.request(place);
    }

    fn request(&mut self, place: u32) {
        self.stats.requests.add(self.now, 1);
        self.stats.total.requests += 1;
        let replica = self.balance(place);
        let visit = &mut self.visits[place as usize];
        visit.replica = replica;
        visit.asked = self.now;
        let (user, held, epoch) = (visit.user, visit.held, visit.epoch);
        match self.ask(replica, user, held) {
            Step::Serve(token) => self.served(place, token),
            Step::Refuse(after) => self.refused(place, after),
            Step::Wait { flight, patience } => {
                if let Some(flight) = self.flights.get_mut(&flight) {
                    flight.waiters.push((place, epoch));
                }
                let give_up = self.now + patience.as_micros() as Time;
                self.at(
                    give_up,
                    Event::OutOfPatience {
                        visit: place,
                        epoch,
                    },
                );
            }
        }
    }

    fn balance(&mut self, place: u32) -> u16 {
        let mine = self.visits[place as usize].replica;
        let sticky = self.setup.balancing == Balancing::Sticky;
        if sticky && self.replicas[usize::from(mine)].up {
            return mine;
        }
        self.any_replica()
    }

    fn any_replica(&mut self) -> u16 {
        loop {
            let replica = self.rng.u16(0..self.setup.replicas);
            if self.replicas[usize::from(replica)].up {
                return replica;
            }
        }
    }

    pub(crate) fn served(&mut self, place: u32, token: Token) {
        self.stats.total.served += 1;
        let u = self.jitter();
        let left = token.remaining(self.now);
        let again = Windows::new(LIFETIME, 0.0)
            .refresh_in(left, u)
            .as_secs()
            .max(1);
        let visit = &mut self.visits[place as usize];
        visit.failures = 0;
        visit.held = Some(token.id);
        visit.refresh = visit.asked + again * SECOND;
        self.sleep(place);
    }

    pub(crate) fn refused(&mut self, place: u32, after: Time) {
        self.stats.total.refused += 1;
        let visit = &mut self.visits[place as usize];
        if visit.opening {
            self.stats.tokenless.add(visit.asked, 1);
        }
        visit.failures += 1;
        // `Retry-After` as the endpoint spreads it, then as `session.js` does.
        let rng = &mut self.rng;
        let after = Duration::from_micros(after) + Duration::from_secs(5).mul_f64(rng.f64());
        let polite = after.as_secs().max(1) as f64 * (1.0 + rng.f64() / 10.0);
        let doublings = visit.failures.min(10) as i32 - 1;
        let backoff = (5.0 * 2_f64.powi(doublings)).min(80.0) * (0.5 + 0.5 * rng.f64());
        visit.refresh = self.now + (polite.max(backoff) * SECOND as f64) as Time;
        self.sleep(place);
    }

    /// Until the next thing that happens on the page.
    fn sleep(&mut self, place: u32) {
        let visit = &mut self.visits[place as usize];
        visit.epoch += 1;
        let epoch = visit.epoch;
        let then = visit.next_view.min(visit.refresh).min(visit.close);
        self.at(
            then,
            Event::Wake {
                visit: place,
                epoch,
            },
        );
    }

    pub(crate) fn is_current(&self, place: u32, epoch: u32) -> bool {
        self.visits[place as usize].epoch == epoch
    }

    /// What a random number is drawn for that spreads refreshes.
    pub(crate) fn jitter(&mut self) -> f64 {
        let u = self.rng.f64();
        if self.setup.jitter { u } else { 0.0 }
    }
}

/// What a replica does with a request.
#[derive(Debug)]
pub(crate) enum Step {
    Serve(Token),
    Refuse(Time),
    Wait { flight: u32, patience: Duration },
}
