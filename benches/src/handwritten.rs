//! The routes that people write by hand, but for their framework.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::FutureExt;

use crate::{
    Result,
    courier::{Courier, Issued, LIFETIME},
};

/// How a hand-written route comes by a token.
pub enum ByHand {
    /// Asks Courier each time.
    Uncached(Courier),
    /// moka's cache of tokens with a TTL, and a JSON body per request.
    Moka(Courier, moka::future::Cache<String, Arc<Issued>>),
    /// Finished bodies, which say how long the token lives and not what is left of it.
    Bodies(Courier, quick_cache::sync::Cache<String, Finished>),
}

/// What a route answers.
#[derive(Clone)]
pub struct Answer {
    pub etag: Bytes,
    pub body: Bytes,
}

#[derive(Clone)]
pub struct Finished {
    answer: Answer,
    until: Instant,
}

impl ByHand {
    pub fn moka(courier: Courier, room: usize) -> Self {
        let cache = moka::future::Cache::builder()
            .max_capacity(room as u64)
            .time_to_live(LIFETIME * 3 / 4);
        Self::Moka(courier, cache.build())
    }

    pub fn bodies(courier: Courier, room: usize) -> Self {
        Self::Bodies(courier, quick_cache::sync::Cache::new(room))
    }

    pub async fn answer(&self, user_id: &str) -> Result<Answer> {
        match self {
            Self::Uncached(courier) => Answer::new(user_id, &courier.issue(user_id).await?),
            Self::Moka(courier, cache) => {
                let issue = async { courier.issue(user_id).await.map(Arc::new) };
                let issued = cache.try_get_with_by_ref(user_id, issue).await;
                Answer::new(user_id, &*issued.map_err(|error| error.to_string())?)
            }
            Self::Bodies(courier, cache) => {
                if let Some(known) = cache.get(user_id)
                    && known.until > Instant::now()
                {
                    return Ok(known.answer);
                }
                let answer = Answer::new(user_id, &courier.issue(user_id).await?)?;
                let finished = Finished {
                    answer: answer.clone(),
                    until: Instant::now() + LIFETIME * 3 / 4,
                };
                cache.insert(user_id.to_owned(), finished);
                Ok(answer)
            }
        }
    }
}

impl ByHand {
    /// How many users are cached.
    pub fn held(&self) -> usize {
        match self {
            Self::Uncached(_) => 0,
            Self::Moka(_, cache) => cache.entry_count() as usize,
            Self::Bodies(_, cache) => cache.len(),
        }
    }

    /// Whether a user is cached and not over.
    pub fn has(&self, user_id: &str) -> bool {
        match self {
            Self::Uncached(_) => false,
            Self::Moka(_, cache) => cache.get(user_id).now_or_never().flatten().is_some(),
            Self::Bodies(_, cache) => cache
                .get(user_id)
                .is_some_and(|known| known.until > Instant::now()),
        }
    }
}

impl Answer {
    pub fn new(user_id: &str, issued: &Issued) -> Result<Self> {
        Ok(Self {
            etag: issued.etag().into(),
            body: issued.body(user_id)?.into(),
        })
    }
}
