//! Replicas that share their tokens on real servers of Redis and Valkey, which the tests start on
//! loopback, and all that can go wrong with these.
//!
//! What is not installed is left out, which is said. `bash .ci/redis` installs it and runs these.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

#[cfg(feature = "redis-cluster")]
mod access;
#[cfg(feature = "redis-cluster")]
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../tls/certificate.rs"]
mod certificate;
#[cfg(feature = "redis-cluster")]
mod cluster;
#[cfg(feature = "redis-cluster")]
mod control;
#[cfg(feature = "redis-cluster")]
mod faults;
#[cfg(feature = "redis-cluster")]
mod life;
#[cfg(feature = "redis-cluster")]
mod lock;
#[cfg(feature = "redis-cluster")]
mod on_cluster;
#[cfg(feature = "redis-cluster")]
mod poison;
#[cfg(feature = "redis-cluster")]
mod proxy;
#[cfg(feature = "redis-cluster")]
mod replica;
#[cfg(feature = "redis-cluster")]
mod rotation;
#[cfg_attr(
    not(feature = "redis-cluster"),
    expect(dead_code, reason = "there is nothing to start one for")
)]
mod server;
#[cfg(feature = "redis-cluster")]
mod sharing;
#[cfg(feature = "redis-cluster")]
mod tls;

/// Writes a test function for each kind of server.
#[cfg(feature = "redis-cluster")]
macro_rules! for_each_server {
    ($($test:ident),+ $(,)?) => {
        mod redis {
            $(#[tokio::test]
            async fn $test() {
                if crate::server::Kind::Redis.is_there() {
                    super::$test(crate::server::Kind::Redis).await;
                }
            })+
        }

        mod valkey {
            $(#[tokio::test]
            async fn $test() {
                if crate::server::Kind::Valkey.is_there() {
                    super::$test(crate::server::Kind::Valkey).await;
                }
            })+
        }
    };
}
#[cfg(feature = "redis-cluster")]
pub(crate) use for_each_server;

#[cfg(not(feature = "redis-cluster"))]
#[test]
fn a_cache_that_replicas_share() {
    server::say(
        "left out: tests with Redis and Valkey, which need the feature `redis-cluster`; \
         `bash .ci/redis` runs them",
    );
}
