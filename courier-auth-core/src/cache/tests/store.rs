//! A shared cache in memory, with faults to order, and replicas that share it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{Courier, World, settle};
use crate::{
    cache::{
        TokenCache,
        clock::{Clock, ManualClock},
    },
    shared::{Rings, SharedCache, SharedCacheError, SharedCacheStatus, SharedTokens},
    token::Token,
};

/// What the store does with a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreMood {
    Ok,
    Down,
    /// Does as it is told, later.
    Slow(Duration),
    Hang,
    /// Says later what it has found.
    SlowAnswers(Duration),
    /// Takes its time with locks alone.
    SlowLocks(Duration),
    /// Answers reads and refuses writes.
    Full,
    /// Answers reads, and does so much later what nobody waits for any more.
    Late(Duration),
    /// Does not say for how long it keeps what it has.
    TellsNoTtl,
    /// Says that it keeps what it has for ever.
    KeepsForEver,
    /// Answers reads with bytes that mean nothing.
    Garbage,
    /// Answers reads with what is kept under another key.
    Foreign,
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    mood: StoreMood,
    entries: BTreeMap<String, (Vec<u8>, Instant)>,
    commands: HashMap<&'static str, usize>,
    lifetimes: Vec<(String, Duration)>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            mood: StoreMood::Ok,
            entries: BTreeMap::new(),
            commands: HashMap::new(),
            lifetimes: Vec::new(),
        })))
    }

    pub(crate) fn set_mood(&self, mood: StoreMood) {
        self.state(|state| state.mood = mood);
    }

    /// How many commands were sent, in all.
    pub(crate) fn commands(&self) -> usize {
        self.state(|state| state.commands.values().sum())
    }

    pub(crate) fn count(&self, command: &str) -> usize {
        self.state(|state| state.commands.get(command).copied().unwrap_or_default())
    }

    /// The names that end so, of what has not expired.
    pub(crate) fn names(&self, suffix: &str) -> Vec<String> {
        self.state(|state| {
            let names = state.living().keys();
            names
                .filter(|name| name.ends_with(suffix))
                .cloned()
                .collect()
        })
    }

    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.state(|state| state.living().get(name).map(|(value, _)| value.clone()))
    }

    pub(crate) fn put(&self, name: &str, value: Vec<u8>) {
        let end = Instant::now() + Duration::from_secs(3600);
        self.state(|state| state.entries.insert(name.into(), (value, end)));
    }

    /// With how long a life the names that end so were written.
    pub(crate) fn lifetimes(&self, suffix: &str) -> Vec<Duration> {
        self.state(|state| {
            let of = state
                .lifetimes
                .iter()
                .filter(|(name, _)| name.ends_with(suffix));
            of.map(|(_, ttl)| *ttl).collect()
        })
    }

    pub(crate) fn lose_everything(&self) {
        self.state(|state| state.entries.clear());
    }

    fn state<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock().unwrap())
    }

    /// Changes what is kept, now or later.
    async fn change<T: Send + 'static>(
        &self,
        name: &'static str,
        edit: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, SharedCacheError> {
        let StoreMood::Late(delay) = self.command(name).await? else {
            return Ok(self.state(edit));
        };
        let store = self.clone();
        let late = tokio::spawn(async move {
            sleep(delay).await;
            store.state(edit)
        });
        late.await
            .map_err(|_| SharedCacheError::new("the store went away"))
    }

    async fn command(&self, name: &'static str) -> Result<StoreMood, SharedCacheError> {
        let mood = self.state(|state| {
            *state.commands.entry(name).or_default() += 1;
            state.mood.clone()
        });
        match mood {
            StoreMood::Down => return Err(SharedCacheError::new("connection refused")),
            StoreMood::SlowLocks(delay) if name == "lock" => tokio::time::sleep(delay).await,
            StoreMood::Slow(delay) => tokio::time::sleep(delay).await,
            StoreMood::Hang => std::future::pending().await,
            StoreMood::Full if !matches!(name, "get" | "ttl") => {
                return Err(SharedCacheError::new("OOM: used memory > 'maxmemory'"));
            }
            StoreMood::Panic => panic!("the store panics"),
            _ => {}
        }
        Ok(mood)
    }
}

impl State {
    fn living(&mut self) -> &mut BTreeMap<String, (Vec<u8>, Instant)> {
        self.entries.retain(|_, (_, end)| *end > Instant::now());
        &mut self.entries
    }

    fn write(&mut self, name: &str, value: &[u8], ttl: Duration) {
        assert!(ttl >= Duration::from_millis(1), "nothing is kept for ever");
        self.lifetimes.push((name.into(), ttl));
        let end = Instant::now() + ttl;
        self.entries.insert(name.into(), (value.into(), end));
    }
}

#[async_trait]
impl SharedCache for Store {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SharedCacheError> {
        let mood = self.command("get").await?;
        let found = self.state(|state| {
            let entries = state.living();
            let (value, _) = match mood {
                StoreMood::Garbage => return Some(b"garbage".to_vec()),
                StoreMood::Foreign => {
                    let mut others = entries.iter().filter(|(name, _)| *name != key);
                    others.next().map(|(_, entry)| entry)?
                }
                _ => entries.get(key)?,
            };
            Some(value.clone())
        });
        if let StoreMood::SlowAnswers(delay) = mood {
            sleep(delay).await;
        }
        Ok(found)
    }

    async fn ttl(&self, key: &str) -> Result<Option<Duration>, SharedCacheError> {
        let mood = self.command("ttl").await?;
        if mood == StoreMood::TellsNoTtl {
            return Err(SharedCacheError::new("NOPERM"));
        }
        if mood == StoreMood::KeepsForEver {
            return Ok(Some(Duration::MAX));
        }
        let end = self.state(|state| state.living().get(key).map(|(_, end)| *end));
        Ok(end.map(|end| end - Instant::now()))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), SharedCacheError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.change("set", move |state| state.write(&key, &value, ttl))
            .await
    }

    async fn delete(&self, key: &str) -> Result<(), SharedCacheError> {
        let key = key.to_owned();
        self.change("delete", move |state| drop(state.entries.remove(&key)))
            .await
    }

    async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, SharedCacheError> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        let lock = move |state: &mut State| {
            if state.living().contains_key(&name) {
                return false;
            }
            state.write(&name, owner.as_bytes(), ttl);
            true
        };
        self.change("lock", lock).await
    }

    async fn unlock(&self, name: &str, owner: &str) -> Result<(), SharedCacheError> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        let unlock = move |state: &mut State| {
            let entries = state.living();
            if entries
                .get(&name)
                .is_some_and(|(is, _)| *is == owner.as_bytes())
            {
                entries.remove(&name);
            }
        };
        self.change("unlock", unlock).await
    }
}

pub(super) fn shared_tokens(
    store: &Store,
    rings: Rings,
    lifetime: Duration,
    clock: &Arc<ManualClock>,
) -> Arc<SharedTokens> {
    SharedTokens::new(
        Arc::new(store.clone()),
        rings,
        "https://api.courier.com".into(),
        lifetime,
        Clock::Manual(Arc::clone(clock)),
    )
}

/// A cache that shares, on this runtime or on that of its first caller.
pub(super) fn sharing_cache(
    clock: &Arc<ManualClock>,
    courier: &Courier,
    store: &Store,
    runtime: Option<Handle>,
) -> TokenCache {
    let peers = shared_tokens(store, rings(KEY), Duration::from_secs(3600), clock);
    cache(clock, courier, peers, runtime, 1000)
}

fn cache(
    clock: &Arc<ManualClock>,
    courier: &Courier,
    peers: Arc<SharedTokens>,
    runtime: Option<Handle>,
    max_users: usize,
) -> TokenCache {
    TokenCache::new(
        Arc::new(courier.clone()),
        Some(peers),
        max_users,
        runtime,
        Clock::Manual(Arc::clone(clock)),
    )
}

pub(crate) fn rings(api_key: &str) -> Rings {
    Rings::new(&api_key.into(), None, &[])
}

impl World {
    /// A first replica with a store.
    pub(crate) fn with_store(lifetime: Duration) -> (Self, Store) {
        let clock = ManualClock::new();
        let courier = Courier::new(Arc::clone(&clock));
        let store = Store::new();
        let world = Self::sharing(clock, courier, &store, rings(KEY), lifetime);
        (world, store)
    }

    /// One whose token of an hour ages, and is asked for by another replica, which has the lock.
    pub(super) async fn refreshed_elsewhere(user: &str) -> (Self, Store, Token) {
        let (world, store) = Self::with_store(Duration::from_secs(3600));
        let token = world.get(user).await.unwrap();
        settle().await;
        sleep(Duration::from_secs(50 * 60)).await;
        let lock = store.names(":t")[0].replace(":t", ":l");
        let long = Duration::from_secs(12);
        assert!(store.try_lock(&lock, "other", long).await.unwrap());
        (world, store, token)
    }

    /// Another replica, as it starts: with nothing in its cache.
    pub(crate) fn replica(&self, store: &Store) -> Self {
        self.replica_with(store, rings(KEY))
    }

    pub(crate) fn replica_with(&self, store: &Store, rings: Rings) -> Self {
        let clock = Arc::clone(&self.clock);
        Self::sharing(clock, self.courier.clone(), store, rings, self.lifetime)
    }

    /// Another replica on a machine whose clock is set otherwise.
    pub(crate) fn replica_with_clock(&self, store: &Store, clock: Arc<ManualClock>) -> Self {
        Self::sharing(
            clock,
            self.courier.clone(),
            store,
            rings(KEY),
            self.lifetime,
        )
    }

    /// Another replica, with a clock and keys of its own and little memory.
    pub(super) fn small_replica(
        &self,
        store: &Store,
        clock: &Arc<ManualClock>,
        rings: Rings,
        max_users: usize,
    ) -> Self {
        let peers = shared_tokens(store, rings, self.lifetime, clock);
        let runtime = Handle::try_current().ok();
        Self {
            clock: Arc::clone(clock),
            courier: self.courier.clone(),
            cache: cache(clock, &self.courier, peers, runtime, max_users),
            lifetime: self.lifetime,
        }
    }

    fn sharing(
        clock: Arc<ManualClock>,
        courier: Courier,
        store: &Store,
        rings: Rings,
        lifetime: Duration,
    ) -> Self {
        let peers = shared_tokens(store, rings, lifetime, &clock);
        let runtime = Handle::try_current().ok();
        let cache = cache(&clock, &courier, peers, runtime, 1000);
        Self {
            clock,
            courier,
            cache,
            lifetime,
        }
    }

    pub(crate) fn store_status(&self) -> SharedCacheStatus {
        self.cache.status().shared_cache.unwrap()
    }
}

pub(crate) const KEY: &str = "pk_test";
