//! Runs `scenarios.json`, which says in data what the cache does when.
//!
//! A step is one of
//!
//! * `get`, `refresh`, `reject` with a user: ask now and expect an outcome. `refresh` and `reject`
//!   name the token that is held or was refused by its number;
//! * `start` with a user: ask, and go on without waiting; `join` expects the outcome, `drop` hangs
//!   up;
//! * `advance`: time passes; `sleep`: the laptop sleeps; `set_clock`: the wall clock is set wrong;
//! * `courier`: what it does from now on;
//! * `invalidate` with a user; `new_key`: the API key is `new` from now on;
//! * `store`, in `scenarios_shared.json`, where there is one: what it does from now on; `replica`: from now on
//!   another replica is asked, one that has just started or (by its number) one of before.
//!
//! Tokens are numbered in the order in which Courier issued them. An outcome is the number of a
//! token or the kind of an error. `calls` is how often Courier was called during the step (every
//! try), `took` how long the caller waited. Durations are like `90s`, `5m`, `1h` or `500ms`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use tokio::task::JoinHandle;

#[cfg(feature = "shared-cache")]
use super::store::{Store, StoreMood};
use super::{Mood, World, settle};
use crate::{
    cache::Wish,
    error::Error,
    token::{Token, TokenId},
};

#[tokio::test(start_paused = true)]
async fn scenarios() {
    let scenarios: Vec<Scenario> = serde_json::from_str(include_str!("scenarios.json")).unwrap();
    assert!(scenarios.len() >= 60, "the table is there");
    run_all(&scenarios, Run::alone).await;
}

async fn run_all(scenarios: &[Scenario], start: fn(Duration) -> Run) {
    let mut failures = Vec::new();
    for scenario in scenarios {
        // Jitter in the middle, the same on every run.
        fastrand::seed(scenario.seed.unwrap_or(7));
        if let Err(problem) = scenario.run(start).await {
            failures.push(format!("{}: {problem}", scenario.name));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[cfg(feature = "shared-cache")]
#[tokio::test(start_paused = true)]
async fn scenarios_with_a_store() {
    let scenarios: Vec<Scenario> =
        serde_json::from_str(include_str!("scenarios_shared.json")).unwrap();
    assert!(scenarios.len() >= 15, "the table is there");
    run_all(&scenarios, Run::sharing).await;
}

/// Runs the steps of one scenario, with tokens of an hour.
pub(super) async fn run(steps: &str) {
    fastrand::seed(7);
    let scenario = Scenario {
        name: String::new(),
        lifetime: None,
        seed: None,
        without_date: false,
        steps: serde_json::from_str(steps).unwrap(),
    };
    assert_eq!(scenario.run(Run::alone).await, Ok(()));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    /// Of tokens; an hour unless it says otherwise.
    #[serde(default)]
    lifetime: Option<Span>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    without_date: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Step {
    get: Option<String>,
    refresh: Option<String>,
    reject: Option<String>,
    /// The number of the token that is held or was refused.
    held: Option<usize>,

    start: Option<String>,
    /// How many callers start at once; one unless it says otherwise.
    callers: Option<usize>,
    join: Option<String>,
    drop: Option<String>,

    advance: Option<Span>,
    sleep: Option<Span>,
    set_clock: Option<String>,
    courier: Option<CourierDoes>,
    invalidate: Option<String>,
    new_key: bool,
    #[cfg(feature = "shared-cache")]
    store: Option<StoreDoes>,
    #[cfg(feature = "shared-cache")]
    replica: Option<usize>,

    token: Option<usize>,
    error: Option<String>,
    took: Option<Span>,
    /// Seconds, inclusive.
    retry_after: Option<(f64, f64)>,
    calls: Option<usize>,
    /// How many commands the store got.
    #[cfg(feature = "shared-cache")]
    commands: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CourierDoes {
    Ok,
    Slow(Span),
    Hang,
    Status(u16),
    StatusRetryAfter(u16, Span),
    /// Takes a second to refuse every API key but `new`.
    WantsNewKey,
    /// Takes a second to refuse them all.
    WantsAnotherKey,
    Garbage,
    WrongUser,
    SameExp,
    Opaque,
    NoExp,
    ShortLife(Span),
    Panic,
}

#[cfg(feature = "shared-cache")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoreDoes {
    Ok,
    Down,
    Slow(Span),
    Hang,
    Full,
    Garbage,
    Foreign,
    LosesEverything,
}

type Caller = JoinHandle<(Result<Token, Error>, Duration)>;

impl Scenario {
    async fn run(&self, start: fn(Duration) -> Run) -> Result<(), String> {
        let lifetime = self.lifetime.unwrap_or(Span(Duration::from_secs(3600)));
        let mut run = start(lifetime.0);
        if self.without_date {
            run.world.courier.send_no_date();
        }
        for (at, step) in self.steps.iter().enumerate() {
            let before = run.world.courier.calls();
            #[cfg(feature = "shared-cache")]
            let commands = run.store.commands();
            run.step(step)
                .await
                .map_err(|problem| format!("step {}: {problem}", at + 1))?;
            settle().await;
            let calls = run.world.courier.calls() - before;
            if step.calls.is_some_and(|expected| expected != calls) {
                return Err(format!("step {}: Courier was called {calls} times", at + 1));
            }
            #[cfg(feature = "shared-cache")]
            {
                let commands = run.store.commands() - commands;
                if step.commands.is_some_and(|expected| expected != commands) {
                    return Err(format!("step {}: {commands} commands", at + 1));
                }
            }
        }
        Ok(())
    }
}

struct Run {
    world: World,
    #[cfg(feature = "shared-cache")]
    store: Store,
    /// The replicas that are not asked at the moment, by number.
    #[cfg(feature = "shared-cache")]
    others: BTreeMap<usize, World>,
    /// The one that is.
    #[cfg(feature = "shared-cache")]
    asked: usize,
    tokens: BTreeMap<usize, TokenId>,
    callers: BTreeMap<String, Vec<Caller>>,
}

impl Run {
    fn alone(lifetime: Duration) -> Self {
        Self {
            world: World::new(lifetime, 1000),
            #[cfg(feature = "shared-cache")]
            store: Store::new(),
            #[cfg(feature = "shared-cache")]
            others: BTreeMap::new(),
            #[cfg(feature = "shared-cache")]
            asked: 1,
            tokens: BTreeMap::new(),
            callers: BTreeMap::new(),
        }
    }

    #[cfg(feature = "shared-cache")]
    fn sharing(lifetime: Duration) -> Self {
        let (world, store) = World::with_store(lifetime);
        Self {
            world,
            store,
            ..Self::alone(lifetime)
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Some(does) = &step.courier {
            self.world.courier.set_mood(does.mood());
        }
        if let Some(Span(time)) = step.advance {
            tokio::time::sleep(time).await;
        }
        if let Some(Span(time)) = step.sleep {
            self.world.clock.sleep(time);
        }
        if let Some(change) = &step.set_clock {
            match change.split_at(1) {
                ("+", by) => self.world.clock.set_forward(parse(by)?),
                ("-", by) => self.world.clock.set_back(parse(by)?),
                _ => return Err("set_clock is +5m or -5m".into()),
            }
        }
        if let Some(user) = &step.invalidate {
            self.world.cache.invalidate(user);
        }
        #[cfg(feature = "shared-cache")]
        self.share(step);
        if step.new_key {
            self.world.cache.set_api_key("new".into()).unwrap();
        }
        if let Some(user) = &step.start {
            for _ in 0..step.callers.unwrap_or(1) {
                let caller = self.ask(user, Wish::Any);
                self.callers.entry(user.clone()).or_default().push(caller);
            }
        }
        if let Some(user) = &step.drop {
            for caller in self.callers.remove(user).unwrap_or_default() {
                caller.abort();
            }
        }
        if let Some(user) = &step.join {
            for caller in self.callers.remove(user).unwrap_or_default() {
                self.check(step, caller).await?;
            }
        }
        if let Some((user, wish)) = self.wish(step)? {
            let caller = self.ask(&user, wish);
            self.check(step, caller).await?;
        }
        Ok(())
    }

    #[cfg(feature = "shared-cache")]
    fn share(&mut self, step: &Step) {
        match &step.store {
            None => {}
            Some(StoreDoes::LosesEverything) => self.store.lose_everything(),
            Some(does) => self.store.set_mood(does.mood()),
        }
        if let Some(number) = step.replica {
            let known = self.others.remove(&number);
            let next = known.unwrap_or_else(|| self.world.replica(&self.store));
            let before = std::mem::replace(&mut self.world, next);
            self.others.insert(self.asked, before);
            self.asked = number;
        }
    }

    fn wish(&self, step: &Step) -> Result<Option<(String, Wish)>, String> {
        let held = || {
            let number = step.held.ok_or("`held` is missing")?;
            let unknown = || format!("token {number} has not been seen");
            self.tokens.get(&number).copied().ok_or_else(unknown)
        };
        Ok(match (&step.get, &step.refresh, &step.reject) {
            (Some(user), None, None) => Some((user.clone(), Wish::Any)),
            (None, Some(user), None) => Some((user.clone(), Wish::Newer(held()?))),
            (None, None, Some(user)) => Some((user.clone(), Wish::Other(held()?))),
            _ => None,
        })
    }

    fn ask(&self, user: &str, wish: Wish) -> Caller {
        let cache = self.world.cache.clone();
        let grant = self.world.grant(user);
        tokio::spawn(async move {
            let start = tokio::time::Instant::now();
            (cache.get(&grant, wish).await, start.elapsed())
        })
    }

    async fn check(&mut self, step: &Step, caller: Caller) -> Result<(), String> {
        let (outcome, took) = caller.await.map_err(|error| error.to_string())?;
        match (&outcome, step.token, &step.error) {
            (Ok(token), Some(expected), None) => {
                let number = self.world.courier.number_of(token);
                self.tokens.insert(number, token.id());
                if number != expected {
                    return Err(format!("token {number} instead of {expected}"));
                }
            }
            (Err(error), None, Some(expected)) => {
                if format!("{:?}", error.kind()) != *expected {
                    return Err(format!("{error:?} instead of {expected}"));
                }
                let after = error.retry_after().map(|after| after.as_secs_f64());
                if let Some((low, high)) = step.retry_after
                    && after.is_none_or(|after| after < low || after > high)
                {
                    return Err(format!("retry after {after:?}"));
                }
            }
            _ => return Err(format!("unexpected {outcome:?}")),
        }
        match step.took {
            // Timers have a resolution of a millisecond.
            Some(Span(expected)) if took.abs_diff(expected) > Duration::from_millis(5) => {
                Err(format!("took {took:?} instead of {expected:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl CourierDoes {
    fn mood(&self) -> Mood {
        match self {
            Self::Ok => Mood::Ok,
            Self::Slow(Span(delay)) => Mood::Slow(*delay),
            Self::Hang => Mood::Hang,
            Self::Status(status) => Mood::Status(*status, None),
            Self::StatusRetryAfter(status, Span(after)) => Mood::Status(*status, Some(*after)),
            Self::WantsNewKey => Mood::WantsKey("new", Duration::from_secs(1)),
            Self::WantsAnotherKey => Mood::WantsKey("another", Duration::from_secs(1)),
            Self::Garbage => Mood::Garbage,
            Self::WrongUser => Mood::WrongUser,
            Self::SameExp => Mood::SameExp,
            Self::Opaque => Mood::Opaque,
            Self::NoExp => Mood::NoExp,
            Self::ShortLife(Span(life)) => Mood::ShortLife(*life),
            Self::Panic => Mood::Panic,
        }
    }
}

#[cfg(feature = "shared-cache")]
impl StoreDoes {
    fn mood(&self) -> StoreMood {
        match self {
            Self::Ok | Self::LosesEverything => StoreMood::Ok,
            Self::Down => StoreMood::Down,
            Self::Slow(Span(delay)) => StoreMood::Slow(*delay),
            Self::Hang => StoreMood::Hang,
            Self::Full => StoreMood::Full,
            Self::Garbage => StoreMood::Garbage,
            Self::Foreign => StoreMood::Foreign,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).map(Self)
    }
}

fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("{text} is no duration"))?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text} is no duration")),
    };
    Ok(Duration::from_secs_f64(number * unit))
}
