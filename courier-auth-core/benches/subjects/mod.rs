//! What is measured, and what it is measured against: all of them hold the same users.

use std::{future::Future, time::Duration};

use courier_auth_core::{
    Token, TokenProvider, TokenRequest,
    emulator::{Emulator, EmulatorServer},
    endpoint::{Call, Endpoint, Reply},
};
use futures_util::{FutureExt, future::join_all};
use tokio::runtime::Runtime;

pub(crate) const USERS: usize = 10_000;

/// A provider whose cache holds a fresh token of every user, and other caches with the same.
pub(crate) struct Subjects {
    pub(crate) endpoint: Endpoint,
    pub(crate) call: Call,
    pub(crate) names: Vec<String>,
    pub(crate) moka: moka::future::Cache<String, std::sync::Arc<str>>,
    pub(crate) quick: quick_cache::sync::Cache<String, std::sync::Arc<str>>,
    _courier: EmulatorServer,
    _runtime: Runtime,
}

impl Subjects {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let courier = runtime.block_on(Emulator::start()).expect("an emulator");
        let provider = {
            let _entered = runtime.enter();
            TokenProvider::builder(courier.api_key())
                .base_url(courier.url())
                // Shards fill unevenly: with just enough room a few would be evicted.
                .max_users(2 * USERS)
                .build()
                .expect("a provider")
        };
        let names: Vec<String> = (0..USERS).map(|n| format!("user-{n:06}")).collect();
        let requests: Vec<TokenRequest> = names.iter().map(TokenRequest::for_user).collect();
        let moka = moka::future::Cache::builder()
            .max_capacity(2 * USERS as u64)
            .time_to_live(Duration::from_secs(3600))
            .build();
        let quick = quick_cache::sync::Cache::new(2 * USERS);
        runtime.block_on(async {
            for (names, requests) in names.chunks(100).zip(requests.chunks(100)) {
                let tokens = join_all(requests.iter().map(|one| provider.token(one))).await;
                for (name, token) in names.iter().zip(tokens) {
                    let token = token.expect("a token");
                    moka.insert(name.clone(), token.as_str().into()).await;
                    quick.insert(name.clone(), token.as_str().into());
                }
            }
            moka.run_pending_tasks().await;
        });
        assert_eq!(provider.status().users, USERS);
        let endpoint = Endpoint::new(provider);
        Self {
            call: endpoint.accept("GET", None, []).expect("an accepted call"),
            endpoint,
            names,
            moka,
            quick,
            _courier: courier,
            _runtime: runtime,
        }
    }

    /// What somebody asks with about a user.
    pub(crate) fn asked(&self, user: usize) -> Asked {
        let name = self.names[user].clone();
        Asked {
            request: TokenRequest::for_user(&name),
            name,
        }
    }

    pub(crate) fn token(&self, asked: &Asked) -> Token {
        now(self.endpoint.provider().token(&asked.request)).expect("a token")
    }

    pub(crate) fn reply(&self, asked: &Asked) -> Reply {
        now(self.endpoint.reply(&self.call, Some(asked.request.clone())))
    }

    pub(crate) fn moka(&self, asked: &Asked) -> Option<std::sync::Arc<str>> {
        now(self.moka.get(&*asked.name))
    }

    pub(crate) fn quick(&self, asked: &Asked) -> Option<std::sync::Arc<str>> {
        self.quick.get(&*asked.name)
    }
}

/// Made just before it is used, as by a handler that has just learnt who is signed in: what a look
/// finds far away in memory is what is cached, and not what it asks with.
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) request: TokenRequest,
}

/// All users once, in an order that no cache can foresee.
pub(crate) fn shuffled() -> Vec<usize> {
    let mut users: Vec<usize> = (0..USERS).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut users);
    users
}

/// Nothing that is measured waits for anything.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("no waiting")
}
