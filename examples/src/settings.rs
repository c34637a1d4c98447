use std::{
    env::{self, VarError},
    fmt,
    io::{self, ErrorKind},
    net::{Ipv4Addr, TcpListener},
    str::FromStr,
    time::Duration,
};

#[cfg(feature = "redis")]
use courier_auth_core::RedisCache;
use courier_auth_core::{
    ErrorKind as CourierErrorKind, Scope, TokenProvider, TokenProviderBuilder,
};

use crate::error::StartError;

/// What the environment says.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `PORT`, of 127.0.0.1; 0 is any free one. Default: 3000.
    pub port: u16,
    /// `TOKEN_LIFETIME`, given in seconds. Default: an hour. With a minute one can watch a refresh.
    pub token_lifetime: Duration,
    /// Whether to talk to Courier, because `COURIER_API_KEY` is set, or to an emulator of it.
    pub courier: bool,
    /// `REDIS_URL`: the Redis or Valkey that replicas share their tokens on. It may hold a
    /// password. Default: none.
    #[cfg(feature = "redis")]
    pub redis_url: Option<String>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// When a variable is malformed, or `COURIER_BASE_URL` is set alone.
    pub fn from_env() -> Result<Self, StartError> {
        let courier = env::var_os("COURIER_API_KEY").is_some();
        if !courier && env::var_os("COURIER_BASE_URL").is_some_and(|url| !url.is_empty()) {
            return Err(StartError::new(
                "COURIER_BASE_URL is set but COURIER_API_KEY is not: set both to talk to Courier, \
                 or none for the emulator",
            ));
        }
        let redis_url: Option<String> = variable("REDIS_URL", "a URL")?;
        let redis_url = redis_url.filter(|url| !url.is_empty());
        if cfg!(not(feature = "redis")) && redis_url.is_some() {
            return Err(StartError::new(
                "REDIS_URL is set: start with `--features redis`, or without it for a cache in \
                 this process alone",
            ));
        }
        let seconds = variable("TOKEN_LIFETIME", "a number of seconds")?.unwrap_or(3600);
        Ok(Self {
            port: port(3000)?,
            token_lifetime: Duration::from_secs(seconds),
            courier,
            #[cfg(feature = "redis")]
            redis_url,
        })
    }

    /// Opens the port, of loopback only: the examples sign in anybody without a password.
    pub(crate) fn listen(&self) -> Result<TcpListener, StartError> {
        let port = self.port;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| cannot_listen(port, &error))?;
        // As the asynchronous servers want it.
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Builds the provider; `begin` says with which API key.
    pub(crate) fn provider(
        &self,
        begin: Result<TokenProviderBuilder, courier_auth_core::Error>,
    ) -> Result<TokenProvider, StartError> {
        begin
            .and_then(|builder| {
                #[cfg(feature = "redis")]
                let builder = match &self.redis_url {
                    Some(url) => builder.shared_cache(RedisCache::new(url)?),
                    None => builder,
                };
                builder
                    .lifetime(self.token_lifetime)
                    // Inbox, toasts and the preferences page.
                    .scopes(Scope::RECOMMENDED)
                    .build()
            })
            .map_err(|error| match error.kind() {
                CourierErrorKind::InvalidInput => StartError::because("TOKEN_LIFETIME", &error),
                _ => StartError::because("cannot use Courier", &error),
            })
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("port", &self.port)
            .field("token_lifetime", &self.token_lifetime)
            .field("courier", &self.courier)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    /// Any free port, and the emulator.
    fn default() -> Self {
        Self {
            port: 0,
            token_lifetime: Duration::from_secs(3600),
            courier: false,
            #[cfg(feature = "redis")]
            redis_url: None,
        }
    }
}

/// `PORT`, or this one.
pub(crate) fn port(default: u16) -> Result<u16, StartError> {
    let port = variable("PORT", "a number from 0 to 65535")?;
    Ok(port.unwrap_or(default))
}

/// What to do about a port that cannot be opened.
pub(crate) fn cannot_listen(port: u16, error: &io::Error) -> StartError {
    match error.kind() {
        ErrorKind::AddrInUse => StartError::new(format!(
            "port {port} is taken: end the program that listens there, or set PORT to another"
        )),
        _ => StartError::because(&format!("cannot listen on port {port}"), error),
    }
}

fn variable<T: FromStr>(name: &str, expected: impl fmt::Display) -> Result<Option<T>, StartError> {
    match env::var(name) {
        Err(VarError::NotPresent) => Ok(None),
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| StartError::new(format!("{name} must be {expected}, and is {text:?}"))),
        Err(VarError::NotUnicode(_)) => Err(StartError::new(format!("{name} must be {expected}"))),
    }
}
