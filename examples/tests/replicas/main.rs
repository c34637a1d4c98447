//! Three replicas of an app and one Redis: in a rolling deploy, and while Redis is away.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

#[cfg(feature = "redis")]
mod calls;
#[cfg(feature = "redis")]
mod driver;
#[cfg(feature = "redis")]
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../binaries/process.rs"]
mod process;
#[cfg(feature = "redis")]
mod scenario;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../../../courier-auth-core/tests/redis/server.rs"]
mod server;

#[cfg(not(feature = "redis"))]
#[test]
fn three_replicas_share_one_redis() {
    server::say(
        "left out: three replicas on one Redis, which need the examples' feature `redis`; \
         `bash .ci/redis` runs them",
    );
}
