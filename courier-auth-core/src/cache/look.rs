use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    admission::Urgency,
    clock::Moment,
    flight::{Ending, FlightTask},
    peers::{FIND_LIMIT, Found, LOCK_LIMIT, Lock, Peers},
    policy::Zone,
};
use crate::{
    error::{Error, ErrorKind},
    token::Token,
};

/// What a flight does with the other replicas, before and after it asks Courier.
impl FlightTask {
    /// Looks whether another replica has a token, or is asking for one. `None` if Courier is to be
    /// asked, and may be.
    pub(super) async fn look(&mut self) -> Option<Ending> {
        let shared = Arc::clone(&self.shared);
        let peers = shared.peers.as_ref()?;
        if !self.flight.admission().as_ref()?.is_for_a_look() {
            return None;
        }
        if !self.may_look().await {
            peers.note_look_left_out();
            return self.admit();
        }
        let mut look = self.find(peers).await;
        // What nobody waits for is left to another replica that is at it already.
        if self.purpose.urgency == Urgency::Background && matches!(look, Look::Nothing) {
            self.flight.promise(Instant::now() + LOCK_LIMIT);
            match peers.lock(&self.grant).await {
                Lock::Held(lock) => {
                    self.lock = Some(lock);
                    // Whoever had the lock before may have written meanwhile.
                    look = self.find(peers).await;
                }
                Lock::Taken => return Some(put_off(yielded(), true)),
                Lock::Unknown => {}
            }
        }
        match look {
            Look::Fresh(token) => {
                peers.looked(true);
                return Some(Ending::Found(token));
            }
            Look::Nothing => peers.looked(false),
            Look::Unknown => {}
        }
        self.admit()
    }

    /// Tells the other replicas.
    pub(super) async fn report(&mut self, news: Option<(Token, Moment)>) {
        let Some(peers) = &self.shared.peers else {
            return;
        };
        if let Some((token, sent)) = news {
            peers.tell(&self.grant, &token, sent).await;
        }
        // After the token, so that whoever gets the lock next finds it.
        if let Some(lock) = self.lock.take() {
            peers.unlock(lock).await;
        }
        // The store may have been found well or ill with that.
        self.shared.show_gauges();
    }

    /// Waits for its turn to look, which comes soon unless the store is in trouble.
    async fn may_look(&self) -> bool {
        self.flight.promise(Instant::now() + LOOK_WAIT);
        let turn = poll_fn(|cx| match &mut *self.flight.admission() {
            Some(admission) => admission.poll_look(cx),
            None => Poll::Ready(false),
        });
        timeout(LOOK_WAIT, turn).await.unwrap_or_default()
    }

    /// A token of another replica's that is fresh. One that is better than ours but about to age
    /// is kept as well, for the case that Courier has none.
    async fn find(&self, peers: &Arc<dyn Peers>) -> Look {
        self.flight.promise(Instant::now() + FIND_LIMIT);
        match peers.find(&self.grant, self.purpose.avoid).await {
            Found::Token(token) if self.keep(&token) == Some(Zone::Fresh) => Look::Fresh(token),
            Found::Token(_) | Found::Nothing => Look::Nothing,
            Found::Unknown => Look::Unknown,
        }
    }

    /// Puts a token into the slot if it is better than the one that is there, and says in which
    /// zone it is then.
    fn keep(&self, token: &Token) -> Option<Zone> {
        let now = self.shared.clock.now();
        let mut state = self.slot.lock();
        let variant = state.known_variant(&self.grant)?;
        if !variant.has_flight(&self.flight) {
            return None;
        }
        variant.store(token, self.purpose.replaces, now).ok()?;
        Some(variant.zone(now))
    }

    /// Exchanges the look for a call to Courier, as it would have been admitted without. `None` if
    /// it was.
    fn admit(&mut self) -> Option<Ending> {
        let now = self.shared.clock.now().mono;
        self.shared.make_room(self.purpose.urgency, now);
        let gate = &self.shared.gate;
        let admitted = match &mut *self.flight.admission() {
            None => return Some(Ending::TakenOver),
            Some(place) => gate.admit(self.purpose.urgency, now).map(|admission| {
                let epochs = admission.epochs;
                *place = admission;
                epochs
            }),
        };
        match admitted {
            Ok(epochs) => {
                self.epochs = epochs;
                None
            }
            Err(error) => {
                gate.note_skip(self.purpose.urgency, error.kind(), now);
                Some(put_off(error, false))
            }
        }
    }
}

/// Some times what a look may take.
const LOOK_WAIT: Duration = Duration::from_millis(250);

/// What looking led to.
enum Look {
    /// A token that spares the call. It is in the slot.
    Fresh(Token),
    Nothing,
    /// The store knows nothing, or is not to be asked.
    Unknown,
}

fn put_off(error: Error, yielded: bool) -> Ending {
    Ending::PutOff { error, yielded }
}

fn yielded() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "another replica is asking Courier for this user's token",
    )
}
