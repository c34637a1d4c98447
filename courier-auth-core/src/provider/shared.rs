//! What the builder is told about the shared cache.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::TokenProviderBuilder;
use crate::{
    cache::{clock::Clock, peers::Peers},
    client::{CourierClient, check_api_key},
    error::{Error, ErrorKind},
    shared::{MAX_PREVIOUS, Rings, SharedCache, SharedTokens},
};

/// Many replicas, one cache.
#[cfg_attr(docsrs, doc(cfg(feature = "shared-cache")))]
impl TokenProviderBuilder {
    /// Shares tokens with the other replicas of the app through a store that all of them can reach,
    /// e.g. `RedisCache`. Default: none, each replica has only its own cache.
    ///
    /// It is read before Courier is called, and only when a token is missing or due for a refresh.
    /// Its contents are encrypted. When it is slow or down, tokens come from Courier as if there
    /// were no shared cache.
    pub fn shared_cache(mut self, cache: impl SharedCache) -> Self {
        self.shared.cache = Some(Arc::new(cache));
        self
    }

    /// Encrypts what is in the shared cache with this key (32 random bytes, the same in all
    /// replicas) instead of one derived from the API key. Default: the derived one.
    ///
    /// The shared cache is then unaffected by a change of the API key. When switching from the
    /// derived key, pass the API key to [`previous_api_key`](Self::previous_api_key) for a while.
    /// Do not use one key for two workspaces or environments of Courier: they would share their
    /// users' tokens.
    pub fn encryption_key(mut self, key: [u8; 32]) -> Self {
        self.shared.encryption_key = Some(SecretBox::new(Box::new(key)));
        self
    }

    /// Also reads what replicas with this earlier API key put into the shared cache; without it, a
    /// new key makes the cache start empty. It is never used to call Courier. Can be called up to
    /// four times. Default: none.
    ///
    /// An empty key is an error of [`build`](Self::build), like any other malformed key: if there is
    /// no previous key, do not call this.
    pub fn previous_api_key(mut self, api_key: impl Into<String>) -> Self {
        self.shared.previous_api_keys.push(api_key.into().into());
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct SharedSettings {
    cache: Option<Arc<dyn SharedCache>>,
    encryption_key: Option<SecretBox<[u8; 32]>>,
    previous_api_keys: Vec<SecretString>,
}

impl SharedSettings {
    pub(super) fn rings(&self, api_key: &SecretString) -> Result<Rings, Error> {
        if self.previous_api_keys.len() > MAX_PREVIOUS {
            return Err(Error::new(
                ErrorKind::Configuration,
                "there are more than four previous Courier API keys: each costs more reads per \
                 look-up, and one is needed for no longer than a token lives",
            ));
        }
        for key in &self.previous_api_keys {
            check_api_key(key, "the previous Courier API key")?;
        }
        let encryption_key = self
            .encryption_key
            .as_ref()
            .map(ExposeSecret::expose_secret);
        Ok(Rings::new(api_key, encryption_key, &self.previous_api_keys))
    }

    pub(super) fn peers(
        self,
        rings: Rings,
        client: &CourierClient,
        lifetime: Duration,
        clock: &Clock,
    ) -> Option<Arc<dyn Peers>> {
        let base_url = client.base_url().trim_end_matches('/').to_owned();
        Some(SharedTokens::new(
            self.cache?,
            rings,
            base_url,
            lifetime,
            clock.clone(),
        ))
    }
}
