use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;

/// Sessions of actix-session in memory; a real app has them in Redis, or they end when it does.
///
/// The cookie holds a key that is worth nothing once the session has ended. Were all of the session in
/// the cookie (`CookieSessionStore`), a copy from before a sign-out would stay good. A clone is another
/// handle.
#[derive(Clone, Default)]
pub struct MemorySessions(Arc<Mutex<HashMap<String, Session>>>);

impl MemorySessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if there is no such session, or none any more.
    fn with<T>(&self, key: &SessionKey, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(key.as_ref());
        session.filter(|session| session.is_alive()).map(look)
    }
}

impl SessionStore for MemorySessions {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        Ok(self.with(key, |session| session.state.clone()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        let mut sessions = self.lock();
        // Few sign out: the others would stay for ever.
        sessions.retain(|_, session| session.is_alive());
        sessions.insert(key.as_ref().to_owned(), Session::new(state, *ttl));
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        match self.with(&key, |session| *session = Session::new(state, *ttl)) {
            Some(()) => Ok(key),
            // Or who is still waiting for an answer would undo the sign-out.
            None => Err(UpdateError::Other(anyhow::anyhow!("the session has ended"))),
        }
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), anyhow::Error> {
        let _ended = self.with(key, |session| session.ends = Instant::now() + *ttl);
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.lock().remove(key.as_ref());
        Ok(())
    }
}

/// Without the keys, each of which is as good as a password.
impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions").finish_non_exhaustive()
    }
}

struct Session {
    state: State,
    ends: Instant,
}

impl Session {
    fn new(state: State, ttl: Duration) -> Self {
        let ends = Instant::now() + ttl;
        Self { state, ends }
    }

    fn is_alive(&self) -> bool {
        self.ends > Instant::now()
    }
}

/// As actix-session has it.
type State = HashMap<String, String>;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn what_has_ended_is_gone_and_does_not_come_back() {
        let sessions = MemorySessions::default();
        let state = State::from([("user".to_owned(), "alice".to_owned())]);
        let hour = Duration::HOUR;
        let overdue = sessions.save(state.clone(), &Duration::ZERO).await.unwrap();
        let signed_out = sessions.save(state.clone(), &hour).await.unwrap();
        let alive = sessions.save(state.clone(), &hour).await.unwrap();
        assert_eq!(sessions.lock().len(), 2, "what is overdue makes room");
        sessions.delete(&signed_out).await.unwrap();
        for ended in [overdue, signed_out] {
            sessions.update_ttl(&ended, &hour).await.unwrap();
            assert_eq!(sessions.load(&ended).await.unwrap(), None);
            assert!(sessions.update(ended, state.clone(), &hour).await.is_err());
        }
        assert_eq!(sessions.load(&alive).await.unwrap(), Some(state));
        assert_eq!(sessions.lock().len(), 1);

        sessions.update_ttl(&alive, &Duration::ZERO).await.unwrap();
        assert_eq!(sessions.load(&alive).await.unwrap(), None);
    }
}
