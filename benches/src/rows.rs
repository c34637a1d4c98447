//! What is measured.

use courier_auth_tower::{TokenProvider, TokenRequest};
use futures_util::{StreamExt, TryStreamExt, stream};

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
    /// The same in a nested router.
    BareNested(Constant),
    ByHand(ByHand),
    /// The layer around an axum app, the one line in an actix app.
    Ours(TokenProvider),
    Nest(TokenProvider),
    Route(TokenProvider),
}

#[derive(Clone, Copy)]
pub struct Constant {
    pub etag: &'static str,
    pub body: &'static [u8],
}

impl Row {
    /// Makes a row whose cache has the tokens of that many users.
    pub async fn warm(name: &str, upstream: &str, users: usize) -> Result<Self> {
        let courier = Courier::new(upstream);
        match name {
            "bare" => Ok(Self::Bare(Constant::new(&courier).await?)),
            "bare-nested" => Ok(Self::BareNested(Constant::new(&courier).await?)),
            "uncached" => Ok(Self::ByHand(ByHand::Uncached(courier))),
            "moka" => Self::warm_by_hand(ByHand::moka(courier, users), users).await,
            "bodies" => Self::warm_by_hand(ByHand::bodies(courier, users), users).await,
            "ours" => Ok(Self::Ours(provider(upstream, users).await?)),
            "nest" => Ok(Self::Nest(provider(upstream, users).await?)),
            "route" => Ok(Self::Route(provider(upstream, users).await?)),
            other => Err(format!("no row is called {other:?}").into()),
        }
    }

    async fn warm_by_hand(by_hand: ByHand, users: usize) -> Result<Self> {
        stream::iter((0..users).map(|n| Ok(user_id(n))))
            .try_for_each_concurrent(AT_ONCE, async |user: String| {
                by_hand.answer(&user).await.map(drop)
            })
            .await?;
        Ok(Self::ByHand(by_hand))
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

async fn provider(upstream: &str, users: usize) -> Result<TokenProvider> {
    let provider = TokenProvider::builder(api_key())
        .base_url(upstream)
        // Room for the users of the cold runs too.
        .max_users(1_000_000)
        .build()?;
    stream::iter(0..users)
        .map(|n| TokenRequest::for_user(user_id(n)))
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |request: TokenRequest| {
            provider.token(&request).await.map(drop)
        })
        .await?;
    Ok(provider)
}

/// As `users.lua` has it.
fn user_id(n: usize) -> String {
    format!("user-{n:07}")
}

/// As many calls as the crate makes at once.
const AT_ONCE: usize = 16;
