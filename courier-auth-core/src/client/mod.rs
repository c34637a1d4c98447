mod answer;
mod api_key;
mod builder;
mod inbox;
mod loopback;
mod probe;
mod region;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Response, Url, header::AUTHORIZATION};
use serde::Serialize;

use self::{
    answer::{Answer, Asked, transport_error},
    api_key::{API_KEY_NAME, ApiKey},
    builder::{Connections, Settings},
};
use crate::{
    cache::{clock::Clock, upstream::Upstream},
    error::{Error, ErrorKind},
    request::{Grant, Terms, TokenRequest},
    retry::with_retries,
    scope::{Scope, Scopes},
    token::{Issued, Token},
};

#[cfg(feature = "shared-cache")]
pub(crate) use self::api_key::check_api_key;
#[cfg(feature = "redis")]
pub(crate) use self::api_key::is_quoted;
pub use self::{builder::CourierClientBuilder, probe::Probe, region::Region};

/// Courier's HTTP API, one method per call, without a cache.
///
/// Most apps want [`TokenProvider`](crate::TokenProvider), which calls this as rarely as it can. Clones
/// share one connection pool. A call is tried up to three times, two seconds each, when Courier is
/// unreachable or answers 408, 409, 429 or 5xx (or says `x-should-retry`); redirects are not
/// followed; the system's proxy settings are respected, except for loopback addresses.
#[derive(Clone)]
pub struct CourierClient {
    connections: Connections,
    settings: Arc<Settings>,
    api_key: Arc<RwLock<Arc<ApiKey>>>,
}

impl CourierClient {
    /// A client that takes `COURIER_API_KEY` and, if set, `COURIER_BASE_URL` from the environment,
    /// as Courier's own SDKs do.
    ///
    /// # Errors
    ///
    /// As [`CourierClientBuilder::build`], and when `COURIER_API_KEY` is not set.
    pub fn from_env() -> Result<Self, Error> {
        CourierClientBuilder::from_env()?.build()
    }

    /// Starts building a client with the workspace's API key.
    pub fn builder(api_key: impl Into<String>) -> CourierClientBuilder {
        CourierClientBuilder::new(api_key.into())
    }

    /// Issues a new token: `POST /auth/issue-token`.
    ///
    /// # Errors
    ///
    /// When the request is malformed, or Courier cannot be reached, refuses, or answers with
    /// something other than a token for this user.
    pub async fn issue_token(&self, request: &TokenRequest) -> Result<Token, Error> {
        let grant = request.grant(&default_terms()?)?;
        let clock = Clock::default();
        let (sent, issued) = with_retries(
            async || Ok((clock.now(), self.issue(&grant).await?)),
            |_| {},
        )
        .await?;
        Token::accept(issued, &grant, sent, clock.clone())
    }

    /// Where the workspace lives.
    pub fn region(&self) -> Region {
        self.settings.region
    }

    /// The address of Courier's REST API in use.
    pub fn base_url(&self) -> &str {
        self.settings.base_url.as_str()
    }

    /// The same, API key included, through other connections: one belongs to the runtime that
    /// opened it, and hangs when that one stands still.
    pub(crate) fn with_connections_of_its_own(&self) -> Self {
        // A client that could be built once can be built again; if not, the old one has to do.
        let connections = self
            .settings
            .connect()
            .unwrap_or_else(|_| self.connections.clone());
        Self {
            connections,
            ..self.clone()
        }
    }

    fn key(&self) -> Arc<ApiKey> {
        let key = self.api_key.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&key)
    }
}

/// Reads the answer to what was sent to `url`, whatever it is.
///
/// It takes what was sent and not what is to be sent, of which a future would keep several hundred
/// bytes to the end.
async fn exchange(
    sent: impl Future<Output = reqwest::Result<Response>>,
    url: &Url,
) -> Result<Answer, Error> {
    let failed = |error| transport_error(error, url);
    let mut response = sent.await.map_err(failed)?;
    Answer::read(&mut response).await.map_err(failed)
}

impl fmt::Debug for CourierClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierClient")
            .field("base_url", &self.base_url())
            .field("region", &self.settings.region)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Upstream for CourierClient {
    async fn issue(&self, grant: &Grant) -> Result<Issued, Error> {
        #[derive(Serialize)]
        struct Body {
            scope: String,
            expires_in: String,
        }
        let body = Body {
            scope: grant.scope_string(),
            // With a unit: Courier reads a bare number in a string as milliseconds.
            expires_in: format!("{} seconds", grant.terms.lifetime.as_secs()),
        };
        let url = &self.settings.token_url;
        let key = self.key();
        let request = self.connections.rest.post(url.clone()).json(&body);
        let request = request.header(AUTHORIZATION, key.header.clone());
        let answer = exchange(request.send(), url).await?;
        answer
            .if_success(Asked::Token(&key, &grant.user_id))?
            .into_issued(&grant.user_id)
    }

    fn reconnected(&self) -> Arc<dyn Upstream> {
        Arc::new(self.with_connections_of_its_own())
    }

    fn region(&self) -> Region {
        self.settings.region
    }

    fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        let key = Arc::new(ApiKey::new(api_key, API_KEY_NAME)?);
        *self.api_key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

/// What is asked for where neither the request nor a provider says anything.
pub(crate) fn default_terms() -> Result<Terms, Error> {
    Ok(Terms {
        scopes: Scopes::new(Scope::MINIMAL)?,
        lifetime: DEFAULT_LIFETIME,
    })
}

fn configuration(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);
