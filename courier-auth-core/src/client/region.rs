use reqwest::Url;

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
