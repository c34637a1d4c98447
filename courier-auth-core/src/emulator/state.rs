//! The emulator itself: its key, its secret, its faults and its log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::{Call, Log};
use super::clock;
use super::fault::{Fault, Faults};
use super::jwt::{Claims, Signer, VerifyError};

/// Courier's REST API in this process, without a socket.
///
/// A clone is another handle to the same emulator. [`respond`](Self::respond) answers a request;
/// [`start`](Self::start) and [`serve`](Self::serve) put a listener in front of it.
#[derive(Clone)]
pub struct Emulator {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    api_key: String,
    pub(super) signer: Signer,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) log: Log,
    /// The `exp` of the last token each user got.
    pub(super) last_expiry: HashMap<String, i64>,
}

impl Emulator {
    /// An emulator that accepts one API key, an obviously fake one: see [`api_key`](Self::api_key).
    #[must_use]
    pub fn new() -> Self {
        Self::with_api_key("pk_emulator_0123456789")
    }

    /// An emulator that accepts this API key.
    #[must_use]
    pub fn with_api_key(key: impl Into<String>) -> Self {
        let shared = Shared {
            api_key: key.into(),
            signer: Signer::random(),
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The API key that a client has to send.
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// Checks a token's signature and `exp`, the latter on the emulator's own clock, and returns its claims.
    ///
    /// # Errors
    ///
    /// If the token is not a JWT, was not signed by this emulator, or has expired.
    pub fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let skew = self.state().faults.skew(None);
        self.shared.signer.verify(token, clock::unix_now(skew))
    }

    /// The last 10 000 calls, oldest first. A call is added before its answer is sent.
    pub fn calls(&self) -> Vec<Call> {
        self.state().log.calls()
    }

    /// How many times `POST /auth/issue-token` was called since the start or [`clear_calls`](Self::clear_calls). Calls
    /// that failed count too.
    pub fn token_requests(&self) -> usize {
        self.state().log.token_requests()
    }

    /// The same, for calls whose scope names this user. Calls that failed count too.
    pub fn token_requests_for(&self, user_id: &str) -> usize {
        self.state().log.token_requests_for(user_id)
    }

    /// Forgets the calls and starts counting from zero.
    pub fn clear_calls(&self) {
        self.state().log = Log::default();
    }

    /// Makes the next `n` calls to `POST /auth/issue-token` fail in this way.
    ///
    /// Faults of several calls are queued, and all of them come before that of [`fail`](Self::fail).
    ///
    /// ```
    /// use courier_auth_core::{TokenProvider, TokenRequest, emulator::{Emulator, Fault}};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let courier = Emulator::start().await?;
    /// let provider = TokenProvider::builder(courier.api_key()).base_url(courier.url()).build()?;
    ///
    /// courier.fail_next(1, Fault::status(500));
    /// courier.fail_next(1, Fault::Reset);
    /// provider.token(&TokenRequest::for_user("user-1")).await?; // the third try gets it
    /// assert_eq!(courier.token_requests(), 3);
    /// # Ok(()) }
    /// ```
    pub fn fail_next(&self, n: usize, fault: Fault) {
        self.state().faults.push(n, fault);
    }

    /// Makes every call to `POST /auth/issue-token` fail in this way until [`recover`](Self::recover). Replaces the
    /// fault of an earlier call.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.stand(fault);
    }

    /// Makes every call to `POST /auth/issue-token` for this user fail in this way until [`recover`](Self::recover),
    /// whatever [`fail`](Self::fail) and [`fail_next`](Self::fail_next) say, which such a call leaves as they are.
    /// Replaces the fault of an earlier call for the same user.
    ///
    /// Background refreshes come in no particular order, so that a test of what one user's failure does to others
    /// cannot count on whose call is the next.
    ///
    /// ```
    /// use courier_auth_core::{TokenProvider, TokenRequest, emulator::{Emulator, Fault}};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let courier = Emulator::start().await?;
    /// let provider = TokenProvider::builder(courier.api_key()).base_url(courier.url()).build()?;
    ///
    /// courier.fail_for("alice", Fault::status(400));
    /// assert!(provider.token(&TokenRequest::for_user("alice")).await.is_err());
    /// assert!(provider.token(&TokenRequest::for_user("bob")).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn fail_for(&self, user_id: impl Into<String>, fault: Fault) {
        self.state().faults.stand_for(user_id.into(), fault);
    }

    /// Removes all faults, including those of [`fail_next`](Self::fail_next) and [`fail_for`](Self::fail_for).
    pub fn recover(&self) {
        self.state().faults.clear();
    }

    /// Nothing is left half done when a thread panics with the lock in hand, so a poisoned lock is as good as any.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let locked = self.shared.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Emulator {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows neither the API key nor the signing secret.
impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("token_requests", &self.token_requests())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Emulator;

    #[test]
    fn the_key_does_not_show() {
        let emulator = Emulator::with_api_key("canary");
        assert_eq!(
            format!("{emulator:?}"),
            "Emulator { token_requests: 0, .. }"
        );
        assert_eq!(emulator.api_key(), "canary");
    }
}
