use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{
    FutureExt,
    future::{join_all, try_join_all, try_join3},
};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tracing::debug;

use super::{
    SharedCache, SharedCacheError, SharedCacheStatus,
    entry::{NewEntry, TokenEntry, Tombstone, milliseconds, since_epoch, to_json},
    envelope::{Poison, open, seal},
    guard::Guard,
    keys::{Keyring, Rings},
    sign_outs::{SignOuts, Writer},
};
use crate::{
    cache::{
        clock::{Clock, Moment},
        peers::{FIND_LIMIT, Found, Held, LOCK_LIMIT, Lock, Peers},
        policy::Windows,
    },
    events,
    request::Grant,
    token::{Token, TokenId},
};

/// Tokens in a store that all replicas share.
pub(crate) struct SharedTokens {
    /// For the task that writes sign-outs.
    itself: Weak<Self>,
    store: Arc<dyn SharedCache>,
    guard: Arc<Guard>,
    rings: RwLock<Arc<Rings>>,
    /// Part of every name: tokens of an emulator are not those of Courier.
    base_url: String,
    clock: Clock,
    /// The longest lifetime that was ever asked for, in seconds: tombstones last as long.
    longest: AtomicU64,
    sign_outs: SignOuts,
    writes: Arc<Semaphore>,
}

impl SharedTokens {
    pub(crate) fn new(
        store: Arc<dyn SharedCache>,
        rings: Rings,
        base_url: String,
        lifetime: Duration,
        clock: Clock,
    ) -> Arc<Self> {
        let guard = Arc::new(Guard::new(store.address()));
        Arc::new_cyclic(|itself| Self {
            itself: Weak::clone(itself),
            store,
            guard,
            rings: RwLock::new(Arc::new(rings)),
            base_url,
            clock,
            longest: AtomicU64::new(lifetime.as_secs()),
            sign_outs: SignOuts::default(),
            writes: Arc::new(Semaphore::new(MAX_WRITES)),
        })
    }

    fn rings(&self) -> Arc<Rings> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rings)
    }

    /// What is under a ring's names: a token, for how long it is kept, and when the user was
    /// invalidated.
    async fn fetch(
        &self,
        ring: &Arc<Keyring>,
        grant: &Grant,
    ) -> Result<(Option<Sealed>, Option<Duration>, Option<Sealed>), SharedCacheError> {
        let read = async |name: String| {
            let value = self.store.get(&name).await?;
            let ring = Arc::clone(ring);
            Ok(value.map(|value| Sealed { ring, name, value }))
        };
        let token = ring.token_name(&self.base_url, grant);
        let tombstone = ring.tombstone_name(&self.base_url, &grant.user_id);
        // A store that cannot tell is none that fails.
        let ttl = self
            .store
            .ttl(&token)
            .map(Result::unwrap_or_default)
            .map(Ok);
        try_join3(read(token.clone()), ttl, read(tombstone)).await
    }

    /// Opens what was found. What cannot be opened is removed, so that it is not read for ever.
    fn unseal<T: for<'a> Deserialize<'a>>(&self, sealed: Option<Sealed>) -> Option<T> {
        let sealed = sealed?;
        let opened = open(&sealed.ring, &sealed.name, &sealed.value).and_then(|plain| {
            serde_json::from_slice(&plain).map_err(|_| Poison("its content is not ours"))
        });
        opened
            .inspect_err(|poison| {
                self.guard.poisoned(*poison);
                self.remove(sealed.name);
            })
            .ok()
    }

    fn remove(&self, name: String) {
        let Some(permit) = self.permit("delete") else {
            return;
        };
        let (store, guard) = (Arc::clone(&self.store), Arc::clone(&self.guard));
        // Called from a flight, so that there is a runtime, and it is the right one.
        tokio::spawn(async move {
            guard
                .write("delete", WRITE_LIMIT, async { store.delete(&name).await })
                .await;
            drop(permit);
        });
    }

    /// The token, if it is worth having. `kept`: how long its entry will be, by the store's clock.
    fn adopt(
        &self,
        entry: &TokenEntry,
        kept: Option<Duration>,
        grant: &Grant,
        invalidated: u64,
        avoid: Option<TokenId>,
    ) -> Option<Token> {
        let now = self.clock.now();
        let issued = UNIX_EPOCH.checked_add(Duration::from_micros(entry.issued))?;
        if kept.is_none() && issued > now.wall + FUTURE {
            self.guard.poisoned(Poison(
                "it was issued in the future: a replica's clock is wrong",
            ));
            return None;
        }
        let life = Duration::from_millis(entry.life);
        let by_clock = now.wall.duration_since(issued).unwrap_or_default();
        let by_store = kept.map(|kept| life.saturating_sub(kept.saturating_add(grace(grant))));
        // By the store's clock as well, or who signs out comes too early for the token of a replica
        // whose clock is ahead.
        let latest = by_store.and_then(|age| (now.wall + MEASURING_ERROR).checked_sub(age));
        if entry.issued.min(latest.map_or(u64::MAX, since_epoch)) <= invalidated {
            return None;
        }
        // What either says is over is over.
        let age = by_clock.max(by_store.unwrap_or_default());
        let left = life.checked_sub(age)?;
        let token = Token::adopt(&entry.token, left, age, grant, now, self.clock.clone());
        let token = token
            .inspect_err(|error| {
                debug!(
                    target: events::SHARED_CACHE,
                    { error.message = %error },
                    "a token in the shared cache is not taken"
                );
            })
            .ok()?;
        (Some(token.id()) != avoid).then_some(token)
    }

    /// Has sign-outs written that the store does not have, unless that is under way.
    fn write_sign_outs(&self, runtime: Option<&Handle>) {
        let Some(runtime) = runtime else { return };
        if let Some(writer) = self.sign_outs.hire(Instant::now())
            && let Some(itself) = self.itself.upgrade()
        {
            runtime.spawn(itself.write_all(writer));
        }
    }

    /// Writes until all are written, however long the store is in trouble. Ends with its provider,
    /// but not before it has tried: whoever was signed out last is written.
    async fn write_all(mut self: Arc<Self>, writer: Writer) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.write_some(writer).await {
                Progress::Done => return,
                Progress::Good => pause = SHORTEST_PAUSE,
                Progress::Stuck => {
                    self.sign_outs.pause(writer, pause);
                    let itself = Arc::downgrade(&self);
                    drop(self);
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                    let Some(again) = itself.upgrade() else {
                        return;
                    };
                    self = again;
                }
            }
        }
    }

    async fn write_some(&self, writer: Writer) -> Progress {
        let next = self.sign_outs.next(writer, WRITE_LIMIT);
        if next.is_empty() {
            return Progress::Done;
        }
        let longest = Duration::from_secs(self.longest.load(Ordering::Relaxed));
        let now = self.clock.now().wall;
        let oldest = now.checked_sub(longest).map_or(0, since_epoch);
        let rings = self.rings();
        let buried = next.into_iter().map(async |(user, at)| {
            // Also where replicas look that do not have the new key yet.
            let bury = |ring: &Arc<Keyring>| self.bury(Arc::clone(ring), &user, at, longest);
            let all = async { try_join_all(rings.all().map(bury)).await };
            let done = self.guard.write("invalidate", WRITE_LIMIT, all).await;
            (user, at, done.is_some())
        });
        let buried = join_all(buried).await;
        let good = buried.iter().all(|(.., done)| *done);
        self.sign_outs.wrote(writer, buried, oldest);
        if good {
            Progress::Good
        } else {
            Progress::Stuck
        }
    }

    /// Writes a tombstone, without taking anything back that another replica has written.
    async fn bury(
        &self,
        ring: Arc<Keyring>,
        user: &str,
        at: u64,
        longest: Duration,
    ) -> Result<(), SharedCacheError> {
        let name = ring.tombstone_name(&self.base_url, user);
        let until = Instant::now() + WRITE_LIMIT;
        let there = self.store.get(&name).await?;
        // The process was stopped meanwhile, and what is there may be newer. Our caller's limit
        // would be looked at after the write.
        if Instant::now() >= until {
            return Err(SharedCacheError::new("what was read is out of date"));
        }
        let there = there.and_then(|value| open(&ring, &name, &value).ok());
        let there = there.and_then(|plain| serde_json::from_slice::<Tombstone>(&plain).ok());
        let tombstone = Tombstone {
            at,
            ttl: milliseconds(longest),
        }
        .or_later(there);
        let value = seal(&ring, &name, &to_json(&tombstone)?)?;
        let ttl = Duration::from_millis(tombstone.ttl);
        self.store.set(&name, &value, ttl).await
    }

    /// A place among the writes that may be under way at once.
    fn permit(&self, operation: &'static str) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.writes).try_acquire_owned().ok();
        if permit.is_none() {
            self.guard.left_out(operation);
        }
        permit
    }
}

#[async_trait]
impl Peers for SharedTokens {
    fn admits_look(&self, now: Instant) -> bool {
        self.guard.admits_read(now)
    }

    fn note_look_left_out(&self) {
        self.guard.left_out("read");
    }

    async fn find(&self, grant: &Grant, avoid: Option<TokenId>) -> Found {
        self.longest
            .fetch_max(grant.terms.lifetime.as_secs(), Ordering::Relaxed);
        // Whoever was to write them may stand still.
        self.write_sign_outs(Some(&Handle::current()));
        let rings = self.rings();
        let fetch = async { try_join_all(rings.all().map(|ring| self.fetch(ring, grant))).await };
        let Some(values) = self.guard.read(FIND_LIMIT, fetch).await else {
            return Found::Unknown;
        };
        let mut entries: Vec<(TokenEntry, Option<Duration>)> = Vec::new();
        let mut invalidated = self.sign_outs.at(&grant.user_id).unwrap_or_default();
        for (token, kept, tombstone) in values {
            entries.extend(self.unseal(token).map(|token| (token, kept)));
            if let Some(Tombstone { at, .. }) = self.unseal(tombstone) {
                invalidated = invalidated.max(at);
            }
        }
        let now = self.clock.now();
        let best = entries
            .iter()
            .filter_map(|(entry, kept)| self.adopt(entry, *kept, grant, invalidated, avoid))
            .max_by_key(|token| token.remaining(now));
        match best {
            Some(token) => Found::Token(token),
            None => Found::Nothing,
        }
    }

    fn looked(&self, hit: bool) {
        self.guard.looked(hit);
    }

    async fn lock(&self, grant: &Grant) -> Lock {
        let name = self.rings().current.token_name(&self.base_url, grant);
        let name = Keyring::lock_name(&name);
        let mut owner = [0; 16];
        if aws_lc_rs::rand::fill(&mut owner).is_err() {
            return Lock::Unknown;
        }
        let owner = URL_SAFE_NO_PAD.encode(owner);
        let lock = async { self.store.try_lock(&name, &owner, LOCK_TTL).await };
        match self.guard.write("lock", LOCK_LIMIT, lock).await {
            Some(true) => Lock::Held(Held { name, owner }),
            Some(false) => {
                self.guard.yielded();
                Lock::Taken
            }
            None => Lock::Unknown,
        }
    }

    async fn unlock(&self, lock: Held) {
        let unlock = async { self.store.unlock(&lock.name, &lock.owner).await };
        self.guard.write("unlock", WRITE_LIMIT, unlock).await;
    }

    async fn tell(&self, grant: &Grant, token: &Token, sent: Moment) {
        self.longest
            .fetch_max(grant.terms.lifetime.as_secs(), Ordering::Relaxed);
        let now = self.clock.now();
        let ttl = token.remaining(now).saturating_sub(grace(grant));
        if ttl.is_zero() {
            return;
        }
        let Some(_permit) = self.permit("write") else {
            return;
        };
        let entry = NewEntry {
            token: token.as_str(),
            issued: since_epoch(sent.wall),
            life: milliseconds(token.remaining(sent)),
        };
        let ring = Arc::clone(&self.rings().current);
        let name = ring.token_name(&self.base_url, grant);
        let set = async {
            let value = seal(&ring, &name, &to_json(&entry)?)?;
            self.store.set(&name, &value, ttl).await
        };
        self.guard.write("write", WRITE_LIMIT, set).await;
    }

    fn forget(&self, user: Arc<str>, runtime: Option<&Handle>) {
        let at = since_epoch(self.clock.now().wall);
        if !self.sign_outs.note(user, at) {
            self.guard.left_out("invalidate");
        }
        self.write_sign_outs(runtime);
    }

    fn set_api_key(&self, api_key: String) {
        let key = SecretString::from(api_key);
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        *rings = Arc::new(rings.with_api_key(&key));
    }

    fn is_bypassed(&self) -> bool {
        self.guard.is_bypassed()
    }

    fn status(&self) -> SharedCacheStatus {
        self.guard.status()
    }
}

impl fmt::Debug for SharedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTokens")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A value as it was found.
struct Sealed {
    ring: Arc<Keyring>,
    name: String,
    value: Vec<u8>,
}

/// How far those who write sign-outs have come.
enum Progress {
    Done,
    Good,
    /// The store does not take them.
    Stuck,
}

/// So much before a token ends its entry does.
fn grace(grant: &Grant) -> Duration {
    Windows::new(grant.terms.lifetime, 0.0).grace
}

const WRITE_LIMIT: Duration = Duration::from_millis(250);
/// A flight lasts ten seconds; a lock that ends before it is no lock.
const LOCK_TTL: Duration = Duration::from_secs(12);
/// Writes under way at once. Beyond that the store does not keep up, and a write is only worth the
/// call that it may save.
const MAX_WRITES: usize = 256;
/// Between tries to write sign-outs.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Between what two clocks say that are right.
const MEASURING_ERROR: Duration = Duration::from_secs(1);
/// By how much the clocks of replicas may differ.
const FUTURE: Duration = Duration::from_secs(60);
