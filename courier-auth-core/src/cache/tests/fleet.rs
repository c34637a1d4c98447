//! Random steps of several replicas that share a store, against what must hold whatever happens:
//! replicas that start anew, that have little memory, other keys or wrong clocks, and a store that
//! fails, forgets and does things late.
//!
//! As in `property`, the cases are the same on every run, and `PROPTEST_CASES` and
//! `PROPTEST_RNG_SEED` ask for more and others.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};

use super::{
    Mood, World,
    property::{config, mood, name, paused, seconds_between},
    settle,
    store::{Store, StoreMood},
};
use crate::{
    cache::{Wish, clock::ManualClock, policy::Windows},
    error::Error,
    request::Grant,
    shared::Rings,
    token::{Token, TokenId},
};

#[derive(Clone, Copy, Debug)]
struct Who {
    replica: usize,
    user: u8,
    /// Whether a token of half the lifetime is wanted.
    half: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Get(Who),
    Refresh(Who),
    Reject(Who),
    /// Ask without waiting.
    Start(Who),
    /// Whoever waits hangs up.
    HangUp,
    SignOut(usize, u8),
    Advance(f64),
    /// As a share of the lifetime.
    AdvanceBy(f64),
    Courier(Mood),
    Store(StoreMood),
    /// The store loses all that it has.
    Lose,
    Key(usize, usize),
    Restart(usize, usize),
    /// A replica's clock is set, by a share of the lifetime.
    SetClock(usize, f64),
}

fn op() -> impl Strategy<Value = Op> {
    // Few, so that they meet.
    let who = || {
        (0..REPLICAS, 0..USERS, prop::bool::weighted(0.2)).prop_map(|(replica, user, half)| Who {
            replica,
            user,
            half,
        })
    };
    let seconds = |low: f64, high: f64| (low..high).prop_map(Duration::from_secs_f64);
    let store = prop_oneof![
        8 => Just(StoreMood::Ok),
        1 => Just(StoreMood::Down),
        1 => seconds(0.0, 0.3).prop_map(StoreMood::Slow),
        1 => seconds(0.0, 0.3).prop_map(StoreMood::SlowLocks),
        1 => Just(StoreMood::Hang),
        1 => Just(StoreMood::Full),
        1 => seconds(0.0, LATEST.as_secs_f64()).prop_map(StoreMood::Late),
        1 => Just(StoreMood::Garbage),
        1 => Just(StoreMood::Foreign),
    ];
    prop_oneof![
        10 => who().prop_map(Op::Get),
        4 => who().prop_map(Op::Refresh),
        3 => who().prop_map(Op::Reject),
        6 => who().prop_map(Op::Start),
        1 => Just(Op::HangUp),
        3 => (0..REPLICAS, 0..USERS).prop_map(|(replica, user)| Op::SignOut(replica, user)),
        5 => (0.0..20.0).prop_map(Op::Advance),
        4 => (0.0..0.9).prop_map(Op::AdvanceBy),
        3 => mood().prop_map(Op::Courier),
        3 => store.prop_map(Op::Store),
        1 => Just(Op::Lose),
        1 => (0..REPLICAS, 0..KEYS.len()).prop_map(|(replica, key)| Op::Key(replica, key)),
        2 => (0..REPLICAS, 0..KEYS.len()).prop_map(|(replica, key)| Op::Restart(replica, key)),
        2 => (0..REPLICAS, -1.0..0.5).prop_map(|(replica, by)| Op::SetClock(replica, by)),
    ]
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn what_holds_whatever_happens_to_a_fleet(
        lifetime in prop::sample::select(vec![60, 300, 3600, 86400]),
        max_users in prop::sample::select(vec![1, 2, 100]),
        clocks_agree in any::<bool>(),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..100),
    ) {
        let outcome = paused().block_on(async {
            fastrand::seed(seed);
            let mut run = Run::new(Duration::from_secs(lifetime), max_users, clocks_agree);
            for (at, op) in ops.iter().enumerate() {
                let outcome = run.step(op).await;
                outcome.map_err(|problem| format!("step {at}: {problem}"))?;
            }
            run.quiet_down().await
        });
        prop_assert_eq!(outcome, Ok(()));
    }
}

/// Somebody who asked, and what may not have been asked for before.
struct Caller {
    who: Who,
    floor: Option<SystemTime>,
    answer: JoinHandle<(Result<Token, Error>, SystemTime, Duration)>,
}

/// When users were signed out last.
type SignOuts = BTreeMap<u8, SystemTime>;

struct Run {
    /// Has Courier, and the clock that is right.
    world: World,
    store: Store,
    mood: StoreMood,
    /// Since when the store is well.
    well_since: Instant,
    /// When the last that comes late will have come.
    late_until: Instant,
    replicas: Vec<World>,
    max_users: usize,
    clocks_agree: bool,
    callers: Vec<Caller>,
    /// What each replica was handed last.
    held: BTreeMap<(usize, u8, bool), TokenId>,
    /// What each replica may not hand out.
    floors: Vec<SignOuts>,
    /// By whom the store was told, or will be, and when.
    told: Vec<BTreeMap<u8, (SystemTime, Instant)>>,
    /// What the store was told by replicas that are no more.
    written: SignOuts,
    asked: usize,
}

impl Run {
    fn new(lifetime: Duration, max_users: usize, clocks_agree: bool) -> Self {
        let (world, store) = World::with_store(lifetime);
        let replica = |number| {
            let clock = ManualClock::new();
            world.small_replica(&store, &clock, rings(number % KEYS.len()), max_users)
        };
        Self {
            replicas: (0..REPLICAS).map(replica).collect(),
            world,
            store,
            mood: StoreMood::Ok,
            well_since: Instant::now(),
            late_until: Instant::now(),
            max_users,
            clocks_agree,
            callers: Vec::new(),
            held: BTreeMap::new(),
            floors: vec![SignOuts::new(); REPLICAS],
            told: vec![BTreeMap::new(); REPLICAS],
            written: SignOuts::new(),
            asked: 0,
        }
    }

    async fn step(&mut self, op: &Op) -> Result<(), String> {
        let share = |share: f64| self.world.lifetime.mul_f64(share.abs());
        match op {
            Op::Get(who) => self.ask_and_check(*who, Wish::Any).await?,
            Op::Refresh(who) => {
                let wish = Wish::Newer(self.held(*who));
                self.ask_and_check(*who, wish).await?;
            }
            Op::Reject(who) => {
                let wish = Wish::Other(self.held(*who));
                self.ask_and_check(*who, wish).await?;
            }
            Op::Start(who) => {
                let caller = self.ask(*who, Wish::Any);
                self.callers.push(caller);
            }
            Op::HangUp => {
                for caller in self.callers.drain(..) {
                    caller.answer.abort();
                }
            }
            Op::SignOut(replica, user) => self.sign_out(*replica, *user),
            Op::Advance(seconds) => tokio::time::sleep(Duration::from_secs_f64(*seconds)).await,
            Op::AdvanceBy(part) => tokio::time::sleep(share(*part)).await,
            Op::Courier(mood) => self.world.courier.set_mood(mood.clone()),
            // By how much too long a token is kept is known by no clock but the right one.
            Op::Store(StoreMood::Late(_)) if !self.clocks_agree => {}
            Op::Store(mood) => self.set_mood(mood.clone()),
            Op::Lose => {
                self.store.lose_everything();
                self.nothing_is_written();
            }
            Op::Key(replica, key) => {
                let cache = &self.replicas[*replica].cache;
                cache.set_api_key(KEYS[*key].into()).unwrap();
            }
            Op::Restart(replica, key) => self.restart(*replica, *key),
            Op::SetClock(..) if self.clocks_agree => {}
            Op::SetClock(replica, by) if *by < 0.0 => {
                self.replicas[*replica].clock.set_back(share(*by));
            }
            Op::SetClock(replica, by) => self.replicas[*replica].clock.set_forward(share(*by)),
        }
        settle().await;
        self.collect().await?;
        // A flight has three tries, and a caller starts at most one.
        if self.world.courier.calls() > 3 * self.asked {
            return Err("Courier is called too often".into());
        }
        Ok(())
    }

    fn sign_out(&mut self, replica: usize, user: u8) {
        self.replicas[replica].cache.invalidate(&name(user));
        let now = self.world.clock.true_time();
        self.floors[replica].insert(user, now);
        // Something older that comes late may take its place.
        if Instant::now() >= self.late_until {
            self.told[replica].insert(user, (now, Instant::now()));
        }
        self.held
            .retain(|(at, of, _), _| (*at, *of) != (replica, user));
    }

    fn set_mood(&mut self, mood: StoreMood) {
        if takes_back(&mood) || takes_back(&self.mood) {
            self.nothing_is_written();
        }
        if let StoreMood::Late(_) = self.mood {
            self.late_until = Instant::now() + LATEST;
        }
        if self.mood != StoreMood::Ok {
            self.well_since = Instant::now();
        }
        self.mood = mood.clone();
        self.store.set_mood(mood);
    }

    fn nothing_is_written(&mut self) {
        self.told.iter_mut().for_each(BTreeMap::clear);
        self.written.clear();
    }

    fn restart(&mut self, replica: usize, key: usize) {
        let clock = Arc::clone(&self.replicas[replica].clock);
        let rings = rings(key);
        self.replicas[replica] =
            self.world
                .small_replica(&self.store, &clock, rings, self.max_users);
        self.held.retain(|(at, ..), _| *at != replica);
        let mut told = std::mem::take(&mut self.told[replica]);
        told.retain(|_, (_, since)| self.is_written(*since));
        for (user, (at, _)) in told {
            let known = self.written.entry(user).or_insert(at);
            *known = at.max(*known);
        }
        self.floors[replica] = self.all_written();
    }

    /// Whether what the store was told then is written by now.
    fn is_written(&self, told: Instant) -> bool {
        self.mood == StoreMood::Ok && self.well_since.max(told).elapsed() > LONGEST_PAUSE
    }

    /// What nobody may hand out who starts now.
    fn all_written(&self) -> SignOuts {
        let mut all = self.written.clone();
        for (user, (at, told)) in self.told.iter().flatten() {
            if self.is_written(*told) {
                let known = all.entry(*user).or_insert(*at);
                *known = (*known).max(*at);
            }
        }
        all
    }

    /// All that waited have their answer in the end; nothing is left running; all users recover.
    async fn quiet_down(&mut self) -> Result<(), String> {
        self.set_mood(StoreMood::Ok);
        tokio::time::sleep(2 * LONGEST_PAUSE).await;
        self.collect().await?;
        if !self.callers.is_empty() {
            return Err("somebody waits for ever".into());
        }
        let tasks = Handle::current().metrics().num_alive_tasks();
        let locks = self.store.names(":l");
        if tasks > 0 || !locks.is_empty() {
            return Err(format!("left behind: {tasks} tasks, {locks:?}"));
        }
        for replica in &self.replicas {
            let status = replica.cache.status();
            let left = (status.calls_in_flight, status.queued);
            if left != (0, 0) {
                return Err(format!("left behind: {left:?}"));
            }
        }
        self.world.courier.set_mood(Mood::Ok);
        // The longest backoff, pause or `Retry-After`.
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.restart(0, 0);
        for replica in 0..REPLICAS {
            for (user, half) in (0..USERS).flat_map(|user| [(user, false), (user, true)]) {
                let who = Who {
                    replica,
                    user,
                    half,
                };
                let caller = self.ask(who, Wish::Any);
                self.check(caller, true).await?;
            }
        }
        Ok(())
    }

    fn held(&self, who: Who) -> TokenId {
        let held = self.held.get(&(who.replica, who.user, who.half));
        held.copied().unwrap_or_else(|| TokenId::of("none"))
    }

    fn grant(&self, who: Who) -> Grant {
        let mut grant = self.world.grant(&name(who.user));
        if who.half {
            Arc::make_mut(&mut grant.terms).lifetime /= 2;
        }
        grant
    }

    fn ask(&mut self, who: Who, wish: Wish) -> Caller {
        self.asked += 1;
        let cache = self.replicas[who.replica].cache.clone();
        let clock = Arc::clone(&self.world.clock);
        let grant = self.grant(who);
        let answer = tokio::spawn(async move {
            let start = Instant::now();
            let outcome = cache.get(&grant, wish).await;
            (outcome, clock.true_time(), start.elapsed())
        });
        Caller {
            who,
            floor: self.floors[who.replica].get(&who.user).copied(),
            answer,
        }
    }

    async fn ask_and_check(&mut self, who: Who, wish: Wish) -> Result<(), String> {
        let caller = self.ask(who, wish);
        self.check(caller, false).await
    }

    async fn collect(&mut self) -> Result<(), String> {
        for caller in std::mem::take(&mut self.callers) {
            if caller.answer.is_finished() {
                self.check(caller, false).await?;
            } else {
                self.callers.push(caller);
            }
        }
        Ok(())
    }

    async fn check(&mut self, caller: Caller, well: bool) -> Result<(), String> {
        let Caller { who, floor, answer } = caller;
        let (outcome, now, took) = answer.await.unwrap();
        if took > Duration::from_secs(5) + Duration::from_millis(10) {
            return Err(format!("{who:?} waited {took:?}"));
        }
        let token = match outcome {
            Ok(token) => token,
            Err(error) if well => return Err(format!("{who:?} does not recover: {error:?}")),
            Err(_) => return Ok(()),
        };
        let grant = self.grant(who);
        let user_id = format!("user_id:{}", name(who.user));
        if token.user_id() != name(who.user)
            || !token.scope().split(' ').any(|word| word == user_id)
            || token.terms() != &grant.terms
        {
            return Err(format!("{who:?} got {token:?}"));
        }
        let birth = self.world.courier.birth(&token).ok_or("an unknown token")?;
        // Courier's times are whole seconds, and a slow store hears a little late of a token.
        let left = seconds_between(now, birth.end) + 1.5;
        if left < Windows::new(birth.life, 0.0).grace.as_secs_f64() {
            return Err(format!("{who:?} got {token:?} with {left} s left"));
        }
        if self.clocks_agree && floor.is_some_and(|floor| birth.asked < floor) {
            return Err(format!("{who:?} got {token:?} of before a sign-out"));
        }
        let signed_out = self.floors[who.replica].get(&who.user);
        if signed_out.is_none_or(|at| birth.asked >= *at) {
            self.held
                .insert((who.replica, who.user, who.half), token.id());
        }
        Ok(())
    }
}

/// Whether what was written may go: what is no good is thrown away, and so is what is there when
/// something older comes late.
fn takes_back(mood: &StoreMood) -> bool {
    matches!(
        mood,
        StoreMood::Garbage | StoreMood::Foreign | StoreMood::Late(_)
    )
}

fn rings(current: usize) -> Rings {
    let others = (0..KEYS.len()).filter(|key| *key != current);
    let others: Vec<_> = others.map(|key| KEYS[key].into()).collect();
    Rings::new(&KEYS[current].into(), None, &others)
}

const REPLICAS: usize = 2;
const USERS: u8 = 2;
const KEYS: [&str; 3] = ["pk_one", "pk_two", "pk_three"];
const LATEST: Duration = Duration::from_secs(90);
/// Of the store's breaker, and of those who write sign-outs, one after the other.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 + 15 + 5);
