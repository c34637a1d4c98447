use std::{
    env, fmt,
    sync::{Arc, RwLock},
    time::Duration,
};

use reqwest::{Certificate, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::{
    CourierClient, Region,
    api_key::{API_KEY_NAME, ApiKey, is_quoted},
    configuration,
    loopback::is_loopback,
};
use crate::error::Error;

/// Settings of a [`CourierClient`].
#[must_use]
pub struct CourierClientBuilder {
    api_key: SecretString,
    /// What the user calls it, for errors.
    api_key_name: &'static str,
    region: Option<Region>,
    base_url: Option<String>,
    base_url_name: &'static str,
    inbox_url: Option<String>,
    allow_http: bool,
    root_certificates: Vec<Vec<u8>>,
}

impl CourierClientBuilder {
    pub(super) fn new(api_key: String) -> Self {
        Self {
            api_key: api_key.into(),
            api_key_name: API_KEY_NAME,
            region: None,
            base_url: None,
            base_url_name: BASE_URL_NAME,
            inbox_url: None,
            allow_http: false,
            root_certificates: Vec::new(),
        }
    }

    /// A builder that takes `COURIER_API_KEY` and, if set, `COURIER_BASE_URL` from the environment;
    /// everything else is set in code.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) when `COURIER_API_KEY` is not set.
    pub fn from_env() -> Result<Self, Error> {
        let api_key = env::var(API_KEY_VARIABLE).map_err(|error| {
            let problem = match error {
                env::VarError::NotPresent => "is not set",
                env::VarError::NotUnicode(_) => "is not valid UTF-8",
            };
            configuration(format!(
                "{API_KEY_VARIABLE} {problem}: give it an API key of your Courier workspace \
                 (Settings, API Keys)"
            ))
        })?;
        let mut builder = Self::new(api_key);
        builder.api_key_name = API_KEY_VARIABLE;
        if let Some(url) = env::var_os(BASE_URL_VARIABLE).filter(|url| !url.is_empty()) {
            let url = url
                .into_string()
                .map_err(|_| configuration(format!("{BASE_URL_VARIABLE} is not valid UTF-8")))?;
            builder.base_url = Some(url);
            builder.base_url_name = BASE_URL_VARIABLE;
        }
        Ok(builder)
    }

    #[cfg(feature = "shared-cache")]
    pub(crate) fn api_key(&self) -> &SecretString {
        &self.api_key
    }

    /// Where the workspace lives. Default: the US, or the EU if the base URL is Courier's there.
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Another address for Courier's REST API, e.g. an emulator or your own gateway. Default: the
    /// region's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self.base_url_name = BASE_URL_NAME;
        self
    }

    /// Another address for Courier's inbox API, with its path: `http://127.0.0.1:4000/q` for an
    /// emulator. Only [`CourierClient::mark_read`] needs it. Default: the region's, or none if the
    /// base URL is not Courier's, so that an emulator's tokens never go to Courier, or the other
    /// way round.
    pub fn inbox_url(mut self, url: impl Into<String>) -> Self {
        self.inbox_url = Some(url.into());
        self
    }

    /// Allows `http://` to other machines, so that the API key crosses the network unprotected.
    /// `http://` to loopback is always allowed. Default: off.
    pub fn danger_allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Trusts one more certificate authority (PEM), e.g. that of a TLS-inspecting proxy, in addition
    /// to the system's. Can be called several times.
    pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Builds the client. Needs no runtime and opens no connection.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) when the API key or the base URL is malformed, the URL is
    /// not allowed, or a certificate cannot be read.
    pub fn build(self) -> Result<CourierClient, Error> {
        let api_key = ApiKey::new(self.api_key.expose_secret().to_owned(), self.api_key_name)?;
        let url = match &self.base_url {
            Some(url) => url,
            None => self.region.unwrap_or_default().base_url(),
        };
        let example = Region::Us.base_url();
        let base_url = check_url(url, self.base_url_name, example, self.allow_http)?;
        if base_url.path().trim_end_matches('/').ends_with(TOKEN_PATH) {
            return Err(configuration(format!(
                "{} ends in {TOKEN_PATH}, which is added to it: leave the path out, as in {example}",
                self.base_url_name
            )));
        }
        let couriers = Region::of(&base_url);
        let region = match (self.region, couriers) {
            (Some(region), Some(other)) if region != other => {
                return Err(configuration(format!(
                    "{} is that of another region than the one that is set",
                    self.base_url_name
                )));
            }
            (region, others) => region.or(others).unwrap_or_default(),
        };
        let inbox_url = self
            .inbox_url
            .as_deref()
            .or(couriers.map(|_| region.inbox_url()))
            .map(|url| {
                let example = Region::Us.inbox_url();
                check_url(url, INBOX_URL_NAME, example, self.allow_http)
            })
            .transpose()?;
        let settings = Settings {
            token_url: address(&base_url, &["auth", "issue-token"]),
            base_url,
            inbox_url,
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
            connections: settings.connect()?,
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

/// How to reach Courier, checked.
pub(super) struct Settings {
    pub(super) base_url: Url,
    pub(super) token_url: Url,
    inbox_url: Option<Url>,
    pub(super) region: Region,
    allow_http: bool,
    root_certificates: Vec<Certificate>,
}

impl Settings {
    pub(super) fn connect(&self) -> Result<Connections, Error> {
        let rest = self.connect_to(&self.base_url)?;
        let inbox = match &self.inbox_url {
            // One of the two on this machine: a proxy is for the other alone.
            Some(url) if nearness(url) != nearness(&self.base_url) => self.connect_to(url)?,
            _ => rest.clone(),
        };
        Ok(Connections { rest, inbox })
    }

    fn connect_to(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let (loopback, in_the_clear) = nearness(url);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // All calls share one HTTP/2 connection. One that has gone silent, as behind a NAT that
            // has forgotten it, is left within a try, so that the next one gets another.
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            // A redirect would carry the API key and the user's id to whoever is named in it.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .https_only(!self.allow_http && !loopback)
            .user_agent(concat!("courier-auth/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        // An emulator works where there are no authorities, as in a container that lacks them: there
        // is no TLS, not to a proxy either, and if there were it would be refused.
        builder = if loopback && in_the_clear {
            builder.tls_certs_only([])
        } else {
            builder.tls_certs_merge(self.root_certificates.iter().cloned())
        };
        builder.build().map_err(|error| {
            configuration(
                "the HTTP client cannot be set up: see that this machine has certificate \
                 authorities (a container often lacks the package ca-certificates), and the proxy \
                 settings of the environment",
            )
            .with_source(error.without_url())
        })
    }

    pub(super) fn inbox_url(&self) -> Result<&Url, Error> {
        self.inbox_url.as_ref().ok_or_else(|| {
            configuration(format!(
                "where the inbox is cannot be told from {BASE_URL_NAME}, which is not Courier's \
                 own: give its address to `inbox_url`"
            ))
        })
    }
}

/// Connections to the REST API and to the inbox: the same ones, unless only one of the two is on this
/// machine, or only one uses TLS.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) rest: reqwest::Client,
    pub(super) inbox: reqwest::Client,
}

/// The address of a call. What is in a segment stays in it, escaped if need be.
pub(super) fn address(base_url: &Url, segments: &[&str]) -> Url {
    let mut url = base_url.clone();
    // One with a host always has a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn check_url(url: &str, name: &str, example: &str, allow_http: bool) -> Result<Url, Error> {
    // The text itself is left out of the messages: it may hold credentials.
    if is_quoted(url) {
        let message = format!("{name} has quotes around it, which are not part of it");
        return Err(configuration(message));
    }
    let parsed = Url::parse(url).map_err(|error| {
        let message = format!("{name} is malformed: it must look like {example}");
        configuration(message).with_source(error)
    })?;
    let problem = if !matches!(parsed.scheme(), "https" | "http") || !parsed.has_host() {
        "must begin with https://"
    } else if !parsed.username().is_empty() || parsed.password().is_some() {
        "must not hold a user name or password"
    } else if parsed.query().is_some() || parsed.fragment().is_some() {
        "must not have a query or fragment"
    } else if parsed.scheme() == "http" && !allow_http && !is_loopback(&parsed) {
        "begins with http://, which would send secrets in the clear; use https:// (or \
         `danger_allow_http`)"
    } else {
        return Ok(parsed);
    };
    Err(configuration(format!("{name} {problem}")))
}

/// Whether it is on this machine, and reached without TLS.
fn nearness(url: &Url) -> (bool, bool) {
    (is_loopback(url), url.scheme() == "http")
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

const API_KEY_VARIABLE: &str = "COURIER_API_KEY";
const BASE_URL_VARIABLE: &str = "COURIER_BASE_URL";
const BASE_URL_NAME: &str = "the base URL of Courier's API";
const INBOX_URL_NAME: &str = "the URL of Courier's inbox API";
const TOKEN_PATH: &str = "/auth/issue-token";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Half a try. There are pings only while somebody waits for an answer.
const HTTP2_PING: Duration = Duration::from_secs(1);
