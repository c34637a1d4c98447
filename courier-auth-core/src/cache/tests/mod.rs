//! The cache against a scripted Courier, on Tokio's paused clock.

#![expect(clippy::unwrap_used, reason = "tests")]

mod api_key;
mod callers;
mod cancellation;
mod drill;
mod events;
#[cfg(feature = "metrics")]
mod evictions;
#[cfg(feature = "shared-cache")]
mod fleet;
mod gate;
mod property;
#[cfg(feature = "metrics")]
mod recorder;
mod regressions;
#[cfg(feature = "shared-cache")]
mod replicas;
mod runtimes;
mod scenarios;
#[cfg(feature = "shared-cache")]
mod sign_outs;
mod stalled;
#[cfg(feature = "shared-cache")]
mod store;
#[cfg(feature = "shared-cache")]
mod store_events;
#[cfg(feature = "shared-cache")]
mod store_keys;
#[cfg(all(feature = "metrics", feature = "shared-cache"))]
mod store_metrics;
#[cfg(feature = "shared-cache")]
mod store_refusals;
#[cfg(feature = "shared-cache")]
mod store_regressions;
#[cfg(feature = "shared-cache")]
mod store_troubles;
mod users;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[cfg(feature = "shared-cache")]
use super::users::UserEntry;
use super::{
    TokenCache, Wish,
    clock::{Clock, ManualClock, Moment},
    upstream::Upstream,
};
use crate::{
    client::Region,
    error::{Error, ErrorKind},
    request::{Grant, Terms, TokenRequest},
    scope::{Scope, Scopes},
    token::{Issued, Token},
};

/// A cache and the Courier that it asks.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) courier: Courier,
    pub(super) cache: TokenCache,
    pub(super) lifetime: Duration,
}

impl World {
    pub(super) fn new(lifetime: Duration, max_users: usize) -> Self {
        let clock = ManualClock::new();
        let courier = Courier::new(Arc::clone(&clock));
        let cache = TokenCache::new(
            Arc::new(courier.clone()),
            None,
            max_users,
            tokio::runtime::Handle::try_current().ok(),
            Clock::Manual(Arc::clone(&clock)),
        );
        Self {
            clock,
            courier,
            cache,
            lifetime,
        }
    }

    pub(super) fn grant(&self, user: &str) -> Grant {
        let defaults = Terms {
            scopes: Scopes::new(Scope::MINIMAL).unwrap(),
            lifetime: self.lifetime,
        };
        TokenRequest::for_user(user).grant(&defaults).unwrap()
    }

    #[cfg(feature = "shared-cache")]
    pub(super) fn keeps_a_token_alone(&self, user: &str) -> bool {
        let entry = self.cache.shared.users.get(&self.grant(user).user_id);
        matches!(entry, Some(UserEntry::Token(_)))
    }

    pub(super) async fn get(&self, user: &str) -> Result<Token, Error> {
        self.cache.get(&self.grant(user), Wish::Any).await
    }
}

/// What Courier does with a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mood {
    Ok,
    /// Answers correctly, later.
    Slow(Duration),
    Hang,
    Status(u16, Option<Duration>),
    /// After a while, refuses every API key but this.
    WantsKey(&'static str, Duration),
    /// An answer that is no token.
    Garbage,
    WrongUser,
    /// A new token that ends when the last one did.
    SameExp,
    /// A token that is no JWT.
    Opaque,
    NoExp,
    ShortLife(Duration),
    Panic,
}

/// Courier, as the cache sees it.
#[derive(Clone)]
pub(super) struct Courier(Arc<CourierState>);

struct CourierState {
    clock: Arc<ManualClock>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    mood: Option<Mood>,
    api_key: String,
    /// Whether answers say what time it is at Courier.
    without_date: bool,
    calls: usize,
    running: usize,
    most_running: usize,
    issued: Vec<Arc<str>>,
    births: Vec<Birth>,
    last_exp: Option<u64>,
    running_for: HashMap<Arc<str>, usize>,
    forgiven: HashSet<Arc<str>>,
    most_for_one_user: usize,
    reconnections: usize,
}

/// What is known of a token when it is issued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// When it was asked for.
    #[cfg(feature = "shared-cache")]
    pub(super) asked: SystemTime,
    /// What the machine's clocks said.
    pub(super) at: Moment,
    /// What time it was.
    pub(super) true_time: SystemTime,
    pub(super) end: SystemTime,
    pub(super) life: Duration,
}

impl Courier {
    fn new(clock: Arc<ManualClock>) -> Self {
        events::install();
        Self(Arc::new(CourierState {
            clock,
            script: Mutex::default(),
        }))
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.script(|script| script.mood = Some(mood));
    }

    pub(super) fn send_no_date(&self) {
        self.script(|script| script.without_date = true);
    }

    #[cfg(feature = "shared-cache")]
    pub(super) fn api_key(&self) -> String {
        self.script(|script| script.api_key.clone())
    }

    /// How often it was called, every try counted.
    pub(super) fn calls(&self) -> usize {
        self.script(|script| script.calls)
    }

    /// How many calls ran at once at most.
    pub(super) fn most_running(&self) -> usize {
        self.script(|script| script.most_running)
    }

    /// How many calls run now.
    pub(super) fn running(&self) -> usize {
        self.script(|script| script.running)
    }

    /// How many calls for one user ran at once at most.
    pub(super) fn most_for_one_user(&self) -> usize {
        self.script(|script| script.most_for_one_user)
    }

    /// A user was invalidated: a call for them may be under way beside a new one.
    pub(super) fn forgive(&self, user: &str) {
        self.script(|script| script.forgiven.insert(user.into()));
    }

    pub(super) fn birth(&self, token: &Token) -> Option<Birth> {
        let number = self.number_of(token).checked_sub(1)?;
        self.script(|script| script.births.get(number).copied())
    }

    /// How often new connections were made.
    pub(super) fn reconnections(&self) -> usize {
        self.script(|script| script.reconnections)
    }

    /// Which of all issued tokens this is, counted from 1.
    pub(super) fn number_of(&self, token: &Token) -> usize {
        self.script(|script| {
            let at = script
                .issued
                .iter()
                .position(|known| **known == *token.as_str());
            at.map_or(0, |at| at + 1)
        })
    }

    fn script<T>(&self, edit: impl FnOnce(&mut Script) -> T) -> T {
        edit(&mut self.0.script.lock().unwrap())
    }

    async fn answer(&self, grant: &Grant, mood: Mood, key: &str) -> Result<Issued, Error> {
        #[cfg(feature = "shared-cache")]
        let asked = self.0.clock.true_time();
        match mood {
            Mood::WantsKey(wanted, delay) => {
                tokio::time::sleep(delay).await;
                if key != wanted {
                    return Err(refusal(401, None));
                }
            }
            Mood::Slow(delay) => tokio::time::sleep(delay).await,
            Mood::Hang => std::future::pending().await,
            Mood::Status(status, retry_after) => return Err(refusal(status, retry_after)),
            Mood::Panic => panic!("the upstream panics"),
            _ => {}
        }
        let now = self.0.clock.true_time();
        let iat = seconds(now);
        let life = match mood {
            Mood::ShortLife(life) => life,
            _ => grant.terms.lifetime,
        };
        let exp = iat + life.as_secs();
        let mut claims = json!({ "scope": grant.scope_string(), "iat": iat, "exp": exp });
        match mood {
            Mood::WrongUser => claims["scope"] = "user_id:somebody-else inbox:read:messages".into(),
            Mood::NoExp => claims["exp"] = Value::Null,
            Mood::SameExp => {
                let last = self.script(|script| script.last_exp);
                claims["exp"] = last.unwrap_or(exp).into();
            }
            _ => {}
        }
        Ok(self.script(|script| {
            let number = script.issued.len() + 1;
            let token: Arc<str> = match mood {
                Mood::Garbage => "not a token".into(),
                Mood::Opaque => format!("5e2b2615.{number}").into(),
                _ => jwt(&claims, number).into(),
            };
            script.issued.push(Arc::clone(&token));
            let end = claims["exp"].as_u64().unwrap_or(exp);
            script.births.push(Birth {
                #[cfg(feature = "shared-cache")]
                asked,
                at: self.0.clock.now(),
                true_time: now,
                end: UNIX_EPOCH + Duration::from_secs(end),
                life: Duration::from_secs(end.saturating_sub(iat)).min(grant.terms.lifetime),
            });
            script.last_exp = claims["exp"].as_u64();
            let date = (!script.without_date).then(|| UNIX_EPOCH + Duration::from_secs(iat));
            Issued::new(&grant.user_id, &token, date)
        }))
    }
}

#[async_trait]
impl Upstream for Courier {
    async fn issue(&self, grant: &Grant) -> Result<Issued, Error> {
        let (mood, key) = self.script(|script| {
            script.calls += 1;
            script.running += 1;
            script.most_running = script.most_running.max(script.running);
            let running = script.running_for.entry(grant.user_id.clone()).or_default();
            *running += 1;
            if !script.forgiven.contains(&grant.user_id) {
                script.most_for_one_user = script.most_for_one_user.max(*running);
            }
            let mood = script.mood.clone().unwrap_or(Mood::Ok);
            (mood, script.api_key.clone())
        });
        // Also when the call is given up.
        let _running = Running(self.clone(), grant.user_id.clone());
        self.answer(grant, mood, &key).await
    }

    fn reconnected(&self) -> Arc<dyn Upstream> {
        self.script(|script| script.reconnections += 1);
        Arc::new(self.clone())
    }

    fn region(&self) -> Region {
        Region::Us
    }

    fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        self.script(|script| script.api_key = api_key);
        Ok(())
    }
}

struct Running(Courier, Arc<str>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.script(|script| {
            script.running -= 1;
            *script.running_for.entry(self.1.clone()).or_default() -= 1;
        });
    }
}

fn refusal(status: u16, retry_after: Option<Duration>) -> Error {
    let kind = match status {
        401 | 403 => ErrorKind::ApiKeyRefused,
        429 => ErrorKind::RateLimited,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::RequestRefused,
    };
    let error = Error::new(kind, "as scripted").with_status(status);
    match retry_after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

fn jwt(claims: &Value, number: usize) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!(
        "{}.{}.signature{number}",
        encode(&json!({ "alg": "HS256", "typ": "JWT" })),
        encode(claims)
    )
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Lets everything run that can run without time passing.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
