//! What is measured.

use std::{ops::Range, time::Duration};

use courier_auth_tower::{TokenProvider, TokenProviderBuilder, TokenRequest};
use futures_util::{TryStreamExt, stream};
use tokio::time::sleep;

use crate::{
    Result,
    courier::{Courier, api_key},
    handwritten::{Answer, ByHand},
};

/// Where every row has its token.
pub const PATH: &str = "/courier/token";

pub enum Row {
    /// A handler that returns a constant of the same size.
    Bare(Constant),
    /// The same, and it takes the user as all other rows do.
    BareUser(Constant),
    /// The one that takes the user, in a nested router.
    BareNested(Constant),
    /// The bare one, which answers when Courier would have: what it takes to wait at all.
    Waiting(Constant),
    ByHand(ByHand),
    /// The layer around an axum app, the one line in an actix app.
    Ours(TokenProvider),
    /// The layer around an axum app as a whole, before anything is routed.
    Around(TokenProvider),
    Nest(TokenProvider),
    Route(TokenProvider),
}

#[derive(Clone, Copy)]
pub struct Constant {
    pub etag: &'static str,
    pub body: &'static [u8],
}

impl Row {
    /// Makes a row whose cache has the tokens of that many users, or room for all that may come.
    pub async fn warm(name: &str, upstream: &str, users: usize) -> Result<Self> {
        let room = match users {
            0 => 1_000_000,
            // Twice as many, since shards fill unevenly.
            users => (2 * users).max(DEFAULT_ROOM),
        };
        let row = Self::cold(name, upstream, room).await?;
        row.fill(0..users, user_id).await?;
        Ok(row)
    }

    /// Makes a row whose cache has room for that many users.
    pub async fn cold(name: &str, upstream: &str, room: usize) -> Result<Self> {
        let courier = Courier::new(upstream);
        match name {
            "bare" => Ok(Self::Bare(Constant::new(&courier).await?)),
            "bare-user" => Ok(Self::BareUser(Constant::new(&courier).await?)),
            "waiting" => Ok(Self::Waiting(Constant::new(&courier).await?)),
            "bare-nested" => Ok(Self::BareNested(Constant::new(&courier).await?)),
            "uncached" => Ok(Self::ByHand(ByHand::Uncached(courier))),
            "moka" => Ok(Self::ByHand(ByHand::moka(courier, room))),
            "bodies" => Ok(Self::ByHand(ByHand::bodies(courier, room))),
            "ours" | "ours-uuid" => Ok(Self::Ours(provider(upstream, room)?)),
            // With the room that there is unless an app says otherwise.
            "full" => Ok(Self::Ours(builder(upstream).build()?)),
            "around" => Ok(Self::Around(provider(upstream, room)?)),
            "nest" => Ok(Self::Nest(provider(upstream, room)?)),
            "route" => Ok(Self::Route(provider(upstream, room)?)),
            other => Err(format!("no row is called {other:?}").into()),
        }
    }

    /// Asks for these users' tokens, so that they are cached.
    pub async fn fill(&self, users: Range<usize>, id: fn(usize) -> String) -> Result<()> {
        stream::iter(users.map(|n| Ok(id(n))))
            .try_for_each_concurrent(AT_ONCE, async |user: String| match self {
                Self::Bare(_) | Self::BareUser(_) | Self::BareNested(_) | Self::Waiting(_) => {
                    Ok(())
                }
                Self::ByHand(ByHand::Uncached(_)) => Ok(()),
                Self::ByHand(by_hand) => by_hand.answer(&user).await.map(drop),
                Self::Ours(provider)
                | Self::Around(provider)
                | Self::Nest(provider)
                | Self::Route(provider) => fill_one(provider, &TokenRequest::for_user(user)).await,
            })
            .await
    }

    /// How many users are cached.
    pub fn held(&self) -> usize {
        match self {
            Self::Bare(_) | Self::BareUser(_) | Self::BareNested(_) | Self::Waiting(_) => 0,
            Self::ByHand(by_hand) => by_hand.held(),
            Self::Ours(provider)
            | Self::Around(provider)
            | Self::Nest(provider)
            | Self::Route(provider) => provider.status().users,
        }
    }
}

impl Constant {
    async fn new(courier: &Courier) -> Result<Self> {
        let user = user_id(0);
        let answer = Answer::new(&user, &courier.issue(&user).await?)?;
        Ok(Self {
            etag: String::leak(String::from_utf8(answer.etag.to_vec())?),
            body: Vec::leak(answer.body.to_vec()),
        })
    }
}

/// Again if a busy machine lets it wait for too long: that is not what is measured.
async fn fill_one(provider: &TokenProvider, request: &TokenRequest) -> Result<()> {
    for _ in 0..10 {
        match provider.token(request).await {
            Err(error) if error.is_transient() => sleep(Duration::from_secs(1)).await,
            outcome => return outcome.map(drop).map_err(Into::into),
        }
    }
    Err("Courier is not to be had".into())
}

fn provider(upstream: &str, room: usize) -> Result<TokenProvider> {
    Ok(builder(upstream).max_users(room).build()?)
}

fn builder(upstream: &str) -> TokenProviderBuilder {
    TokenProvider::builder(api_key()).base_url(upstream)
}

/// As `users.lua` has it.
pub fn user_id(n: usize) -> String {
    format!("user-{n:07}")
}

/// As long as a UUID.
pub fn long_user_id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// The crate's default.
const DEFAULT_ROOM: usize = 10_000;
/// As long as `measure.py` lets Courier take when a herd comes.
pub const LATENCY: Duration = Duration::from_millis(20);
/// As many calls as the crate makes at once.
const AT_ONCE: usize = 16;
