use std::{hash::BuildHasher, ops::Deref, sync::Arc};

use quick_cache::{
    DefaultHashBuilder, Lifecycle, OptionsBuilder, UnitWeighter,
    sync::{Cache, EntryAction, EntryResult},
};

use super::slot::Slot;
use crate::{metrics, token::Token};

/// What is known of whom.
///
/// The map's keys are hashes of ids: an id stands in the token already, and once more it would be
/// a tenth of what a user weighs. It is compared there on every look, so that two users with one
/// hash never get each other's token. They take each other's entry as if there were no room for
/// both.
pub(super) struct UserMap<S = DefaultHashBuilder> {
    map: Cache<Key, UserEntry, UnitWeighter, DefaultHashBuilder, PinFlights>,
    hasher: S,
}

impl<S: BuildHasher + Default> UserMap<S> {
    pub(super) fn new(max_users: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(max_users)
            .weight_capacity(max_users as u64)
            .hot_allocation(SEATS_OF_REGULARS)
            // With so many seats for those who have just come, it does not matter who left a while ago.
            .ghost_allocation(0.0)
            .build()
            .expect("both capacities are given");
        Self {
            map: Cache::with_options(
                options,
                UnitWeighter,
                DefaultHashBuilder::default(),
                PinFlights,
            ),
            hasher: S::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// What is known of a user.
    pub(super) fn get(&self, user: &str) -> Option<UserEntry> {
        let entry = self.map.get(&self.key(user))?;
        entry.is_of(user).then_some(entry)
    }

    /// The slot of a user, made if there is none.
    pub(super) fn slot(&self, user: &Arc<str>) -> Visit {
        if let Some(UserEntry::Slot(slot)) = self.get(user) {
            return Visit {
                slot,
                pinned: false,
            };
        }
        let mut evicted = Evicted::default();
        let known = self.map.entry(&self.key(user), None, |_key, entry| {
            if entry.is_of(user) {
                EntryAction::Retain(entry.open(user))
            } else {
                EntryAction::ReplaceWithGuard
            }
        });
        let guard = match known {
            EntryResult::Retained(slot) => {
                return Visit {
                    slot,
                    pinned: false,
                };
            }
            EntryResult::Vacant(guard) => guard,
            EntryResult::Replaced(guard, other) => {
                evicted.add(&other);
                guard
            }
            // Nothing is removed above, and nothing limits how long it waits for another thread
            // that makes the slot.
            EntryResult::Removed(..) | EntryResult::Timeout => {
                unreachable!("a slot is kept or made")
            }
        };
        let slot = Arc::new(Slot::new(user));
        // From the start: in a map whose other slots are all pinned a new one would leave it again
        // at once, and whoever made it would make it again for ever.
        slot.pin();
        let visit = Visit { slot, pinned: true };
        // It fails only if the placeholder was removed: forgetting and evicting leave it alone.
        let entry = UserEntry::Slot(Arc::clone(&visit.slot));
        let _inserted = guard.insert_with_lifecycle(entry, &mut evicted);
        // Not before, when the map is locked and half changed: a recorder of the app's may panic.
        for _ in 0..evicted.of_use {
            metrics::evicted();
        }
        visit
    }

    /// Takes what is known of a user out of the map.
    pub(super) fn forget(&self, user: &str) {
        let key = self.key(user);
        if let Some((_, UserEntry::Slot(slot))) =
            self.map.remove_if(&key, |entry| entry.is_of(user))
        {
            slot.detach();
        }
    }

    /// Leaves the bare token in the place of a slot that has become no more than that.
    pub(super) fn tidy(&self, slot: &Arc<Slot>) {
        // A user who has been forgotten meanwhile is not brought back: the guard of an entry that
        // is not there is dropped.
        self.map.entry(&self.key(&slot.user), None, |_key, entry| {
            if let UserEntry::Slot(here) = entry
                && Arc::ptr_eq(here, slot)
                && let Some(token) = slot.detach_if_plain()
            {
                *entry = UserEntry::Token(token);
            }
            EntryAction::Retain(())
        });
    }

    fn key(&self, user: &str) -> Key {
        Key(self.hasher.hash_one(user))
    }
}

/// The hash of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

/// What the map holds of a user.
#[derive(Debug)]
pub(super) enum UserEntry {
    /// A token and nothing else to remember, as with nearly all users nearly all of the time: a
    /// slot would take as much memory again, and time.
    Token(Token),
    Slot(Arc<Slot>),
}

impl Clone for UserEntry {
    /// What a look at the map comes to.
    fn clone(&self) -> Self {
        match self {
            Self::Token(token) => {
                token.fetch();
                Self::Token(token.clone())
            }
            Self::Slot(slot) => Self::Slot(Arc::clone(slot)),
        }
    }
}

impl UserEntry {
    fn is_of(&self, user: &str) -> bool {
        match self {
            Self::Token(token) => token.user_id() == user,
            Self::Slot(slot) => *slot.user == *user,
        }
    }

    /// Its slot, made around the token if it is one.
    fn open(&mut self, user: &Arc<str>) -> Arc<Slot> {
        let slot = match self {
            Self::Slot(slot) => return Arc::clone(slot),
            Self::Token(token) => Arc::new(Slot::around(user, token.clone())),
        };
        *self = Self::Slot(Arc::clone(&slot));
        slot
    }

    /// Whether there is a token in it that could be served.
    fn is_of_use(&self) -> bool {
        match self {
            Self::Token(token) => token.is_usable(token.now()),
            Self::Slot(slot) => slot.lock().is_of_use(),
        }
    }
}

/// A slot in hand. One that was made for it stays in the map as long as this lives.
pub(super) struct Visit {
    slot: Arc<Slot>,
    pinned: bool,
}

impl Deref for Visit {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.pinned {
            self.slot.unpin();
        }
    }
}

/// Those that have left the map for another.
#[derive(Debug, Default)]
struct Evicted {
    /// How many of them Courier will be asked for because of that: who comes back when it had ended
    /// would have been asked for anyway.
    of_use: u32,
}

impl Evicted {
    fn add(&mut self, entry: &UserEntry) {
        if let UserEntry::Slot(slot) = entry {
            slot.detach();
        }
        if metrics::ON && entry.is_of_use() {
            self.of_use += 1;
        }
    }
}

/// Keeps a slot in the map while a flight will land in it, and tells its holders when it leaves.
#[derive(Clone, Copy, Debug)]
struct PinFlights;

impl Lifecycle<Key, UserEntry> for PinFlights {
    type RequestState = Evicted;

    fn is_pinned(&self, _key: &Key, entry: &UserEntry) -> bool {
        match entry {
            UserEntry::Token(_) => false,
            UserEntry::Slot(slot) => slot.is_pinned(),
        }
    }

    fn on_evict(&self, evicted: &mut Evicted, _key: Key, entry: UserEntry) {
        evicted.add(&entry);
    }
}

/// The share of the map that is for users who were looked up again. Users come for a while and leave:
/// the usual 0.97 keep those who were here often and will not be again, and whoever has just come is
/// forgotten between two page views.
const SEATS_OF_REGULARS: f64 = 0.5;
