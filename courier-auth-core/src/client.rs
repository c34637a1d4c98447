use std::{
    env, fmt,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use reqwest::{
    Certificate, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    cache::{clock::Clock, upstream::Upstream},
    error::{Error, ErrorKind},
    request::{Defaults, Grant, TokenRequest},
    retry::{TRY_TIMEOUT, with_retries},
    scope::{Scope, Scopes},
    token::{Issued, Token},
};

/// Where a Courier workspace lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Region {
    /// `https://api.courier.com`, the default.
    #[default]
    Us,
    /// `https://api.eu.courier.com`.
    Eu,
}

impl Region {
    /// `us` or `eu`, as the token endpoint tells browsers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    fn base_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.courier.com",
            Self::Eu => "https://api.eu.courier.com",
        }
    }

    fn of(base_url: &Url) -> Self {
        match base_url.host_str() {
            Some("api.eu.courier.com") => Self::Eu,
            _ => Self::Us,
        }
    }
}

/// Courier's HTTP API, one method per call, without a cache.
///
/// Apps want [`TokenProvider`](crate::TokenProvider), which calls this as seldom as it can. Clones
/// share one connection pool. A call is tried up to three times, two seconds each, when Courier is
/// unreachable or answers 408, 409, 429 or 5xx (or says `x-should-retry`); redirects are not
/// followed; the system's proxy settings are respected, except for loopback addresses.
#[derive(Clone)]
pub struct CourierClient {
    http: reqwest::Client,
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

    /// Begins a client with the workspace's API key.
    pub fn builder(api_key: impl Into<String>) -> CourierClientBuilder {
        CourierClientBuilder::new(api_key.into())
    }

    /// Issues a new token: `POST /auth/issue-token`.
    ///
    /// # Errors
    ///
    /// When the request is malformed, Courier cannot be reached or refuses, or answers with
    /// something that is not a token for this user.
    pub async fn issue_token(&self, request: &TokenRequest) -> Result<Token, Error> {
        let grant = request.grant(&default_grant()?)?;
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

    fn key(&self) -> Arc<ApiKey> {
        let key = self.api_key.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&key)
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Error> {
        let key = self.key();
        let response = self
            .http
            .post(self.settings.url(path))
            .header(AUTHORIZATION, key.header.clone())
            .json(body)
            .send()
            .await
            .map_err(|error| transport_error(error, &self.settings.base_url))?;
        let answer = Answer::read(response)
            .await
            .map_err(|error| transport_error(error, &self.settings.base_url))?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(answer.into_error(&key)),
        }
    }
}

impl fmt::Debug for CourierClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierClient")
            .field("base_url", &self.settings.base_url.as_str())
            .field("region", &self.settings.region)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Upstream for CourierClient {
    async fn issue(&self, grant: &Grant) -> Result<Issued, Error> {
        let body = json!({
            "scope": grant.scope_string(),
            // With a unit: Courier reads a bare number in a string as milliseconds.
            "expires_in": format!("{} seconds", grant.lifetime.as_secs()),
        });
        let answer = self.post("auth/issue-token", &body).await?;
        answer.into_issued()
    }

    fn reconnected(&self) -> Arc<dyn Upstream> {
        // A client that could be built once can be built again; if not, the old one has to do.
        let http = self
            .settings
            .connect()
            .unwrap_or_else(|_| self.http.clone());
        Arc::new(Self {
            http,
            ..self.clone()
        })
    }

    fn set_api_key(&self, api_key: String) -> Result<(), Error> {
        let key = Arc::new(ApiKey::new(api_key)?);
        *self.api_key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

/// Settings of a [`CourierClient`].
#[must_use]
pub struct CourierClientBuilder {
    api_key: SecretString,
    region: Option<Region>,
    base_url: Option<String>,
    allow_http: bool,
    root_certificates: Vec<Vec<u8>>,
}

impl CourierClientBuilder {
    fn new(api_key: String) -> Self {
        Self {
            api_key: api_key.into(),
            region: None,
            base_url: None,
            allow_http: false,
            root_certificates: Vec::new(),
        }
    }

    pub(crate) fn from_env() -> Result<Self, Error> {
        let api_key = env::var(API_KEY_VARIABLE).map_err(|error| {
            let problem = match error {
                env::VarError::NotPresent => "is not set",
                env::VarError::NotUnicode(_) => "is no text",
            };
            configuration(format!(
                "{API_KEY_VARIABLE} {problem}: give it an API key of your Courier workspace \
                 (Settings, API Keys)"
            ))
        })?;
        let builder = Self::new(api_key);
        Ok(match env::var(BASE_URL_VARIABLE) {
            Ok(url) if !url.is_empty() => builder.base_url(url),
            _ => builder,
        })
    }

    /// Where the workspace lives. Default: the US, or the EU if the base URL is Courier's there.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Another address of Courier's REST API, e.g. an emulator or a gateway of yours. Default: the
    /// region's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows `http://` to other machines. The API key then crosses the network unprotected; to
    /// loopback `http://` is always allowed. Default: off.
    pub fn danger_allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Trusts one more certificate authority (PEM), e.g. that of a TLS-inspecting proxy, beside
    /// those of the system. Can be called several times.
    pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Builds the client. Needs no runtime and opens no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when the API key cannot be one, the base URL is malformed or
    /// not allowed, or a certificate cannot be read.
    pub fn build(self) -> Result<CourierClient, Error> {
        let api_key = ApiKey::new(self.api_key.expose_secret().to_owned())?;
        let base_url = match &self.base_url {
            Some(url) => check_base_url(url, self.allow_http)?,
            None => check_base_url(self.region.unwrap_or_default().base_url(), false)?,
        };
        let region = self.region.unwrap_or_else(|| Region::of(&base_url));
        let settings = Settings {
            base_url,
            region,
            allow_http: self.allow_http,
            root_certificates: self
                .root_certificates
                .iter()
                .map(|pem| read_certificates(pem))
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
        };
        Ok(CourierClient {
            http: settings.connect()?,
            settings: Arc::new(settings),
            api_key: Arc::new(RwLock::new(Arc::new(api_key))),
        })
    }
}

impl fmt::Debug for CourierClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CourierClientBuilder")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// What is asked for where neither the request nor a provider says anything.
pub(crate) fn default_grant() -> Result<Defaults, Error> {
    Ok(Defaults {
        scopes: Scopes::new(Scope::MINIMAL)?,
        lifetime: DEFAULT_LIFETIME,
    })
}

struct Settings {
    base_url: Url,
    region: Region,
    allow_http: bool,
    root_certificates: Vec<Certificate>,
}

impl Settings {
    fn connect(&self) -> Result<reqwest::Client, Error> {
        let loopback = is_loopback(&self.base_url);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TRY_TIMEOUT)
            // A redirect would carry the API key and the user's id to whoever is named in it.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .https_only(!self.allow_http && !loopback)
            .tls_certs_merge(self.root_certificates.iter().cloned())
            .user_agent(concat!("courier-auth/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| {
            configuration("the HTTP client cannot be set up: see its certificates and the proxy settings of the environment")
                .with_source(error.without_url())
        })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }
}

struct ApiKey {
    secret: SecretString,
    header: HeaderValue,
}

impl ApiKey {
    fn new(key: String) -> Result<Self, Error> {
        let problem = if key.is_empty() {
            "is empty"
        } else if key.chars().any(char::is_whitespace) {
            "contains white space; was a line break copied with it?"
        } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            "contains characters that no API key has"
        } else {
            let mut header = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| configuration("the Courier API key cannot be sent in a header"))?;
            header.set_sensitive(true);
            return Ok(Self {
                secret: key.into(),
                header,
            });
        };
        Err(configuration(format!("the Courier API key {problem}")))
    }
}

/// An answer of Courier's, read to its (bounded) end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn read(mut response: Response) -> Result<Self, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = MAX_ANSWER_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_ANSWER_BYTES {
                break;
            }
        }
        Ok(Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    fn into_issued(self) -> Result<Issued, Error> {
        #[derive(Deserialize)]
        struct Body {
            token: SecretString,
        }
        let Ok(body) = serde_json::from_slice::<Body>(&self.body) else {
            return Err(Error::new(
                ErrorKind::BadAnswer,
                format!(
                    "Courier's answer holds no token (content type {:?}): see whether the base \
                     URL is that of Courier's API",
                    self.header("content-type").unwrap_or("not given"),
                ),
            )
            .with_status(self.status.as_u16()));
        };
        Ok(Issued {
            token: body.token,
            date: self.header("date").and_then(http_date),
        })
    }

    fn into_error(self, key: &ApiKey) -> Error {
        let status = self.status.as_u16();
        let said = self.message(key);
        let (kind, message) = match status {
            401 | 403 => (
                ErrorKind::ApiKeyRefused,
                format!(
                    "Courier refused the API key ({status}{said}): see that it is complete, \
                     belongs to this environment and region, and has not been revoked"
                ),
            ),
            429 => (
                ErrorKind::RateLimited,
                format!("Courier limits the number of calls ({status}{said})"),
            ),
            408 | 409 | 500.. => (
                ErrorKind::Unavailable,
                format!("Courier cannot answer at the moment ({status}{said})"),
            ),
            300..=399 => (
                ErrorKind::BadAnswer,
                format!(
                    "Courier's address answers with a redirect ({status}), which is not followed: \
                     see whether the base URL is that of Courier's API"
                ),
            ),
            _ => (
                ErrorKind::RequestRefused,
                format!(
                    "Courier refused the request ({status}{said}): see the scopes, the lifetime \
                     and the base URL"
                ),
            ),
        };
        let mut error = Error::new(kind, message).with_status(status);
        match self.header("x-should-retry") {
            Some("true") => error = error.with_transient(true),
            Some("false") => error = error.with_transient(false),
            _ => {}
        }
        match self.retry_after(SystemTime::now()) {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    /// Courier's `type` and `message`, if the body has them, cleaned for a log line.
    fn message(&self, key: &ApiKey) -> String {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            message: Option<String>,
            r#type: Option<String>,
        }
        let body: Body = serde_json::from_slice(&self.body).unwrap_or_default();
        let clean = |text: String| -> String {
            // A message that quotes the key must not carry it into logs.
            text.replace(key.secret.expose_secret(), "[the API key]")
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(MAX_MESSAGE_CHARS)
                .collect()
        };
        match (body.r#type.map(clean), body.message.map(clean)) {
            (Some(kind), Some(message)) => format!(" {kind}, {message:?}"),
            (Some(kind), None) => format!(" {kind}"),
            (None, Some(message)) => format!(" {message:?}"),
            (None, None) => String::new(),
        }
    }

    /// As Courier's SDKs read it: milliseconds first, then seconds, then a date. More than a
    /// minute is taken for a minute.
    fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let number = |name, unit| {
            let value: f64 = self.header(name)?.trim().parse().ok()?;
            Duration::try_from_secs_f64(value * unit).ok()
        };
        let after = number("retry-after-ms", 0.001)
            .or_else(|| number("retry-after", 1.0))
            .or_else(|| {
                let date = http_date(self.header("retry-after")?)?;
                let now = self.header("date").and_then(http_date).unwrap_or(now);
                date.duration_since(now).ok()
            })?;
        (!after.is_zero()).then_some(after.min(MAX_RETRY_AFTER))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn check_base_url(url: &str, allow_http: bool) -> Result<Url, Error> {
    // The text itself is left out of the messages: it may hold credentials.
    let parsed = Url::parse(url).map_err(|error| {
        configuration("the base URL of Courier's API is malformed").with_source(error)
    })?;
    let problem = if !matches!(parsed.scheme(), "https" | "http") || !parsed.has_host() {
        "must begin with https://"
    } else if !parsed.username().is_empty() || parsed.password().is_some() {
        "must not hold a user name or password"
    } else if parsed.query().is_some() || parsed.fragment().is_some() {
        "must not have a query or fragment"
    } else if parsed.scheme() == "http" && !allow_http && !is_loopback(&parsed) {
        "begins with http://, which would send the API key in the clear; use https:// (or \
         `danger_allow_http`)"
    } else {
        return Ok(parsed);
    };
    Err(configuration(format!(
        "the base URL of Courier's API {problem}"
    )))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn read_certificates(pem: &[u8]) -> Result<Vec<Certificate>, Error> {
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| {
        configuration("the extra root certificate cannot be read: it must be PEM")
            .with_source(error)
    })?;
    if certificates.is_empty() {
        return Err(configuration(
            "the extra root certificate holds no PEM block `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(certificates)
}

fn transport_error(error: reqwest::Error, base_url: &Url) -> Error {
    let host = base_url.host_str().unwrap_or_default();
    let error = error.without_url();
    let (kind, message) = if error.is_timeout() {
        (ErrorKind::Timeout, "did not answer in time")
    } else if error.is_connect() {
        (ErrorKind::Unavailable, "cannot be reached")
    } else {
        // Also whatever nobody has thought of: a strange failure must not end the retries.
        (ErrorKind::Unavailable, "broke off the connection")
    };
    Error::new(kind, format!("Courier ({host}) {message}")).with_source(error)
}

fn http_date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}

fn configuration(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

const API_KEY_VARIABLE: &str = "COURIER_API_KEY";
const BASE_URL_VARIABLE: &str = "COURIER_BASE_URL";
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Room for a token of the greatest size and JSON around it.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const MAX_MESSAGE_CHARS: usize = 200;
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
