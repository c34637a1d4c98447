//! One cache for many replicas: what is kept in it, under which names, and how it is asked.
//!
//! `tokens` decides what is worth keeping and adopting. `keys` derives names and keys from the API
//! key, `entry` is what is kept, `envelope` encrypts it. `sign_outs` are those that the store has
//! yet to hear of. `guard` sees to it that a store that is slow or down hurts nobody, and `trouble`
//! says so in the log. `redis` is the store that most people have.

mod entry;
mod envelope;
mod error;
mod guard;
mod keys;
#[cfg(feature = "redis")]
mod redis;
mod sign_outs;
mod status;
mod tokens;
mod trouble;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

#[cfg(feature = "redis")]
pub use self::redis::RedisCache;
pub use self::{error::SharedCacheError, status::SharedCacheStatus};
pub(crate) use self::{
    keys::{MAX_PREVIOUS, Rings},
    tokens::SharedTokens,
};

/// A store that several replicas of an app share, so that one of them has a token issued and all
/// have it.
///
/// [`RedisCache`](https://docs.rs/courier-auth-core/latest/courier_auth_core/struct.RedisCache.html)
/// (feature `redis`) is one; this trait is for those who have another store. Keys are short ASCII,
/// values are opaque bytes (encrypted, up to 24 KiB, mostly under one): a store sees neither tokens
/// nor user ids. It may lose whatever it likes whenever it likes.
///
/// # What the provider sees to
///
/// * It asks only when a user's token is missing or ages, never for a fresh one.
/// * It waits no longer than 50 ms for [`get`](Self::get) and [`ttl`](Self::ttl), 100 ms for [`try_lock`](Self::try_lock)
///   and 250 ms for the rest, and then drops the future: no method may lose or spoil anything when
///   it is dropped half way.
/// * After five failures in a row the store is left alone for 1 to 30 seconds and then tried by one
///   call. No error reaches a caller.
/// * All calls run in tasks on the provider's Tokio runtime; if that one goes away, on another.
///   Under actix-web every worker has a runtime of its own: a connection that was opened on one
///   should not be used on another.
///
/// # What an implementation sees to
///
/// * `set` overwrites, and what it wrote is gone when `ttl` has passed.
/// * `try_lock` is atomic: of several that ask for one name at once, one gets `true`.
/// * Errors and `Debug` hold no password.
/// * Nothing blocks the thread.
///
/// The trait is one of the crate [`async-trait`](https://docs.rs/async-trait): to implement it, add
/// `async-trait` to the app's `Cargo.toml`.
///
/// # Example
///
/// A complete one, in memory. With memcached `try_lock` is `add`; in SQL it is an insert that does
/// nothing on conflict with a row that has not expired.
///
/// ```
/// use std::{
///     collections::HashMap,
///     sync::{Mutex, MutexGuard, PoisonError},
///     time::{Duration, Instant},
/// };
///
/// use async_trait::async_trait;
/// use courier_auth_core::{SharedCache, SharedCacheError, TokenProvider};
///
/// #[derive(Debug, Default)]
/// struct MemoryCache(Mutex<HashMap<String, (Vec<u8>, Instant)>>);
///
/// impl MemoryCache {
///     fn living(&self) -> MutexGuard<'_, HashMap<String, (Vec<u8>, Instant)>> {
///         let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         entries.retain(|_, (_, end)| *end > Instant::now());
///         entries
///     }
/// }
///
/// #[async_trait]
/// impl SharedCache for MemoryCache {
///     async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SharedCacheError> {
///         Ok(self.living().get(key).map(|(value, _)| value.clone()))
///     }
///
///     async fn ttl(&self, key: &str) -> Result<Option<Duration>, SharedCacheError> {
///         Ok(self.living().get(key).map(|(_, end)| *end - Instant::now()))
///     }
///
///     async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), SharedCacheError> {
///         self.living().insert(key.into(), (value.into(), Instant::now() + ttl));
///         Ok(())
///     }
///
///     async fn delete(&self, key: &str) -> Result<(), SharedCacheError> {
///         self.living().remove(key);
///         Ok(())
///     }
///
///     async fn try_lock(
///         &self,
///         name: &str,
///         owner: &str,
///         ttl: Duration,
///     ) -> Result<bool, SharedCacheError> {
///         let mut entries = self.living();
///         if entries.contains_key(name) {
///             return Ok(false);
///         }
///         entries.insert(name.into(), (owner.into(), Instant::now() + ttl));
///         Ok(true)
///     }
///
///     async fn unlock(&self, name: &str, owner: &str) -> Result<(), SharedCacheError> {
///         let mut entries = self.living();
///         if entries.get(name).is_some_and(|(holder, _)| holder == owner.as_bytes()) {
///             entries.remove(name);
///         }
///         Ok(())
///     }
/// }
///
/// let provider = TokenProvider::builder("api-key")
///     .shared_cache(MemoryCache::default())
///     .build()?;
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
#[async_trait]
pub trait SharedCache: fmt::Debug + Send + Sync + 'static {
    /// The value under a key, if there is one that has not expired.
    ///
    /// # Errors
    ///
    /// When the store cannot say. A key that is not there is no error.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SharedCacheError>;

    /// What and where the store is, e.g. `Redis (10.0.0.7:6379)`, for the error when it does not
    /// answer in time. Without a password. The default says nothing.
    fn address(&self) -> Option<String> {
        None
    }

    /// For how much longer the value under a key will be kept. The default cannot tell.
    ///
    /// A token ends with its entry: where the store tells, a replica whose clock is behind does not
    /// take a token for younger than it is.
    ///
    /// # Errors
    ///
    /// When the store cannot say, which is as good as `None`.
    async fn ttl(&self, key: &str) -> Result<Option<Duration>, SharedCacheError> {
        let _ = key;
        Ok(None)
    }

    /// Keeps a value under a key for `ttl` (milliseconds count), whatever was there before.
    ///
    /// # Errors
    ///
    /// When it was not, or perhaps not, kept.
    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), SharedCacheError>;

    /// Removes a key, if it is there.
    ///
    /// # Errors
    ///
    /// When it may still be there.
    async fn delete(&self, key: &str) -> Result<(), SharedCacheError>;

    /// Takes a lock for `ttl`, unless somebody has it; says whether it was taken. `owner` is random
    /// and says whose it is.
    ///
    /// The lock saves calls to Courier and no more: two who believe to have it do no harm. The
    /// default has no locks and always says yes.
    ///
    /// # Errors
    ///
    /// When the store cannot say.
    async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, SharedCacheError> {
        let _ = (name, owner, ttl);
        Ok(true)
    }

    /// Gives a lock back, if this owner (still) has it. The default does nothing.
    ///
    /// # Errors
    ///
    /// When the lock may still be taken. It then ends by itself.
    async fn unlock(&self, name: &str, owner: &str) -> Result<(), SharedCacheError> {
        let _ = (name, owner);
        Ok(())
    }
}

#[async_trait]
impl<C: SharedCache + ?Sized> SharedCache for Arc<C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SharedCacheError> {
        (**self).get(key).await
    }

    fn address(&self) -> Option<String> {
        (**self).address()
    }

    async fn ttl(&self, key: &str) -> Result<Option<Duration>, SharedCacheError> {
        (**self).ttl(key).await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), SharedCacheError> {
        (**self).set(key, value, ttl).await
    }

    async fn delete(&self, key: &str) -> Result<(), SharedCacheError> {
        (**self).delete(key).await
    }

    async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, SharedCacheError> {
        (**self).try_lock(name, owner, ttl).await
    }

    async fn unlock(&self, name: &str, owner: &str) -> Result<(), SharedCacheError> {
        (**self).unlock(name, owner).await
    }
}
