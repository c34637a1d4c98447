mod link;
mod source;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo, ProtocolVersion,
};

use self::{link::Links, source::Source};
use super::{SharedCache, SharedCacheError, envelope::MAX_VALUE_BYTES};
use crate::{
    client::is_quoted,
    error::{Error, ErrorKind},
};

/// A [`SharedCache`] on Redis or Valkey.
///
/// ```no_run
/// use courier_auth_core::{RedisCache, TokenProvider};
///
/// let redis = RedisCache::new("rediss://user:password@redis.internal:6379")?.prefix("shop");
/// let provider = TokenProvider::builder("api-key").shared_cache(redis).build()?;
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
///
/// Nothing is connected before the first token is needed, and the app starts whether Redis is there
/// or not. One connection carries all commands: `GETRANGE`, `PTTL`, `SET … PX`, `SET … NX PX`, `DEL` and a
/// one-key `EVAL`, each on one key. It belongs to the Tokio runtime on which the provider asks
/// Courier, and is made anew when it breaks, when nothing comes back over it, and when that runtime
/// goes away. Any eviction policy will do.
///
/// Give every provider a `RedisCache` of its own; two that use the same Redis and prefix share their
/// tokens if, and only if, they have the same API key (or encryption key).
pub struct RedisCache {
    prefix: String,
    links: Links,
}

impl RedisCache {
    /// A cache on one Redis or Valkey: `redis://`, `rediss://` (TLS) or `unix://`, with user,
    /// password and database number where needed: `rediss://user:password@host:6379/0`,
    /// `unix:///run/redis.sock?db=0&user=…&pass=…`. Opens no connection and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when the URL is malformed. The error does not show it.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        let info = connection_info(url.as_ref())?;
        Ok(Self::from_source(Source::node(info)?))
    }

    /// A cache on a cluster, of which some nodes are named. All have the same user and password.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when a URL is malformed, there is none, or they differ in more
    /// than the host.
    #[cfg(feature = "redis-cluster")]
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, Error> {
        let nodes = urls
            .into_iter()
            .map(|url| connection_info(url.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_source(Source::cluster(nodes)?))
    }

    /// What keys begin with, so that apps can share a Redis. Default: `courier-auth`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Trusts this certificate authority (PEM), and those of other calls, *instead of* the system's.
    /// Default: the system's.
    ///
    /// [`TokenProviderBuilder::root_certificate_pem`](crate::TokenProviderBuilder::root_certificate_pem)
    /// differs: for calls to Courier it adds an authority to the system's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when it is not PEM, or the URL does not begin with `rediss://`.
    pub fn only_root_certificate_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let source = self.links.source().trusting(pem.as_ref())?;
        Ok(Self {
            links: Links::new(source),
            ..self
        })
    }

    fn from_source(source: Source) -> Self {
        Self {
            prefix: DEFAULT_PREFIX.into(),
            links: Links::new(source),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, SharedCacheError> {
        let value = self.links.run(command).await;
        value
            .and_then(|value| Ok(redis::from_redis_value(value)?))
            .map_err(|error| self.links.source().describe(&error))
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, SharedCacheError> {
        // Not `GET`: whoever can write to Redis could fill the memory of every replica with it.
        let mut command = command("GETRANGE", &self.key(key));
        command.arg(0).arg(MAX_VALUE_BYTES);
        match self.links.run(&command).await {
            // Empty is what is not there, and none of ours.
            Ok(value) => redis::from_redis_value(value)
                .map(|value: Vec<u8>| (!value.is_empty()).then_some(value))
                .map_err(|error| self.links.source().describe(&error.into())),
            // Something that is not ours, and no string: no more a failure of Redis than a string
            // that is not ours.
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(Some(Vec::new())),
            Err(error) => Err(self.links.source().describe(&error)),
        }
    }

    fn address(&self) -> Option<String> {
        Some(self.links.source().place())
    }

    async fn ttl(&self, key: &str) -> Result<Option<Duration>, SharedCacheError> {
        let left: i64 = self.run(&command("PTTL", &self.key(key))).await?;
        Ok(match left {
            KEPT_FOR_EVER => None,
            left => Some(Duration::from_millis(left.try_into().unwrap_or_default())),
        })
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), SharedCacheError> {
        let mut command = command("SET", &self.key(key));
        command.arg(value).arg("PX").arg(milliseconds(ttl));
        self.run(&command).await
    }

    async fn delete(&self, key: &str) -> Result<(), SharedCacheError> {
        self.run(&command("DEL", &self.key(key))).await
    }

    async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<bool, SharedCacheError> {
        let mut command = command("SET", &self.key(name));
        command
            .arg(owner)
            .arg("NX")
            .arg("PX")
            .arg(milliseconds(ttl));
        // OK, or nothing if the key is there.
        let taken: Option<String> = self.run(&command).await?;
        Ok(taken.is_some())
    }

    async fn unlock(&self, name: &str, owner: &str) -> Result<(), SharedCacheError> {
        let mut command = redis::cmd("EVAL");
        command
            .arg(DELETE_IF_OURS)
            .arg(1)
            .arg(self.key(name))
            .arg(owner);
        self.run(&command).await
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("address", &self.links.source().address())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn command(name: &str, key: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    command
}

/// At least one: Redis refuses none.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn connection_info(url: &str) -> Result<ConnectionInfo, Error> {
    if is_quoted(url) {
        return Err(configuration(
            "the Redis URL has quotes around it, which are not part of it",
        ));
    }
    // What the parser says is left out of the message: it may quote the password.
    let info = url.into_connection_info().map_err(|_| {
        configuration(
            "the Redis URL is malformed: it must look like \
             rediss://user:password@redis.example:6379/0, with a percent sign and two hex digits \
             for special characters in the password",
        )
    })?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err(configuration(
            "the Redis URL says `#insecure`, which would accept every certificate: name the \
             authority with `only_root_certificate_pem` instead",
        ));
    }
    // Nothing here needs `?protocol=resp3`, whose `HELLO` carries the password: of a server that does
    // not know it, as Redis 5, and quotes it, redis itself repeats the words in a log.
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP2);
    Ok(info.set_redis_settings(settings))
}

fn configuration(message: &'static str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

const DEFAULT_PREFIX: &str = "courier-auth";
/// What `PTTL` answers of a key that nothing will end. Of one that is not there it is -2.
const KEPT_FOR_EVER: i64 = -1;
/// Whoever held the lock longer than it lasts must not end that of the next.
const DELETE_IF_OURS: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

#[cfg(test)]
mod tests;
