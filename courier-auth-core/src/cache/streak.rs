use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures without a success between them.
#[derive(Debug, Default)]
pub(super) struct Streak(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    first: Option<Box<str>>,
    several_users: bool,
}

impl Streak {
    /// One more. Whether that is `enough` to be everybody's trouble rather than one user's.
    pub(super) fn add(&self, user: &str, enough: u32) -> bool {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        state.several_users |= **state.first.get_or_insert_with(|| user.into()) != *user;
        state.failures >= enough && state.several_users
    }

    pub(super) fn end(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
