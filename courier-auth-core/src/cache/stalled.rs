use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::flight::Flight;

/// Flights that are under way, to find those whose runtime stands still: what they hold would be
/// missed by everybody else, for as long as nobody asks for their users.
#[derive(Debug, Default)]
pub(super) struct StalledFlights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    flights: Vec<Weak<Flight>>,
    searched: Option<Instant>,
}

impl StalledFlights {
    pub(super) fn add(&self, flight: &Arc<Flight>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flights = &mut state.flights;
        if flights.len() == flights.capacity() {
            flights.retain(|flight| flight.strong_count() > 0);
            // Or the next one would have all of them looked through again.
            flights.reserve(flights.len() + 1);
        }
        flights.push(Arc::downgrade(flight));
    }

    /// Takes from those that are overdue what they were admitted with.
    pub(super) fn release_overdue(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = |then| now.saturating_duration_since(then) < SEARCH_GAP;
        if state.searched.is_some_and(recently) {
            return;
        }
        state.searched = Some(now);
        let overdue = |flight: &Arc<Flight>| flight.is_overdue(now);
        let flights = state.flights.iter().filter_map(Weak::upgrade);
        let overdue: Vec<_> = flights.filter(overdue).collect();
        drop(state);
        for flight in overdue {
            drop(flight.release());
        }
    }
}

/// With many new users at once there is no room for a while, and it is no stray that takes it.
const SEARCH_GAP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::cache::tests::World;

    /// Each would keep the memory of its flight.
    #[tokio::test(start_paused = true)]
    async fn flights_that_have_ended_are_forgotten() {
        let world = World::new(Duration::from_secs(3600), 10);
        for n in 0..1000 {
            world.get(&n.to_string()).await.unwrap();
        }
        let state = world.cache.shared.stalled.0.lock().unwrap();
        assert!(state.flights.len() < 50, "{}", state.flights.len());
    }
}
