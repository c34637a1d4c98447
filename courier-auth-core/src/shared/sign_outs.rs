//! Who was signed out here, until the store says so to all replicas.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Remembered until the store has them, and after that as long as there is room: for looks that
/// were under way, and for a store that loses what it has.
#[derive(Default)]
pub(super) struct SignOuts(Mutex<State>);

#[derive(Default)]
struct State {
    users: HashMap<Arc<str>, SignOut>,
    /// Those that the store does not have, in the order in which they are written.
    unwritten: VecDeque<Arc<str>>,
    written: VecDeque<(Arc<str>, Instant)>,
    writer: Writer,
    /// When the task that writes will have shown the next sign of life; `None` if there is none.
    due: Option<Instant>,
}

struct SignOut {
    /// In microseconds since the epoch.
    at: u64,
    written: Option<Instant>,
}

/// The number of a task that writes: one that stood still for too long is not the last any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Writer(u64);

impl SignOuts {
    /// Notes one. Returns whether there was room for it.
    pub(super) fn note(&self, user: Arc<str>, at: u64) -> bool {
        let state = &mut *self.lock();
        if let Some(known) = state.users.get_mut(&user) {
            known.at = known.at.max(at);
            if known.written.take().is_some() {
                state.unwritten.push_back(user);
            }
            return true;
        }
        if state.users.len() >= MOST && !state.make_room() {
            return false;
        }
        state.unwritten.push_back(Arc::clone(&user));
        state.users.insert(user, SignOut { at, written: None });
        true
    }

    /// When a user was signed out here, if that is known.
    pub(super) fn at(&self, user: &str) -> Option<u64> {
        self.lock().users.get(user).map(|known| known.at)
    }

    /// Whom to begin a task for that writes, if there is something to write and nobody at it.
    pub(super) fn hire(&self, now: Instant) -> Option<Writer> {
        let mut state = self.lock();
        if state.unwritten.is_empty() || state.due.is_some_and(|due| now < due) {
            return None;
        }
        state.writer.0 += 1;
        state.due = Some(now + SLACK);
        Some(state.writer)
    }

    /// The next ones to write, within so long. None if all are written, or another is at it.
    pub(super) fn next(&self, writer: Writer, within: Duration) -> Vec<(Arc<str>, u64)> {
        let state = &mut *self.lock();
        if state.writer != writer {
            return Vec::new();
        }
        state.due = (!state.unwritten.is_empty()).then(|| Instant::now() + within + SLACK);
        let next = state.unwritten.iter().take(AT_ONCE);
        let users = next.filter_map(|user| Some((Arc::clone(user), state.users.get(user)?.at)));
        users.collect()
    }

    /// Takes note of which of the [`next`](Self::next) ones are written; the others wait for their
    /// turn again, unless no token from before `oldest` is of any use.
    pub(super) fn wrote(
        &self,
        writer: Writer,
        outcomes: impl IntoIterator<Item = (Arc<str>, u64, bool)>,
        oldest: u64,
    ) {
        let state = &mut *self.lock();
        if state.writer != writer {
            return;
        }
        let now = Instant::now();
        for (user, at, done) in outcomes {
            // Whoever is next leaves the queue from the front alone, and joins it at the back.
            state.unwritten.pop_front();
            let Some(known) = state.users.get_mut(&user) else {
                continue;
            };
            match known.at == at {
                true if done => {
                    known.written = Some(now);
                    state.written.push_back((user, now));
                    if state.written.len() > MOST {
                        state.forget_oldest();
                    }
                }
                true if at < oldest => {
                    state.users.remove(&user);
                }
                _ => state.unwritten.push_back(user),
            }
        }
    }

    /// Promises to go on after a pause.
    pub(super) fn pause(&self, writer: Writer, pause: Duration) {
        let mut state = self.lock();
        if state.writer == writer {
            state.due = Some(Instant::now() + pause + SLACK);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets one that is written, if there is any.
    fn make_room(&mut self) -> bool {
        while let Some(forgotten) = self.forget_oldest() {
            if forgotten {
                return true;
            }
        }
        false
    }

    /// Forgets what was written first. Returns whether that was the last that is known of a user.
    fn forget_oldest(&mut self) -> Option<bool> {
        let (user, when) = self.written.pop_front()?;
        let last = self.users.get(&user).and_then(|known| known.written);
        let forgotten = last == Some(when);
        if forgotten {
            self.users.remove(&user);
        }
        Some(forgotten)
    }
}

/// Some ten megabytes.
const MOST: usize = 100_000;
/// Written at once: Redis is not to be busy with nothing else.
const AT_ONCE: usize = 64;
/// How late a sign of life may be before another task is begun.
const SLACK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Clone, Debug)]
    enum Event {
        SignOut(u8),
        Hire,
        Next,
        /// One that was given some, maybe long ago, writes some of them.
        Wrote(usize, usize),
        /// Nobody hears of the one that is at it any more.
        Late,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..12u8).prop_map(Event::SignOut),
            1 => Just(Event::Hire),
            2 => Just(Event::Next),
            2 => (0..3usize, 1..4usize).prop_map(|(who, of)| Event::Wrote(who, of)),
            1 => Just(Event::Late),
        ]
    }

    /// The later of what is there and what comes.
    fn store(stored: &mut BTreeMap<Arc<str>, u64>, user: &Arc<str>, at: u64) {
        let there = stored.entry(Arc::clone(user)).or_insert(at);
        *there = at.max(*there);
    }

    proptest! {
        /// Whatever happens to its writers, each sign-out is known until it is written, and is
        /// written in the end.
        #[test]
        fn none_is_lost(events in vec(event(), 0..200)) {
            let signed_out = SignOuts::default();
            let (mut last, mut stored) = (BTreeMap::new(), BTreeMap::new());
            let (mut writer, mut batches) = (None, Vec::new());
            let mut now = Instant::now();
            for (at, event) in (1u64..).zip(events) {
                match event {
                    Event::SignOut(user) => {
                        let user: Arc<str> = user.to_string().into();
                        prop_assert!(signed_out.note(Arc::clone(&user), at));
                        last.insert(user, at);
                    }
                    Event::Hire => writer = signed_out.hire(now).or(writer),
                    Event::Next => {
                        let Some(writer) = writer else { continue };
                        // It is given some when it is done with those of before.
                        if batches.iter().all(|(other, _)| *other != writer) {
                            batches.push((writer, signed_out.next(writer, SLACK)));
                        }
                    }
                    Event::Wrote(who, of) => {
                        if who >= batches.len() {
                            continue;
                        }
                        let (writer, batch) = batches.remove(who);
                        let outcomes: Vec<_> = batch
                            .into_iter()
                            .enumerate()
                            .map(|(n, (user, at))| (user, at, n % of == 0))
                            .collect();
                        for (user, at, _) in outcomes.iter().filter(|(.., done)| *done) {
                            store(&mut stored, user, *at);
                        }
                        signed_out.wrote(writer, outcomes, 0);
                    }
                    Event::Late => now += Duration::from_secs(3600),
                }
                for (user, at) in &last {
                    prop_assert_eq!(signed_out.at(user), Some(*at));
                }
            }
            let writer = signed_out.hire(now + Duration::from_secs(7200)).or(writer);
            while let Some(writer) = writer {
                let batch = signed_out.next(writer, SLACK);
                if batch.is_empty() {
                    break;
                }
                for (user, at) in &batch {
                    store(&mut stored, user, *at);
                }
                let outcomes = batch.into_iter().map(|(user, at)| (user, at, true));
                signed_out.wrote(writer, outcomes, 0);
            }
            prop_assert_eq!(stored, last);
        }
    }

    #[test]
    fn the_oldest_that_are_written_make_room() {
        let signed_out = SignOuts::default();
        let user = |n: usize| -> Arc<str> { n.to_string().into() };
        for n in 0..MOST {
            assert!(signed_out.note(user(n), n as u64));
        }
        assert!(!signed_out.note(user(MOST), 0), "none is written");
        let writer = signed_out.hire(Instant::now()).expect("nobody is at it");
        let outcomes = signed_out.next(writer, SLACK).into_iter();
        signed_out.wrote(writer, outcomes.map(|(user, at)| (user, at, true)), 0);
        assert!(signed_out.note(user(MOST), 0));
        assert_eq!((signed_out.at("0"), signed_out.at("1")), (None, Some(1)));
    }

    #[test]
    fn who_is_signed_out_again_and_again_takes_no_more_room() {
        let signed_out = SignOuts::default();
        for at in 0..=MOST as u64 + 1 {
            signed_out.note("alice".into(), at);
            let writer = signed_out.hire(Instant::now()).expect("nobody is at it");
            let outcomes = signed_out.next(writer, SLACK).into_iter();
            signed_out.wrote(writer, outcomes.map(|(user, at)| (user, at, true)), 0);
            assert_eq!(signed_out.next(writer, SLACK), []);
        }
        assert_eq!(signed_out.lock().written.len(), MOST);
        assert_eq!(signed_out.at("alice"), Some(MOST as u64 + 1));
    }

    #[test]
    fn what_is_of_no_use_any_more_is_not_tried_again() {
        let signed_out = SignOuts::default();
        for (user, at) in [("alice", 1), ("bob", 7)] {
            signed_out.note(user.into(), at);
        }
        let writer = signed_out.hire(Instant::now()).expect("nobody is at it");
        let outcomes = signed_out.next(writer, SLACK).into_iter();
        signed_out.wrote(writer, outcomes.map(|(user, at)| (user, at, false)), 5);
        assert_eq!(
            (signed_out.at("alice"), signed_out.at("bob")),
            (None, Some(7))
        );
        assert_eq!(signed_out.next(writer, SLACK), [("bob".into(), 7)]);
    }
}
