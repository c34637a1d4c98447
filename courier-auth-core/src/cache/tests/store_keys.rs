//! New API keys and the store that replicas share.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{
    Courier, World, settle,
    store::{KEY, rings, shared_tokens},
};
use crate::{
    cache::{TokenCache, Wish, clock::Clock, upstream::Upstream},
    client::Region,
    error::Error,
    request::Grant,
    token::Issued,
};

/// Courier was called with the one key, and the store written with the other, which is the one that may
/// have leaked.
#[tokio::test(start_paused = true)]
async fn of_two_keys_at_once_one_is_used_for_everything() {
    let (world, store) = World::with_store(Duration::from_secs(3600));
    let (in_use, is_in_use) = mpsc::channel();
    let cache = TokenCache::new(
        Arc::new(Slow {
            courier: world.courier.clone(),
            in_use,
        }),
        Some(shared_tokens(
            &store,
            rings(KEY),
            world.lifetime,
            &world.clock,
        )),
        100,
        Handle::try_current().ok(),
        Clock::Manual(Arc::clone(&world.clock)),
    );
    thread::scope(|scope| {
        scope.spawn(|| cache.set_api_key("pk_slow".into()).unwrap());
        is_in_use.recv().unwrap();
        scope.spawn(|| cache.set_api_key("pk_new".into()).unwrap());
    });
    let grant = world.grant("alice");
    let token = cache.get(&grant, Wish::Any).await.unwrap();
    settle().await;
    let key = world.courier.api_key();
    let same = world.replica_with(&store, rings(&key));
    assert_eq!(same.get("alice").await.unwrap().id(), token.id(), "{key}");
}

/// On a machine that takes the thread away once a key is in use.
struct Slow {
    courier: Courier,
    in_use: mpsc::Sender<()>,
}

#[async_trait]
impl Upstream for Slow {
    async fn issue(&self, grant: &Grant) -> Result<Issued, Error> {
        self.courier.issue(grant).await
    }

    fn reconnected(&self) -> Arc<dyn Upstream> {
        self.courier.reconnected()
    }

    fn region(&self) -> Region {
        self.courier.region()
    }

    fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        let slow = api_key == "pk_slow";
        self.courier.set_api_key(api_key)?;
        if slow {
            self.in_use.send(()).unwrap();
            thread::sleep(Duration::from_millis(60));
        }
        Ok(())
    }
}
