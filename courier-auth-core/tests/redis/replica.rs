//! Replicas of an app, as far as a cache is concerned, and what they log.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use courier_auth_core::{
    RedisCache, SharedCacheStatus, Token, TokenProvider, TokenProviderBuilder, TokenRequest,
    emulator::{Emulator, EmulatorServer},
};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

pub(crate) async fn courier() -> EmulatorServer {
    Emulator::with_api_key(API_KEY).serve(0).await.unwrap()
}

/// One that shares its tokens on this server.
pub(crate) fn replica(courier: &EmulatorServer, redis: &str) -> TokenProvider {
    sharing(courier, RedisCache::new(redis).unwrap())
}

pub(crate) fn sharing(courier: &EmulatorServer, cache: RedisCache) -> TokenProvider {
    builder(courier).shared_cache(cache).build().unwrap()
}

pub(crate) fn builder(courier: &EmulatorServer) -> TokenProviderBuilder {
    TokenProvider::builder(courier.api_key()).base_url(courier.url())
}

/// A user's token, which must come, in time, and be the user's.
pub(crate) async fn token(courier: &Emulator, replica: &TokenProvider, user: &str) -> Token {
    let request = TokenRequest::for_user(user);
    let token = timeout(PATIENCE, replica.token(&request)).await;
    let token = token.expect("nobody waits for Redis").unwrap();
    let claims = courier.verify(token.as_str()).unwrap();
    assert_eq!(claims.user_ids().collect::<Vec<_>>(), [user]);
    token
}

/// A new replica, which finds all their tokens in the cache and has none issued.
///
/// A look that takes 50 ms counts as one that failed, so this begins anew where the machine was too
/// busy.
pub(crate) async fn finds(
    courier: &EmulatorServer,
    new: impl Fn() -> TokenProvider,
    users: &[String],
) -> TokenProvider {
    for _ in 0..100 {
        let (issued, replica) = (courier.token_requests(), new());
        for user in users {
            token(courier, &replica, user).await;
        }
        let counts = counts(&replica);
        if counts.errors == 0 {
            assert_eq!(counts.hits, users.len() as u64, "{counts:?}");
            assert_eq!(courier.token_requests(), issued);
            return replica;
        }
    }
    panic!("the machine is too busy")
}

pub(crate) fn users(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|user| format!("{name}-{user}")).collect()
}

pub(crate) fn counts(replica: &TokenProvider) -> SharedCacheStatus {
    replica.status().shared_cache.unwrap()
}

/// What is logged on this thread while this lives.
pub(crate) struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Log {
    pub(crate) fn begin() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap();
        let warnings = text.lines().filter(|line| line.contains(" WARN "));
        warnings.map(str::to_owned).collect()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const API_KEY: &str = "pk_test_canary";
/// The hard limit for a caller, and as much again for the machine.
const PATIENCE: Duration = Duration::from_secs(5 + 5);
