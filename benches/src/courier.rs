//! Courier as everybody calls it who has no crate for it: one `reqwest` call per token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use courier_auth_tower::emulator::Emulator;
use serde::{Deserialize, Serialize};

use crate::Result;

/// How long tokens live, as with the crate's defaults.
pub const LIFETIME: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Debug)]
pub struct Courier {
    http: reqwest::Client,
    url: String,
    api_key: String,
}

impl Courier {
    pub fn new(base_url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: format!("{base_url}/auth/issue-token"),
            api_key: api_key(),
        }
    }

    pub async fn issue(&self, user_id: &str) -> Result<Issued> {
        #[derive(Serialize)]
        struct Ask<'a> {
            scope: &'a str,
            expires_in: &'static str,
        }
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }
        let scope = format!("user_id:{user_id} inbox:read:messages inbox:write:events");
        let ask = Ask {
            scope: &scope,
            expires_in: "3600 seconds",
        };
        let answer = self.http.post(&self.url).bearer_auth(&self.api_key);
        let answer = answer.json(&ask).send().await?.error_for_status()?;
        let Answer { token } = answer.json().await?;
        Ok(Issued {
            expires_at: SystemTime::now() + LIFETIME,
            token,
            scope,
        })
    }
}

/// The emulator's key, which every process of a run knows.
pub fn api_key() -> String {
    Emulator::new().api_key().to_owned()
}

/// A token and what belongs to it.
#[derive(Debug)]
pub struct Issued {
    token: String,
    scope: String,
    expires_at: SystemTime,
}

impl Issued {
    /// The fields that the crate's endpoint answers with, so that all rows send the same number of bytes.
    pub fn body(&self, user_id: &str) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Body<'a> {
            token: &'a str,
            user_id: &'a str,
            scope: &'a str,
            expires_in: u64,
            refresh_in: u64,
            expires_at: u64,
            token_id: &'a str,
            region: &'static str,
        }
        let left = self.expires_at.duration_since(SystemTime::now())?.as_secs();
        let body = Body {
            token: &self.token,
            user_id,
            scope: &self.scope,
            expires_in: left,
            refresh_in: left - 500,
            expires_at: self.expires_at.duration_since(UNIX_EPOCH)?.as_secs(),
            token_id: self.id(),
            region: "us",
        };
        Ok(serde_json::to_vec(&body)?)
    }

    /// An ETag of the same length as the crate's.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.id())
    }

    fn id(&self) -> &str {
        &self.token[self.token.len() - 22..]
    }
}
