//! What is under our keys and is not ours.

use courier_auth_core::{TokenProvider, emulator::EmulatorServer};

use crate::{
    control::eventually,
    for_each_server,
    replica::{counts, courier, finds, replica, token, users},
    server::{Kind, Server},
};

for_each_server!(
    garbage_is_a_miss,
    a_huge_value_does_not_leave_the_server,
    what_was_changed_is_a_miss,
    another_type_is_a_miss,
    the_token_of_another_user_is_never_served,
    the_value_of_another_app_is_a_miss,
    an_old_value_that_is_put_back_is_a_miss,
);

async fn garbage_is_a_miss(kind: Kind) {
    let world = World::new(kind).await;
    let long = "x".repeat(1024 * 1024);
    for garbage in ["\u{1}", "hello", r#"{"token":"eyJ"}"#, &long] {
        world.is_a_miss(garbage.as_bytes()).await;
    }
    // Redis does not tell an empty value from none: a miss too, but nothing to be counted.
    world.put(b"").await;
    let before = world.courier.token_requests();
    let replica = world.replica();
    token(&world.courier, &replica, USER).await;
    assert_eq!(world.courier.token_requests(), before + 1);
    let counts = counts(&replica);
    assert_eq!((counts.poisoned, counts.errors), (0, 0), "{counts:?}");
    world.is_healed(b"").await;
}

/// A few of those would fill the memory of every replica.
async fn a_huge_value_does_not_leave_the_server(kind: Kind) {
    const HUGE: usize = 32 * 1024 * 1024;
    let world = World::new(kind).await;
    let sent = async || -> usize {
        let info: String = world.redis.ask(&["INFO", "stats"]).await;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.unwrap().parse().unwrap()
    };
    world.put(&vec![b'x'; HUGE]).await;
    let before = sent().await;
    let replica = world.replica();
    token(&world.courier, &replica, USER).await;
    eventually(async || counts(&replica).poisoned + counts(&replica).errors > 0).await;
    assert!(sent().await - before < HUGE / 32);
}

async fn what_was_changed_is_a_miss(kind: Kind) {
    let world = World::new(kind).await;
    let good = world.redis.value(&world.key).await;
    for position in [0, 1, 5, 29, good.len() / 2, good.len() - 1] {
        let mut changed = world.redis.value(&world.key).await;
        changed[position] ^= 1;
        world.is_a_miss(&changed).await;
    }
    let good = world.redis.value(&world.key).await;
    for length in [1, 5, 29, good.len() - 1] {
        world.is_a_miss(&good[..length]).await;
    }
    world.is_a_miss(&[&good[..], b"x"].concat()).await;
}

/// Redis answers `WRONGTYPE`, which says nothing against Redis.
async fn another_type_is_a_miss(kind: Kind) {
    let world = World::new(kind).await;
    let _one: u64 = world.redis.ask(&["DEL", &world.key]).await;
    let _one: u64 = world.redis.ask(&["LPUSH", &world.key, "x"]).await;
    let before = world.courier.token_requests();
    let replica = world.replica();
    token(&world.courier, &replica, USER).await;
    assert_eq!(world.courier.token_requests(), before + 1);
    let counts = counts(&replica);
    assert_eq!((counts.poisoned, counts.errors), (1, 0), "{counts:?}");
    eventually(async || world.redis.ask::<String>(&["TYPE", &world.key]).await == "string").await;
    world.is_healed(b"").await;
}

async fn the_token_of_another_user_is_never_served(kind: Kind) {
    let world = World::new(kind).await;
    token(&world.courier, &world.replica(), "mallory").await;
    eventually(async || world.redis.keys().await.len() == 2).await;
    let keys = world.redis.keys().await;
    let other = keys.iter().find(|key| **key != world.key).unwrap();
    // `is_a_miss` checks whose the token is that is served.
    world.is_a_miss(&world.redis.value(other).await).await;
}

async fn the_value_of_another_app_is_a_miss(kind: Kind) {
    let world = World::new(kind).await;
    let theirs = courier().await;
    let redis = Server::start(kind, &[]).await;
    let strangers = TokenProvider::builder(theirs.api_key())
        .base_url(theirs.url())
        .encryption_key([7; 32])
        .shared_cache(courier_auth_core::RedisCache::new(redis.url()).unwrap())
        .build()
        .unwrap();
    token(&theirs, &strangers, USER).await;
    eventually(async || redis.keys().await.len() == 1).await;
    let foreign = redis.value(&redis.keys().await[0]).await;
    world.is_a_miss(&foreign).await;
}

/// By somebody who wants an invalidated user to have it.
async fn an_old_value_that_is_put_back_is_a_miss(kind: Kind) {
    let world = World::new(kind).await;
    let old = world.redis.value(&world.key).await;
    let replica = world.replica();
    let before = token(&world.courier, &replica, USER).await;
    replica.invalidate(USER);
    eventually(async || world.redis.keys().await.len() == 2).await;
    let replica = world.replica();
    let after = token(&world.courier, &replica, USER).await;
    assert_ne!(before.id(), after.id());
    eventually(async || world.redis.value(&world.key).await != old).await;
    world.put(&old).await;
    let other = world.replica();
    assert_ne!(token(&world.courier, &other, USER).await.id(), before.id());
}

/// A user's token is in the cache.
struct World {
    courier: EmulatorServer,
    redis: Server,
    key: String,
}

impl World {
    async fn new(kind: Kind) -> Self {
        let (courier, redis) = (courier().await, Server::start(kind, &[]).await);
        token(&courier, &replica(&courier, &redis.url()), USER).await;
        eventually(async || redis.keys().await.len() == 1).await;
        let key = redis.keys().await.remove(0);
        Self {
            courier,
            redis,
            key,
        }
    }

    fn replica(&self) -> TokenProvider {
        replica(&self.courier, &self.redis.url())
    }

    async fn put(&self, value: &[u8]) {
        let mut connection = self.redis.connect().await;
        let mut set = ::redis::cmd("SET");
        set.arg(&self.key).arg(value).arg("PX").arg(60_000);
        let _ok: String = set.query_async(&mut connection).await.unwrap();
    }

    /// With this value there, the user gets a good token with one call to Courier, which then is
    /// what is there.
    async fn is_a_miss(&self, value: &[u8]) {
        loop {
            self.put(value).await;
            let before = self.courier.token_requests();
            let replica = self.replica();
            token(&self.courier, &replica, USER).await;
            assert_eq!(self.courier.token_requests(), before + 1);
            self.is_healed(value).await;
            let counts = counts(&replica);
            // The machine was too busy: the value was not seen.
            if counts.errors > 0 && counts.poisoned == 0 {
                continue;
            }
            assert_eq!((counts.poisoned, counts.hits), (1, 0), "{counts:?}");
            return;
        }
    }

    /// The replica that found it has put something better in its place.
    async fn is_healed(&self, poison: &[u8]) {
        eventually(async || {
            let value = self.redis.value(&self.key).await;
            !value.is_empty() && value != poison
        })
        .await;
        finds(&self.courier, || self.replica(), &users("user", 1)).await;
    }
}

const USER: &str = "user-0";
