use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "shared-cache")]
use secrecy::{ExposeSecret, SecretBox, SecretString};
use tokio::runtime::Handle;

#[cfg(feature = "shared-cache")]
use crate::{
    cache::peers::Peers,
    client::check_api_key,
    shared::{Rings, SharedCache, SharedTokens},
};
use crate::{
    cache::{Status, TokenCache, Wish, clock::Clock},
    client::{CourierClient, CourierClientBuilder, Region, default_grant},
    error::{Error, ErrorKind},
    request::{Defaults, TokenRequest, check_lifetime},
    scope::{Scope, Scopes},
    token::{Token, TokenId},
};

/// Hands out Courier tokens: issues one when it must, caches it, and refreshes it before it ends.
///
/// Make one per Courier workspace and share it; clones are cheap and share the cache. Callers cache
/// nothing themselves. However many ask for the same user at once, Courier is asked once, and the
/// call goes on when they all hang up. While Courier is down, tokens that are cached are served
/// until 30 seconds before they end (less for tokens of under ten minutes).
///
/// ```
/// # async fn example() -> Result<(), courier_auth_core::Error> {
/// use courier_auth_core::{TokenProvider, TokenRequest};
///
/// let provider = TokenProvider::from_env()?; // COURIER_API_KEY
/// let token = provider.token(&TokenRequest::for_user("user-1")).await?;
/// println!("expires in {} s", token.expires_in().as_secs());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenProvider(Arc<Inner>);

impl TokenProvider {
    /// A provider that takes `COURIER_API_KEY` and, if set, `COURIER_BASE_URL` from the
    /// environment, as Courier's own SDKs do.
    ///
    /// # Errors
    ///
    /// As [`TokenProviderBuilder::build`], and when `COURIER_API_KEY` is not set.
    pub fn from_env() -> Result<Self, Error> {
        TokenProviderBuilder::from_env()?.build()
    }

    /// Begins a provider with the workspace's API key.
    pub fn builder(api_key: impl Into<String>) -> TokenProviderBuilder {
        TokenProviderBuilder::new(CourierClient::builder(api_key))
    }

    /// The user's token: from the cache while it is fresh, from Courier otherwise.
    ///
    /// Waits at most five seconds.
    ///
    /// # Errors
    ///
    /// When the request is malformed, or Courier issues no token and none is cached that could
    /// still be used.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.get(request, Wish::Any).await
    }

    /// A newer token than the one the caller holds, if one can be had or is due; otherwise the
    /// same one.
    ///
    /// Compare [`Token::id`] to see which. A token that is fresh is not refreshed, so this may be
    /// called as often as a browser asks.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn refresh(&self, request: &TokenRequest, held: &TokenId) -> Result<Token, Error> {
        self.get(request, Wish::Newer(*held)).await
    }

    /// Another token than the one that Courier refused, if a call to Courier seems worth it;
    /// otherwise the same one.
    ///
    /// Courier is asked only if the refused token is the cached one, at least ten seconds old, and
    /// there were fewer than three such calls for the user in five minutes, the last one at least
    /// 30 seconds ago.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn reject(&self, request: &TokenRequest, refused: &TokenId) -> Result<Token, Error> {
        self.get(request, Wish::Other(*refused)).await
    }

    /// Forgets a user's tokens, on sign-out for example.
    ///
    /// It revokes nothing: Courier has no way to, and a token that a browser has works until it
    /// expires. Tokens in a shared cache that were issued before are no longer taken from it; a
    /// replica that has one already may hand it out until it ages.
    pub fn invalidate(&self, user_id: impl AsRef<str>) {
        self.0.cache.invalidate(user_id.as_ref());
    }

    /// Uses another API key from now on. Cached tokens stay, those in a shared cache as well: it is
    /// read with both keys and written with the new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when it cannot be an API key; the old one stays in use.
    pub fn set_api_key(&self, api_key: impl Into<String>) -> Result<(), Error> {
        self.0.cache.set_api_key(api_key.into())
    }

    /// How the provider is doing, for a health page.
    pub fn status(&self) -> Status {
        self.0.cache.status()
    }

    /// Where the workspace lives.
    pub fn region(&self) -> Region {
        self.0.region
    }

    async fn get(&self, request: &TokenRequest, wish: Wish) -> Result<Token, Error> {
        let grant = request.grant(&self.0.defaults)?;
        self.0.cache.get(&grant, wish).await
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProvider")
            .field("region", &self.0.region)
            .field("defaults", &self.0.defaults)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`TokenProvider`].
#[derive(Debug)]
#[must_use]
pub struct TokenProviderBuilder {
    client: CourierClientBuilder,
    scopes: Option<Result<Scopes, Error>>,
    lifetime: Option<Duration>,
    max_users: usize,
    runtime: Option<Handle>,
    #[cfg(feature = "shared-cache")]
    shared: SharedSettings,
}

impl TokenProviderBuilder {
    /// A builder that takes `COURIER_API_KEY` and, if set, `COURIER_BASE_URL` from the
    /// environment, for the rest to be set in code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when `COURIER_API_KEY` is not set.
    pub fn from_env() -> Result<Self, Error> {
        CourierClientBuilder::from_env().map(Self::new)
    }

    fn new(client: CourierClientBuilder) -> Self {
        Self {
            client,
            scopes: None,
            lifetime: None,
            max_users: DEFAULT_MAX_USERS,
            runtime: None,
            #[cfg(feature = "shared-cache")]
            shared: SharedSettings::default(),
        }
    }

    /// Where the workspace lives. Default: the US, or the EU if the base URL is Courier's there.
    pub fn region(mut self, region: Region) -> Self {
        self.client = self.client.region(region);
        self
    }

    /// Another address of Courier's REST API, e.g. an emulator or a gateway of yours. Default: the
    /// region's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.client = self.client.base_url(url);
        self
    }

    /// Allows `http://` to other machines. The API key then crosses the network unprotected; to
    /// loopback `http://` is always allowed. Default: off.
    pub fn danger_allow_http(mut self, allow: bool) -> Self {
        self.client = self.client.danger_allow_http(allow);
        self
    }

    /// Trusts one more certificate authority (PEM), e.g. that of a TLS-inspecting proxy, beside
    /// those of the system. Can be called several times.
    pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client = self.client.root_certificate_pem(pem);
        self
    }

    /// What tokens may do unless a request says otherwise. Default: [`Scope::MINIMAL`].
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// How long tokens live unless a request says otherwise, from 10 seconds to ten years, in
    /// whole seconds. Default: one hour.
    ///
    /// Tokens cannot be revoked, which speaks for short ones. Users who come back often, so that
    /// theirs are refreshed in time, do not notice an outage of Courier of nearly a fifth of the
    /// lifetime (an hour at most), which speaks against.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How many users are cached; beyond that those that were not seen for long make room.
    /// Default: 10,000, which takes some 10 MB.
    pub fn max_users(mut self, max_users: usize) -> Self {
        self.max_users = max_users;
        self
    }

    /// The Tokio runtime on which Courier is asked. Default: the one in which
    /// [`build`](Self::build) is called, or else that of the first caller.
    ///
    /// It needs timers and I/O (`enable_all`) and should live as long as the provider. If it goes
    /// away or stands still, the next caller's takes over.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Shares tokens with the other replicas of the app through a store that all reach, e.g.
    /// `RedisCache`. Default: each replica has its own.
    ///
    /// It is asked only when a token is missing or ages, and before Courier is. What is in it is
    /// encrypted. When it is slow or down, tokens come from Courier as if there were none.
    #[cfg(feature = "shared-cache")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shared-cache")))]
    pub fn shared_cache(mut self, cache: impl SharedCache) -> Self {
        self.shared.cache = Some(Arc::new(cache));
        self
    }

    /// Encrypts what is in the shared cache with this key (32 random bytes, the same in all
    /// replicas) rather than with one that follows from the API key. Default: the latter.
    ///
    /// Then a change of the API key changes nothing in the shared cache. Do not use one key for
    /// two workspaces or environments of Courier: they would share their users' tokens.
    #[cfg(feature = "shared-cache")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shared-cache")))]
    pub fn encryption_key(mut self, key: [u8; 32]) -> Self {
        self.shared.encryption_key = Some(SecretBox::new(Box::new(key)));
        self
    }

    /// Reads what replicas with this API key, which the present one replaces, put into the shared
    /// cache: without it a new key empties the cache. Nothing is asked of Courier with it. Can be
    /// called several times; the last four count. Default: none.
    #[cfg(feature = "shared-cache")]
    #[cfg_attr(docsrs, doc(cfg(feature = "shared-cache")))]
    pub fn previous_api_key(mut self, api_key: impl Into<String>) -> Self {
        self.shared.previous_api_keys.push(api_key.into().into());
        self
    }

    /// Builds the provider. Needs no runtime and opens no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] or [`ErrorKind::InvalidInput`] when a setting is malformed.
    pub fn build(self) -> Result<TokenProvider, Error> {
        if self.max_users == 0 {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a cache for no users would ask Courier for every request: `max_users` must be at \
                 least 1",
            ));
        }
        let fallback = default_grant()?;
        let defaults = Defaults {
            scopes: self.scopes.unwrap_or(Ok(fallback.scopes))?,
            lifetime: check_lifetime(self.lifetime.unwrap_or(fallback.lifetime))?,
        };
        #[cfg(feature = "shared-cache")]
        let rings = self.shared.rings(self.client.api_key())?;
        let client = self.client.build()?;
        let runtime = self.runtime.or_else(|| Handle::try_current().ok());
        let clock = Clock::default();
        #[cfg(feature = "shared-cache")]
        let peers = self.shared.peers(rings, &client, defaults.lifetime, &clock);
        #[cfg(not(feature = "shared-cache"))]
        let peers = None;
        Ok(TokenProvider(Arc::new(Inner {
            region: client.region(),
            defaults,
            cache: TokenCache::new(Arc::new(client), peers, self.max_users, runtime, clock),
        })))
    }
}

struct Inner {
    cache: TokenCache,
    defaults: Defaults,
    region: Region,
}

/// What the builder is told about the shared cache.
#[cfg(feature = "shared-cache")]
#[derive(Debug, Default)]
struct SharedSettings {
    cache: Option<Arc<dyn SharedCache>>,
    encryption_key: Option<SecretBox<[u8; 32]>>,
    previous_api_keys: Vec<SecretString>,
}

#[cfg(feature = "shared-cache")]
impl SharedSettings {
    fn rings(&self, api_key: &SecretString) -> Result<Rings, Error> {
        for key in &self.previous_api_keys {
            check_api_key(key, "the previous Courier API key")?;
        }
        let encryption_key = self
            .encryption_key
            .as_ref()
            .map(ExposeSecret::expose_secret);
        Ok(Rings::new(api_key, encryption_key, &self.previous_api_keys))
    }

    fn peers(
        self,
        rings: Rings,
        client: &CourierClient,
        lifetime: Duration,
        clock: &Clock,
    ) -> Option<Arc<dyn Peers>> {
        let base_url = client.base_url().to_owned();
        Some(Arc::new(SharedTokens::new(
            self.cache?,
            rings,
            base_url,
            lifetime,
            clock.clone(),
        )))
    }
}

const DEFAULT_MAX_USERS: usize = 10_000;
