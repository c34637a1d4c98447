#[cfg(feature = "shared-cache")]
mod shared;

use std::{
    fmt,
    future::ready,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::runtime::Handle;

use crate::{
    cache::{Status, Timed, TokenCache, Wish, clock::Clock},
    client::{CourierClient, CourierClientBuilder, Region, default_terms},
    error::{Error, ErrorKind},
    metrics,
    request::{Terms, TokenRequest, UserId, Wanted, check_lifetime},
    scope::{Scope, Scopes},
    token::{Token, TokenId},
};

/// Hands out Courier tokens: has one issued when needed, caches it, and refreshes it before it
/// expires.
///
/// Make one per Courier workspace and share it; clones are cheap and share the cache. Callers cache
/// nothing themselves. However many ask for the same user at once, Courier is called once, and the
/// call goes on even if they all hang up. While Courier is down, cached tokens are served until 30
/// seconds before they expire (less for lifetimes under ten minutes).
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
    /// environment, as Courier's own SDKs do. To change other settings as well, use
    /// [`TokenProviderBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// As [`TokenProviderBuilder::build`], and when `COURIER_API_KEY` is not set.
    pub fn from_env() -> Result<Self, Error> {
        TokenProviderBuilder::from_env()?.build()
    }

    /// Starts building a provider with the workspace's API key.
    pub fn builder(api_key: impl Into<String>) -> TokenProviderBuilder {
        TokenProviderBuilder::new(CourierClient::builder(api_key))
    }

    /// The user's token: from the cache while it is fresh, from Courier otherwise.
    ///
    /// Waits at most five seconds.
    ///
    /// # Errors
    ///
    /// When the request is malformed, or Courier issues no token and there is no usable one in the
    /// cache.
    pub async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        self.get(request, Wish::Any).await
    }

    /// Returns a newer token than the one the caller holds, if a refresh is due and succeeds;
    /// otherwise the cached token.
    ///
    /// Compare [`Token::id`] to see which. A token that is fresh is not refreshed, so this may be
    /// called as often as a browser asks.
    ///
    /// ```
    /// # use courier_auth_core::{Error, Token, TokenProvider, TokenRequest};
    /// # async fn example(provider: TokenProvider, held: Token) -> Result<(), Error> {
    /// let next = provider.refresh(&TokenRequest::for_user("user-1"), &held.id()).await?;
    /// if next.id() != held.id() {
    ///     // Go on with `next`. Otherwise with `held`, and come back after `held.refresh_in()`.
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn refresh(&self, request: &TokenRequest, held: &TokenId) -> Result<Token, Error> {
        self.get(request, Wish::Newer(*held)).await
    }

    /// Returns a replacement for a token that Courier refused, if a call to Courier seems worth it;
    /// otherwise the cached token.
    ///
    /// Courier is called only if the refused token is the cached one and at least ten seconds old,
    /// and there were fewer than three such calls for the user in the last five minutes, none of
    /// them in the last 30 seconds. Each replica counts for itself; one that has no token of the user's
    /// gets one, as [`token`](Self::token) does.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn reject(&self, request: &TokenRequest, refused: &TokenId) -> Result<Token, Error> {
        self.get(request, Wish::Other(*refused)).await
    }

    /// Forgets the tokens of a user (a [`UserId`], a string or an integer), on sign-out for example.
    ///
    /// This revokes nothing: Courier cannot revoke tokens, and one that a browser holds works until
    /// it expires. End the app's own session first, or the page will fetch a new token at once.
    /// Tokens already in a shared cache are no longer taken from it; a replica that holds one may
    /// hand it out until a refresh is due.
    ///
    /// An id that is not valid is ignored: there can be no token for it.
    pub fn invalidate<U>(&self, user_id: U)
    where
        U: TryInto<UserId>,
        Error: From<U::Error>,
    {
        if let Ok(user_id) = user_id.try_into() {
            self.0.cache.invalidate(user_id.as_str());
        }
    }

    /// Uses another API key from now on. Cached tokens are kept, also those in a shared cache, which
    /// is read with both keys and written with the new one. If Courier refuses the old key while
    /// callers are waiting, the call is repeated with the new one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when it cannot be an API key; the old one stays in use.
    pub fn set_api_key(&self, api_key: impl Into<String>) -> Result<(), Error> {
        self.0.cache.set_api_key(api_key.into())
    }

    /// How the provider is doing, for a health page. A snapshot: it makes no calls and never waits.
    ///
    /// ```
    /// # use courier_auth_core::{Error, TokenProvider};
    /// # fn example(provider: TokenProvider) {
    /// let status = provider.status();
    /// if status.api_key_refused {
    ///     let error = status.last_error.as_ref().map(Error::to_string);
    ///     eprintln!("a person must look at the API key: {}", error.unwrap_or_default());
    /// }
    /// # }
    /// ```
    pub fn status(&self) -> Status {
        self.0.cache.status()
    }

    /// Where the workspace lives.
    pub fn region(&self) -> Region {
        self.0.settings.region()
    }

    /// A client for calls to Courier other than issuing tokens to users, such as
    /// [`CourierClient::mark_read`]. It shares the provider's settings and its API key, including
    /// one set later, but neither its cache nor its connections.
    pub fn client(&self) -> &CourierClient {
        // On first use: most apps never ask for it.
        let Inner {
            settings, client, ..
        } = &*self.0;
        client.get_or_init(|| settings.with_connections_of_its_own())
    }

    async fn get(&self, request: &TokenRequest, wish: Wish) -> Result<Token, Error> {
        self.0.cache.get(self.wanted(request)?, wish).await
    }

    /// A token, and what is left of its life.
    pub(crate) fn get_timed<'a>(&'a self, request: &'a TokenRequest, wish: Wish) -> Timed<'a> {
        match self.wanted(request) {
            Ok(wanted) => self.0.cache.get_timed(wanted, wish),
            Err(error) => Timed::Left(ready(Err(error))),
        }
    }

    fn wanted<'a>(&'a self, request: &'a TokenRequest) -> Result<Wanted<'a>, Error> {
        let wanted = request.wanted(&self.0.defaults);
        wanted.inspect_err(|error| metrics::failed(error.kind()))
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProvider")
            .field("region", &self.region())
            .field("defaults", &self.0.defaults)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`TokenProvider`].
///
/// ```no_run
/// use std::time::Duration;
/// use courier_auth_core::{Region, Scope, TokenProviderBuilder};
///
/// # fn main() -> Result<(), courier_auth_core::Error> {
/// let provider = TokenProviderBuilder::from_env()? // or `TokenProvider::builder(api_key)`
///     .region(Region::Eu)
///     .scopes(Scope::RECOMMENDED)
///     .lifetime(Duration::from_secs(15 * 60))
///     .max_users(50_000)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct TokenProviderBuilder {
    client: CourierClientBuilder,
    scopes: Option<Result<Scopes, Error>>,
    lifetime: Option<Duration>,
    max_users: usize,
    runtime: Option<Handle>,
    #[cfg(feature = "shared-cache")]
    shared: shared::SharedSettings,
}

impl TokenProviderBuilder {
    /// A builder that takes `COURIER_API_KEY` and, if set, `COURIER_BASE_URL` from the
    /// environment; everything else is set in code.
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
            shared: shared::SharedSettings::default(),
        }
    }

    /// Where the workspace lives. Default: the US, or the EU if the base URL is Courier's there.
    pub fn region(mut self, region: Region) -> Self {
        self.client = self.client.region(region);
        self
    }

    /// Another address for Courier's REST API, e.g. an emulator or your own gateway. Default: the
    /// region's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.client = self.client.base_url(url);
        self
    }

    /// Another address for Courier's inbox API, with its path. Only [`CourierClient::mark_read`] uses
    /// it. Default: the region's, or none if the base URL is not Courier's.
    pub fn inbox_url(mut self, url: impl Into<String>) -> Self {
        self.client = self.client.inbox_url(url);
        self
    }

    /// Allows `http://` to other machines, so that the API key crosses the network unprotected.
    /// `http://` to loopback is always allowed. Default: off.
    pub fn danger_allow_http(mut self, allow: bool) -> Self {
        self.client = self.client.danger_allow_http(allow);
        self
    }

    /// Trusts one more certificate authority (PEM), e.g. that of a TLS-inspecting proxy, in addition
    /// to the system's. Can be called several times.
    pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client = self.client.root_certificate_pem(pem);
        self
    }

    /// What tokens may do unless a request says otherwise. Default: [`Scope::MINIMAL`].
    pub fn scopes(mut self, scopes: impl IntoIterator<Item: Into<Scope>>) -> Self {
        self.scopes = Some(Scopes::new(scopes));
        self
    }

    /// How long tokens live unless a request says otherwise, from 10 seconds to ten years, in
    /// whole seconds. Default: one hour.
    ///
    /// Tokens cannot be revoked, so shorter is safer. But a cached token is also what carries users
    /// through an outage: those who come back often ride out almost a fifth of the lifetime (at most
    /// an hour).
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How many users are cached; beyond that, users who have not been seen for a long time are
    /// evicted. Default: 10,000, which takes some 7 MB.
    pub fn max_users(mut self, max_users: usize) -> Self {
        self.max_users = max_users;
        self
    }

    /// The Tokio runtime on which Courier is called. Default: the one in which
    /// [`build`](Self::build) is called, or else the first caller's.
    ///
    /// It needs timers and I/O (`enable_all`) and should live as long as the provider. If it shuts
    /// down or stops making progress, the next caller's takes over. Callers wait with the timers of
    /// their own runtime; only a caller without one, which cannot take over, depends on this one's.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
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
                "`max_users` must be at least 1",
            ));
        }
        let fallback = default_terms()?;
        let defaults = Terms {
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
            settings: client.clone(),
            client: OnceLock::new(),
            defaults,
            cache: TokenCache::new(Arc::new(client), peers, self.max_users, runtime, clock),
        })))
    }
}

struct Inner {
    cache: TokenCache,
    defaults: Terms,
    settings: CourierClient,
    client: OnceLock<CourierClient>,
}

const DEFAULT_MAX_USERS: usize = 10_000;
