use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::Instant};
use tracing::{info, warn};

use super::{
    admission::{Admission, Epochs, LookPermit, Permit, Ticket, Urgency},
    breaker::{Breaker, Probe, Refusal},
    streak::Streak,
};
use crate::{
    client::Region,
    error::{Error, ErrorKind, chain},
    events::{self, OnceAMinute, Tally},
    metrics,
    request::Grant,
    token::Issued,
};

/// Whoever issues tokens: Courier, or a test.
#[async_trait]
pub(crate) trait Upstream: Send + Sync + 'static {
    /// One attempt to issue a token.
    async fn issue(&self, grant: &Grant) -> Result<Issued, Error>;

    /// The same upstream through new connections: one whose runtime stands still hangs.
    fn reconnected(&self) -> Arc<dyn Upstream>;

    /// Tells providers apart in the log.
    fn region(&self) -> Region;

    /// Uses another API key from now on, through every connection.
    fn set_api_key(&self, api_key: String) -> Result<(), Error>;
}

/// Decides whether Courier may be asked at all: the breaker, the latch of a refused API key, and
/// how many calls run at once.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) region: Region,
    breaker: Arc<Breaker>,
    key_latch: Arc<Breaker>,
    key: Mutex<KeyInUse>,
    /// Failures of Courier.
    streak: Streak,
    /// Answers of 403.
    forbidden: Streak,
    permits: Arc<Semaphore>,
    background: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    looks: Arc<Semaphore>,
    queued_looks: Arc<AtomicUsize>,
    overload: Mutex<OnceAMinute>,
}

impl Gate {
    pub(crate) fn new(region: Region) -> Self {
        Self {
            region,
            breaker: Breaker::new(Duration::from_secs(5), Duration::from_secs(60)),
            key_latch: Breaker::new(Duration::from_secs(10), Duration::from_secs(60)),
            key: Mutex::default(),
            streak: Streak::default(),
            forbidden: Streak::default(),
            permits: Arc::new(Semaphore::new(MAX_CALLS)),
            background: Arc::new(Semaphore::new(MAX_BACKGROUND_CALLS)),
            queued: Arc::default(),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
            queued_looks: Arc::default(),
            overload: Mutex::default(),
        }
    }

    /// Lets a flight start that looks first whether another replica has a token. Courier's state
    /// and its permits do not matter to that; what is found in vain, [`admit`](Self::admit) decides.
    pub(crate) fn admit_look(&self) -> Option<Admission> {
        let look = match Arc::clone(&self.looks).try_acquire_owned() {
            Ok(look) => LookPermit::Now(look),
            Err(_) => {
                let ticket = Ticket::take(&self.queued_looks, &self.looks, MAX_QUEUED_LOOKS);
                LookPermit::Later(ticket?)
            }
        };
        Some(Admission {
            // No call is made with it that could fail.
            epochs: Epochs::default(),
            probes: Vec::new(),
            permit: None,
            ticket: None,
            look: Some(look),
        })
    }

    /// Lets a flight start. A background refresh needs a free permit; a caller that waits may
    /// queue for one. An error is for [`note_skip`](Self::note_skip).
    pub(crate) fn admit(&self, urgency: Urgency, now: Instant) -> Result<Admission, Error> {
        let permit = self.permit_now(urgency);
        let ticket = match (&permit, urgency) {
            (Some(_), _) => None,
            (None, Urgency::Foreground) => {
                let ticket = Ticket::take(&self.queued, &self.permits, MAX_QUEUED);
                Some(ticket.ok_or_else(overloaded)?)
            }
            (None, Urgency::Background) => return Err(overloaded()),
        };
        let (epochs, probes) = self.check(now)?;
        Ok(Admission {
            epochs,
            probes,
            permit,
            ticket,
            look: None,
        })
    }

    /// Whether one more may be asked for at once.
    pub(crate) fn has_room(&self, urgency: Urgency) -> bool {
        let background = match urgency {
            Urgency::Foreground => true,
            Urgency::Background => self.background.available_permits() > 0,
        };
        background && self.permits.available_permits() > 0
    }

    /// Whether a flight may look at once.
    pub(crate) fn has_room_to_look(&self) -> bool {
        self.looks.available_permits() > 0
    }

    /// Tells operators of a flight that may not start, or may not leave the queue. To be called
    /// without locks, as whatever the app's own subscriber or recorder hears.
    pub(crate) fn note_skip(&self, urgency: Urgency, reason: ErrorKind, now: Instant) {
        metrics::skipped(reason);
        if reason == ErrorKind::Overloaded && urgency == Urgency::Foreground {
            self.note_too_many(now);
        }
    }

    /// Leaves the queue with a permit, and looks again whether Courier is worth a call: it may have
    /// failed for everybody meanwhile. An error is for [`note_skip`](Self::note_skip).
    pub(crate) fn leave_queue(
        &self,
        admission: &mut Admission,
        permit: Permit,
    ) -> Result<Epochs, Error> {
        admission.ticket = None;
        // Whoever is the probe already would be refused because of itself.
        if admission.probes.is_empty() {
            (admission.epochs, admission.probes) = self.check(Instant::now())?;
        }
        admission.permit = Some(permit);
        Ok(admission.epochs)
    }

    /// Learns from the end of a flight, and of when it was let through.
    pub(crate) fn record(
        &self,
        outcome: Result<(), &Error>,
        user: &str,
        epochs: Epochs,
        now: Instant,
    ) {
        let Err(error) = outcome else {
            self.reached();
            let mut key = self.key_in_use();
            let mut was_refused = false;
            if key.epoch == epochs.key {
                self.forbidden.end();
                self.key_latch.close();
                was_refused = std::mem::take(&mut key.refused);
            }
            drop(key);
            if was_refused {
                info!(
                    target: events::COURIER,
                    { courier.region = self.region.as_str() },
                    "Courier accepts the API key again"
                );
            }
            return;
        };
        match error.kind() {
            ErrorKind::ApiKeyRefused => {
                self.reached();
                // Locked until it is open, so that a key that comes meanwhile is not stopped.
                let mut key = self.key_in_use();
                let (latch, reason) = (epochs.latch, error.clone());
                // What the key before it may not do does not count for the new one.
                let enough = key.epoch == epochs.key
                    && (is_about_the_key(error)
                        || (self.key_latch.epoch() == latch
                            && self.forbidden.add(user, FORBIDDEN_TO_OPEN)));
                let mut opened = None;
                if enough {
                    opened = self.key_latch.open(latch, now, reason, fastrand::f64());
                }
                if opened.is_some() {
                    // Or the next one alone would do, who may be the one that started it.
                    self.forbidden.end();
                    key.refused = true;
                }
                drop(key);
                if let Some(pause) = opened {
                    // The flight itself says at ERROR what to do.
                    warn!(
                        target: events::COURIER,
                        pause_s = pause.as_secs_f64(),
                        courier.region = self.region.as_str(),
                        "Courier refuses the API key and is not asked until it is tried again"
                    );
                }
            }
            // A verdict about one request proves that Courier is there.
            ErrorKind::RequestRefused => self.reached(),
            // One that began before the breaker opened adds nothing to what is known.
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout
                if self.breaker.epoch() == epochs.breaker =>
            {
                let (breaker, reason) = (epochs.breaker, error.clone());
                let enough = self.streak.add(user, FAILURES_TO_OPEN);
                if enough
                    && let Some(pause) = self.breaker.open(breaker, now, reason, fastrand::f64())
                {
                    warn!(
                        target: events::COURIER,
                        pause_s = pause.as_secs_f64(),
                        courier.region = self.region.as_str(),
                        error.kind = error.kind().as_str(),
                        error.message = chain(error),
                        "Courier fails for several users and is left alone"
                    );
                }
            }
            _ => {}
        }
    }

    /// How long Courier will not be asked for anybody.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        self.key_latch.rest(now).max(self.breaker.rest(now))
    }

    /// How often the API key was changed.
    pub(crate) fn key_epoch(&self) -> u64 {
        self.key_in_use().epoch
    }

    /// For a call that is made with the key in use: what was before a new one says nothing of it.
    pub(crate) fn read_key(&self, epochs: &mut Epochs) {
        let key = self.key_in_use();
        if key.epoch != epochs.key {
            epochs.key = key.epoch;
            epochs.latch = self.key_latch.epoch();
        }
    }

    /// A new API key deserves a try at once.
    pub(crate) fn key_changed(&self) {
        let mut key = self.key_in_use();
        key.epoch += 1;
        self.forbidden.end();
        self.key_latch.close();
    }

    /// To be called without locks, as whatever the app's own subscriber hears.
    pub(crate) fn note_key_change(&self) {
        info!(
            target: events::COURIER,
            { courier.region = self.region.as_str() },
            "another API key is in use"
        );
    }

    pub(crate) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(crate) fn is_key_refused(&self) -> bool {
        self.key_latch.is_open()
    }

    pub(crate) fn calls(&self) -> usize {
        MAX_CALLS - self.permits.available_permits()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn check(&self, now: Instant) -> Result<(Epochs, Vec<Probe>), Error> {
        let latch = self.key_latch.admit(now).map_err(key_refused)?;
        let breaker = self.breaker.admit(now).map_err(circuit_open)?;
        let epochs = Epochs {
            key: self.key_epoch(),
            latch: latch.epoch,
            breaker: breaker.epoch,
        };
        let probes = latch.probe.into_iter().chain(breaker.probe);
        Ok((epochs, probes.collect()))
    }

    fn permit_now(&self, urgency: Urgency) -> Option<Permit> {
        let background = match urgency {
            Urgency::Foreground => None,
            Urgency::Background => Some(Arc::clone(&self.background).try_acquire_owned().ok()?),
        };
        let call = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Permit::new(call, background))
    }

    /// A token that somebody waits for is not asked for. Nothing else says so: Courier answers.
    fn note_too_many(&self, now: Instant) {
        let mut overload = self.overload.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = overload.count(now);
        drop(overload);
        if let Some(Tally { count, within_s }) = tally {
            warn!(
                target: events::COURIER,
                refused = count,
                within_s,
                courier.region = self.region.as_str(),
                "more tokens are wanted than Courier is asked for at once"
            );
        }
    }

    fn reached(&self) {
        self.streak.end();
        if self.breaker.close() {
            info!(
                target: events::COURIER,
                { courier.region = self.region.as_str() },
                "Courier answers again"
            );
        }
    }

    fn key_in_use(&self) -> MutexGuard<'_, KeyInUse> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the API key.
#[derive(Debug, Default)]
struct KeyInUse {
    /// Counts API keys, so that a late refusal of the old key does not stop the new one.
    epoch: u64,
    /// Whether it was said that Courier refuses it, or the one before it, and not yet that it accepts
    /// one again.
    refused: bool,
}

/// Whether the API key itself is refused. With a 403 Courier knows the key: what is not allowed may be
/// this one request, or a firewall in between may dislike the user's id.
pub(super) fn is_about_the_key(error: &Error) -> bool {
    error.kind() == ErrorKind::ApiKeyRefused && error.status() != Some(403)
}

pub(crate) fn overloaded() -> Error {
    Error::new(
        ErrorKind::Overloaded,
        "more tokens are wanted than Courier is asked for at once",
    )
    .with_retry_after(Duration::from_secs(1))
}

fn circuit_open(refusal: Refusal) -> Error {
    let error = Error::new(
        ErrorKind::CircuitOpen,
        "Courier has failed for several users and is left alone for a moment",
    )
    .with_retry_after(refusal.after);
    match refusal.reason {
        Some(reason) => error.with_source(reason),
        None => error,
    }
}

fn key_refused(refusal: Refusal) -> Error {
    refusal
        .reason
        .unwrap_or_else(|| {
            Error::new(
                ErrorKind::ApiKeyRefused,
                "Courier refused the API key a moment ago",
            )
        })
        .with_retry_after(refusal.after)
}

pub(super) const MAX_CALLS: usize = 16;
/// The rest is kept free for callers that wait.
const MAX_BACKGROUND_CALLS: usize = 12;
const MAX_QUEUED: usize = 256;
/// Flights that look for another replica's token at once: a deploy empties every replica's cache.
const MAX_LOOKS: usize = 1024;
/// Those that wait for their turn to look. The rest asks Courier straight away.
const MAX_QUEUED_LOOKS: usize = 16 * 1024;
/// Nobody waits that long; whoever was in the queue has gone.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(10);
const FAILURES_TO_OPEN: u32 = 5;
const FORBIDDEN_TO_OPEN: u32 = 2;
