use std::{fmt, str::FromStr};

use reqwest::Url;

use crate::error::{Error, ErrorKind};

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

    pub(super) fn base_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.courier.com",
            Self::Eu => "https://api.eu.courier.com",
        }
    }

    /// Where the Inbox SDKs find the inbox. The two top-level domains are Courier's.
    pub(super) fn inbox_url(self) -> &'static str {
        match self {
            Self::Us => "https://inbox.courier.com/q",
            Self::Eu => "https://inbox.eu.courier.io/q",
        }
    }

    /// The region whose address this is, if it is one.
    pub(super) fn of(base_url: &Url) -> Option<Self> {
        match base_url.host_str() {
            Some("api.courier.com") => Some(Self::Us),
            Some("api.eu.courier.com") => Some(Self::Eu),
            _ => None,
        }
    }
}

/// As [`as_str`](Region::as_str).
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads `us` or `eu`, in upper or lower case; anything else is an [`ErrorKind::Configuration`].
///
/// ```
/// use courier_auth_core::{ErrorKind, Region};
///
/// let region: Region = "EU".parse()?;
/// assert_eq!(region, Region::Eu);
/// assert_eq!(region.to_string(), "eu");
/// assert_eq!("asia".parse::<Region>().unwrap_err().kind(), ErrorKind::Configuration);
/// # Ok::<(), courier_auth_core::Error>(())
/// ```
impl FromStr for Region {
    type Err = Error;

    fn from_str(region: &str) -> Result<Self, Error> {
        [Self::Us, Self::Eu]
            .into_iter()
            .find(|known| region.eq_ignore_ascii_case(known.as_str()))
            .ok_or_else(|| Error::new(ErrorKind::Configuration, "the region must be `us` or `eu`"))
    }
}
