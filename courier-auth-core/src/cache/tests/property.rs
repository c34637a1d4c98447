//! Random steps against what must hold whatever happens.
//!
//! The cases are the same on every run, so that a build does not fail by chance. More and others:
//! `PROPTEST_CASES=100000 PROPTEST_RNG_SEED=42 cargo test -p courier-auth-core --lib property`. A
//! failure prints the shortest steps that lead to it and keeps the seed to replay them.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use proptest::{prelude::*, test_runner::RngSeed};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::Instant,
};

#[cfg(feature = "shared-cache")]
use super::store::{Store, StoreMood};
use super::{Mood, World, settle};
use crate::{
    cache::{Wish, clock::Moment, policy::Windows},
    error::Error,
    token::{Token, TokenId},
};

#[derive(Clone, Debug)]
enum Op {
    Get(u8),
    Refresh(u8),
    Reject(u8),
    /// Ask without waiting.
    Start(u8),
    /// All that wait hang up.
    Drop(u8),
    Advance(f64),
    /// As a share of the lifetime.
    AdvanceBy(f64),
    Sleep(f64),
    SetClock(f64),
    Courier(Mood),
    Invalidate(u8),
    NewKey,
    #[cfg(feature = "shared-cache")]
    Store(StoreMood),
    /// The replica starts anew, with nothing but the store.
    #[cfg(feature = "shared-cache")]
    Restart,
}

pub(super) fn mood() -> impl Strategy<Value = Mood> {
    let seconds = |low: f64, high: f64| (low..high).prop_map(Duration::from_secs_f64);
    prop_oneof![
        6 => Just(Mood::Ok),
        2 => seconds(0.0, 3.0).prop_map(Mood::Slow),
        2 => Just(Mood::Hang),
        1 => Just(Mood::Status(400, None)),
        1 => Just(Mood::Status(401, None)),
        3 => Just(Mood::Status(503, None)),
        1 => seconds(0.0, 60.0).prop_map(|after| Mood::Status(429, Some(after))),
        1 => Just(Mood::Garbage),
        1 => Just(Mood::WrongUser),
        1 => Just(Mood::SameExp),
        1 => Just(Mood::Opaque),
        1 => Just(Mood::NoExp),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS;
    prop_oneof![
        8 => user().prop_map(Op::Get),
        4 => user().prop_map(Op::Refresh),
        2 => user().prop_map(Op::Reject),
        4 => user().prop_map(Op::Start),
        2 => user().prop_map(Op::Drop),
        6 => (0.0..20.0).prop_map(Op::Advance),
        6 => (0.0..1.1).prop_map(Op::AdvanceBy),
        2 => (0.0..1.1).prop_map(Op::Sleep),
        1 => (-0.5..0.5).prop_map(Op::SetClock),
        6 => mood().prop_map(Op::Courier),
        1 => user().prop_map(Op::Invalidate),
        1 => Just(Op::NewKey),
    ]
}

#[cfg(feature = "shared-cache")]
fn op_with_store() -> impl Strategy<Value = Op> {
    let mood = prop_oneof![
        6 => Just(StoreMood::Ok),
        1 => Just(StoreMood::Down),
        2 => (0.0..0.5).prop_map(|delay| StoreMood::Slow(Duration::from_secs_f64(delay))),
        1 => Just(StoreMood::Hang),
        1 => Just(StoreMood::Full),
        1 => Just(StoreMood::Garbage),
        1 => Just(StoreMood::Foreign),
    ];
    prop_oneof![
        8 => op(),
        1 => mood.prop_map(Op::Store),
        1 => Just(Op::Restart),
    ]
}

pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(cases),
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").unwrap_or(1)),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

pub(super) fn paused() -> Runtime {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap()
}

/// Takes these steps from the beginning, and then waits until all is quiet.
fn take(steps: &[Op], seed: u64, run: impl FnOnce() -> Run) -> Result<(), String> {
    paused().block_on(async {
        fastrand::seed(seed);
        let mut run = run();
        for (at, op) in steps.iter().enumerate() {
            run.step(op)
                .await
                .map_err(|problem| format!("step {at}: {problem}"))?;
        }
        run.quiet_down().await
    })
}

#[cfg(feature = "shared-cache")]
proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn what_holds_whatever_happens_with_a_store(
        lifetime in prop::sample::select(vec![60, 300, 3600, 86400]),
        seed in any::<u64>(),
        ops in prop::collection::vec(op_with_store(), 1..40),
    ) {
        let run = || Run::with_store(Duration::from_secs(lifetime));
        prop_assert_eq!(take(&ops, seed, run), Ok(()));
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn what_holds_whatever_happens(
        lifetime in prop::sample::select(vec![60, 300, 3600, 86400]),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let run = || Run::new(Duration::from_secs(lifetime));
        prop_assert_eq!(take(&ops, seed, run), Ok(()));
    }
}

/// A token and when it was handed out.
struct Last {
    token: Token,
    at: Instant,
}

/// A caller that waits, and how often its user had been invalidated when it asked.
type Caller = (
    JoinHandle<(Result<Token, Error>, Moment, SystemTime)>,
    usize,
);

struct Run {
    world: World,
    /// Whether tokens may come from a store.
    sharing: bool,
    #[cfg(feature = "shared-cache")]
    store: Store,
    callers: BTreeMap<u8, Vec<Caller>>,
    /// The last token of each user that was handed out since the last invalidation.
    last: BTreeMap<u8, Last>,
    invalidated: BTreeMap<u8, usize>,
    asked: usize,
    /// Whether Courier has ever been other than well.
    troubled: bool,
}

impl Run {
    #[cfg(feature = "shared-cache")]
    fn with_store(lifetime: Duration) -> Self {
        let (world, store) = World::with_store(lifetime);
        Self {
            world,
            sharing: true,
            store,
            ..Self::new(lifetime)
        }
    }

    fn new(lifetime: Duration) -> Self {
        Self {
            world: World::new(lifetime, 100),
            sharing: false,
            #[cfg(feature = "shared-cache")]
            store: Store::new(),
            callers: BTreeMap::new(),
            last: BTreeMap::new(),
            invalidated: BTreeMap::new(),
            asked: 0,
            troubled: false,
        }
    }

    async fn step(&mut self, op: &Op) -> Result<(), String> {
        let share = |share: f64| self.world.lifetime.mul_f64(share.abs());
        match op {
            Op::Get(user) => self.ask_and_check(*user, Wish::Any).await?,
            Op::Refresh(user) => {
                let wish = Wish::Newer(self.held(*user));
                self.ask_and_check(*user, wish).await?;
            }
            Op::Reject(user) => {
                let wish = Wish::Other(self.held(*user));
                self.ask_and_check(*user, wish).await?;
            }
            Op::Start(user) => {
                let caller = self.ask(*user, Wish::Any);
                self.callers.entry(*user).or_default().push(caller);
            }
            Op::Drop(user) => {
                for (caller, _) in self.callers.remove(user).unwrap_or_default() {
                    caller.abort();
                }
            }
            Op::Advance(seconds) => tokio::time::sleep(Duration::from_secs_f64(*seconds)).await,
            Op::AdvanceBy(part) => tokio::time::sleep(share(*part)).await,
            Op::Sleep(part) => self.world.clock.sleep(share(*part)),
            Op::SetClock(part) if *part < 0.0 => self.world.clock.set_back(share(*part)),
            Op::SetClock(part) => self.world.clock.set_forward(share(*part)),
            Op::Courier(mood) => {
                self.troubled |= *mood != Mood::Ok;
                self.world.courier.set_mood(mood.clone());
            }
            Op::Invalidate(user) => {
                self.world.cache.invalidate(&name(*user));
                self.last.remove(user);
                *self.invalidated.entry(*user).or_default() += 1;
                self.world.courier.forgive(&name(*user));
            }
            Op::NewKey => self.world.cache.set_api_key("new".into()).unwrap(),
            #[cfg(feature = "shared-cache")]
            Op::Store(mood) => self.store.set_mood(mood.clone()),
            #[cfg(feature = "shared-cache")]
            Op::Restart if self.sharing => {
                self.world = self.world.replica(&self.store);
                for user in 0..USERS {
                    self.last.remove(&user);
                    *self.invalidated.entry(user).or_default() += 1;
                    self.world.courier.forgive(&name(user));
                }
            }
            #[cfg(feature = "shared-cache")]
            Op::Restart => {}
        }
        settle().await;
        self.collect().await?;
        let most = self.world.courier.most_for_one_user();
        if most > 1 {
            return Err(format!("{most} calls for one user at once"));
        }
        // A flight has three tries, and a caller starts at most one.
        if self.world.courier.calls() > 3 * self.asked {
            return Err("Courier is called too often".into());
        }
        Ok(())
    }

    /// All that waited have their answer in the end; nothing is left running; all users recover.
    async fn quiet_down(&mut self) -> Result<(), String> {
        // Who was signed out is told to a store until it takes it.
        #[cfg(feature = "shared-cache")]
        self.store.set_mood(StoreMood::Ok);
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.collect().await?;
        if !self.callers.is_empty() {
            return Err("somebody waits for ever".into());
        }
        let status = self.world.cache.status();
        let tasks = Handle::current().metrics().num_alive_tasks();
        let left = (
            status.calls_in_flight,
            status.queued,
            self.world.courier.running(),
            tasks,
        );
        if left != (0, 0, 0, 0) {
            return Err(format!("left behind: {left:?}"));
        }
        self.world.courier.set_mood(Mood::Ok);
        // The longest backoff, pause or `Retry-After`.
        tokio::time::sleep(Duration::from_secs(60)).await;
        for user in 0..USERS {
            let (outcome, ..) = self.ask(user, Wish::Any).0.await.unwrap();
            if let Err(error) = outcome {
                return Err(format!("{user} does not recover: {error:?}"));
            }
        }
        Ok(())
    }

    fn held(&self, user: u8) -> TokenId {
        let held = self.last.get(&user).map(|last| last.token.id());
        held.unwrap_or_else(|| TokenId::of("none"))
    }

    fn ask(&mut self, user: u8, wish: Wish) -> Caller {
        self.asked += 1;
        let cache = self.world.cache.clone();
        let clock = self.world.clock.clone();
        let grant = self.world.grant(&name(user));
        let caller = tokio::spawn(async move {
            let outcome = cache.get(&grant, wish).await;
            (outcome, clock.now(), clock.true_time())
        });
        (caller, self.invalidations(user))
    }

    fn invalidations(&self, user: u8) -> usize {
        self.invalidated.get(&user).copied().unwrap_or_default()
    }

    async fn ask_and_check(&mut self, user: u8, wish: Wish) -> Result<(), String> {
        let calls = self.world.courier.calls();
        let before = self.left(user);
        let windows = Windows::new(self.world.lifetime, 0.0);
        let start = Instant::now();
        let (outcome, now, true_time) = self.ask(user, wish).0.await.unwrap();
        let took = start.elapsed();
        settle().await;
        let calls = self.world.courier.calls() - calls;
        // Jitter moves the end of the fresh zone from A up to 4/3 A, never down. The lifetime of a
        // token may be shorter than was asked for, which moves the zones down as well.
        if let (Some(left), Wish::Any) = (before, wish)
            && left > windows.aging.mul_f64(4.0 / 3.0)
            && (calls > 0 || took > Duration::ZERO)
            && self.callers.is_empty()
        {
            return Err(format!("{left:?} left, but Courier was called"));
        }
        if let Ok(token) = &outcome
            && !self.troubled
            && token.remaining(now) <= windows.aging
            && calls == 0
            && self.callers.is_empty()
            && !self.sharing
        {
            return Err(format!("{token:?} ages, but no refresh was started"));
        }
        if took > Duration::from_secs(5) + Duration::from_millis(10) {
            return Err(format!("a caller waited {took:?}"));
        }
        self.check(user, &outcome, now, true_time, true)
    }

    async fn collect(&mut self) -> Result<(), String> {
        for user in 0..USERS {
            let mut waiting = Vec::new();
            for (caller, invalidations) in self.callers.remove(&user).unwrap_or_default() {
                if caller.is_finished() {
                    let (outcome, now, true_time) = caller.await.unwrap();
                    let current = invalidations == self.invalidations(user);
                    self.check(user, &outcome, now, true_time, current)?;
                } else {
                    waiting.push((caller, invalidations));
                }
            }
            if !waiting.is_empty() {
                self.callers.insert(user, waiting);
            }
        }
        Ok(())
    }

    fn check(
        &mut self,
        user: u8,
        outcome: &Result<Token, Error>,
        now: Moment,
        true_time: SystemTime,
        current: bool,
    ) -> Result<(), String> {
        let grace = Windows::new(self.world.lifetime, 0.0).grace;
        match outcome {
            Ok(token) => {
                if token.user_id() != name(user)
                    || !token
                        .scope()
                        .split(' ')
                        .any(|word| word == format!("user_id:{}", name(user)))
                {
                    return Err(format!("user {user} got {token:?}"));
                }
                self.never_past_usable(token, now, true_time)?;
                // One that was asked for before an invalidation is handed out, but not kept.
                if current {
                    let token = token.clone();
                    self.last.insert(
                        user,
                        Last {
                            token,
                            at: now.mono,
                        },
                    );
                }
            }
            Err(error) => {
                // Answers are looked at later than they came.
                let last = self.last.get(&user).filter(|last| last.at < now.mono);
                let usable = last.map(|last| last.token.remaining(now));
                if usable.is_some_and(|left| left > grace) {
                    return Err(format!("{error:?} although a token is good for {usable:?}"));
                }
            }
        }
        Ok(())
    }

    /// By the true clock, but for what no machine can know: that its wall clock was set back while
    /// its monotonic clock stood still.
    fn never_past_usable(
        &self,
        token: &Token,
        now: Moment,
        true_time: SystemTime,
    ) -> Result<(), String> {
        let birth = self.world.courier.birth(token).ok_or("an unknown token")?;
        let left = seconds_between(true_time, birth.end);
        let passed = seconds_between(birth.true_time, true_time);
        let slept = passed - (now.mono - birth.at.mono).as_secs_f64();
        let set_back = passed - seconds_between(birth.at.wall, now.wall);
        let unknowable = slept.min(set_back).max(0.0);
        let grace = Windows::new(birth.life, 0.0).grace.as_secs_f64();
        // Courier's times are whole seconds.
        if left + unknowable + 1.01 < grace {
            return Err(format!("{token:?} handed out with {left} s left"));
        }
        Ok(())
    }

    /// What the cache believes to be left of the user's token.
    fn left(&self, user: u8) -> Option<Duration> {
        let now = self.world.clock.now();
        self.last.get(&user).map(|last| last.token.remaining(now))
    }
}

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

pub(super) fn seconds_between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(later) => later.as_secs_f64(),
        Err(earlier) => -earlier.duration().as_secs_f64(),
    }
}

pub(super) fn name(user: u8) -> String {
    format!("user-{user}")
}

const USERS: u8 = 3;
