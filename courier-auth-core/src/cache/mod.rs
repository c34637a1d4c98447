//! Tokens by user: served while they are fresh, refreshed before they end, asked for once.
//!
//! `policy` decides, `slot` remembers, `flight` gets a token in a task of its own: `look` asks the
//! other replicas, which are `peers`, and `ask` Courier. `upstream` says whether it may (with a
//! `breaker`, which opens after a `streak` of failures) and `admission` is what it then holds,
//! `clock` tells the time, `users` is the map of users, `terms` what many of them are granted,
//! `stalled` finds flights whose runtime stands still, `shared` is what all of these need. `step`
//! looks at a slot and decides what a caller gets; this file waits for it.

mod admission;
mod ask;
pub(crate) mod breaker;
pub(crate) mod clock;
mod flight;
mod log;
mod look;
pub(crate) mod peers;
pub(crate) mod policy;
mod shared;
mod slot;
mod stalled;
mod status;
mod step;
mod streak;
mod terms;
#[cfg(test)]
mod tests;
pub(crate) mod upstream;
mod users;

use std::{
    future::{Ready, ready},
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either},
};
use tokio::{runtime::Handle, time::Instant};

pub use self::status::Status;
use self::{
    admission::Urgency,
    clock::Clock,
    flight::{Outcome, Waited},
    peers::Peers,
    shared::Shared,
    step::{Step, Takeover},
    upstream::Upstream,
    users::UserEntry,
};
use crate::{
    error::{Error, ErrorKind},
    metrics,
    request::{Grant, Wanted},
    token::{Token, TokenId},
};

/// The cache of one provider. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache {
    shared: Arc<Shared>,
}

impl TokenCache {
    pub(crate) fn new(
        upstream: Arc<dyn Upstream>,
        peers: Option<Arc<dyn Peers>>,
        max_users: usize,
        runtime: Option<Handle>,
        clock: Clock,
    ) -> Self {
        let shared = Shared::new(upstream, peers, max_users, runtime, clock);
        // So that they are there before the first user.
        shared.show_gauges();
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The cached token, or a new one.
    pub(crate) async fn get<'a>(
        &'a self,
        wanted: impl Into<Wanted<'a>>,
        wish: Wish,
    ) -> Result<Token, Error> {
        let (token, _left) = self.get_timed(wanted, wish).await?;
        Ok(token)
    }

    /// As [`get`](Self::get), with what is left of the token's life: to look at the clocks once
    /// more would be a good part of what a cached one costs.
    pub(crate) fn get_timed<'a>(&'a self, wanted: impl Into<Wanted<'a>>, wish: Wish) -> Timed<'a> {
        let wanted = wanted.into();
        match self.fresh(wanted, wish) {
            Some(fresh) => {
                metrics::cached();
                Either::Left(ready(Ok(fresh)))
            }
            // In a box, so that what nearly all calls come to is small.
            None => {
                let grant = self.shared.terms.grant(wanted);
                Either::Right(self.settle(grant, wish).boxed())
            }
        }
    }

    /// The short way for nearly all calls: a token that is fresh, for whoever has not had it
    /// refused. No lock of a slot and no allocation.
    fn fresh(&self, wanted: Wanted<'_>, wish: Wish) -> Option<(Token, Duration)> {
        if matches!(wish, Wish::Other(_)) {
            return None;
        }
        let entry = self.shared.users.get(wanted.user_id)?;
        let now = self.shared.clock.now();
        match entry {
            UserEntry::Token(token) => {
                let left = token.fresh_for(wanted, now)?;
                Some((token, left))
            }
            UserEntry::Slot(slot) => slot.lock().fresh(wanted, now),
        }
    }

    /// The long way: through the user's slot, and maybe to Courier.
    async fn settle(&self, grant: Grant, wish: Wish) -> Result<(Token, Duration), Error> {
        let mut caller = Caller::new(wish);
        let outcome = self.look_and_wait(&grant, &mut caller).await;
        self.note(&grant, &outcome, &caller);
        let token = outcome?;
        let left = token.expires_in();
        Ok((token, left))
    }

    async fn look_and_wait(&self, grant: &Grant, caller: &mut Caller) -> Result<Token, Error> {
        let mut takeover = None;
        for _ in 0..MAX_ROUNDS {
            let (flight, patience) = match self.step(grant, caller, takeover.as_ref())? {
                Step::Serve(token) => return Ok(token),
                Step::Wait { flight, patience } => (flight, patience),
            };
            let start = *caller.start.get_or_insert_with(Instant::now);
            let waiting = metrics::Waiting::begin();
            let waited = flight.wait(start + patience).await;
            drop(waiting);
            let error = match waited {
                // A flight that began before anybody refused it may have found it with a replica.
                Waited::Finished(Outcome::Token(token)) if caller.wish.refuses(&token) => continue,
                // The machine slept while it was on its way.
                Waited::Finished(Outcome::Token(token))
                    if !token.is_usable(self.shared.clock.now()) =>
                {
                    continue;
                }
                Waited::Finished(Outcome::Token(token)) => return Ok(token),
                Waited::Finished(Outcome::Failed(error)) => error,
                Waited::Finished(Outcome::Yielded) => match self.usable(grant) {
                    Some(held) if !caller.wish.refuses(&held) => return Ok(held),
                    // There is nothing to serve while another replica asks.
                    _ => continue,
                },
                Waited::OutOfPatience => match self.usable(grant) {
                    // The token in hand ran out meanwhile: the machine slept. Wait on.
                    None if patience < policy::HARD_WAIT => continue,
                    held => return held.ok_or_else(out_of_patience),
                },
                Waited::Finished(Outcome::Abandoned) | Waited::Stalled => {
                    match self.shared.move_home(&flight.home) {
                        Ok(home) => {
                            takeover = Some(Takeover { of: flight, home });
                            continue;
                        }
                        Err(error) => error,
                    }
                }
            };
            return self.usable(grant).ok_or(error);
        }
        self.usable(grant).ok_or_else(gone)
    }

    /// Forgets a user. A flight that is on its way finishes in the forgotten slot.
    pub(crate) fn invalidate(&self, user: &str) {
        // First, or who asks in between would find the token of before in the store and keep it.
        if let Some(peers) = &self.shared.peers {
            let home = self.shared.home().ok();
            peers.forget(user.into(), home.as_ref().map(|home| &home.runtime));
        }
        self.shared.users.forget(user);
        self.shared.show_gauges();
    }

    pub(crate) fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        let checked = api_key.clone();
        let changing = self.shared.key_change.lock();
        let changing = changing.unwrap_or_else(PoisonError::into_inner);
        self.shared.upstream.set_api_key(api_key)?;
        if let Some(peers) = &self.shared.peers {
            peers.set_api_key(checked);
        }
        self.shared.gate.key_changed();
        drop(changing);
        self.shared.gate.note_key_change();
        self.shared.show_gauges();
        Ok(())
    }

    pub(crate) fn status(&self) -> Status {
        self.shared.status()
    }

    /// The cached token, if it can still be used: an error never takes its place.
    fn usable(&self, grant: &Grant) -> Option<Token> {
        let entry = self.shared.users.get(&grant.user_id)?;
        let now = self.shared.clock.now();
        match entry {
            UserEntry::Token(token) => {
                (token.is_for(grant.into()) && token.is_usable(now)).then_some(token)
            }
            UserEntry::Slot(slot) => slot.lock().known_variant(grant)?.usable(now).cloned(),
        }
    }
}

/// A token with what is left of its life: at once, or when it is there.
pub(crate) type Timed<'a> = Either<
    Ready<Result<(Token, Duration), Error>>,
    BoxFuture<'a, Result<(Token, Duration), Error>>,
>;

/// What a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// A token.
    Any,
    /// A newer one than this, which the caller holds.
    Newer(TokenId),
    /// Another one than this, which Courier refused.
    Other(TokenId),
}

impl Wish {
    /// The token that Courier is said to have refused.
    fn refused(self) -> Option<TokenId> {
        match self {
            Self::Other(refused) => Some(refused),
            Self::Any | Self::Newer(_) => None,
        }
    }

    fn refuses(self, token: &Token) -> bool {
        self.refused() == Some(token.id())
    }
}

/// Whoever does not get a fresh token at once.
#[derive(Debug)]
struct Caller {
    wish: Wish,
    /// When it began to wait, if it did.
    start: Option<Instant>,
    /// Whether Courier was asked for another than the cached token, which the caller says was
    /// refused.
    replaced: Option<bool>,
    unsaid: Unsaid,
}

/// What operators are to be told of as soon as nothing is locked: their subscriber or recorder may
/// ask for a token itself.
#[derive(Debug, Default)]
struct Unsaid {
    /// Why no flight was started.
    skipped: Option<(Urgency, ErrorKind)>,
    look_left_out: bool,
}

impl Caller {
    fn new(wish: Wish) -> Self {
        Self {
            wish,
            start: None,
            replaced: None,
            unsaid: Unsaid::default(),
        }
    }
}

fn out_of_patience() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "Courier takes longer than a caller waits; the call goes on and its token will be cached",
    )
    .with_retry_after(Duration::from_secs(2))
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Runtime,
        "the task that asked Courier went away with its runtime",
    )
    .with_retry_after(Duration::from_secs(1))
}

/// How often one caller looks again: two runtimes may go away under it, and a token run out.
const MAX_ROUNDS: usize = 4;
