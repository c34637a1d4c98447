//! The token endpoint for another web framework than actix-web, axum and tower.

mod body;
#[cfg(test)]
mod fuzz;
mod held;
mod problem;
mod reply;
mod script;

use self::held::Held;
use crate::{
    cache::{Timed, Wish},
    error::Error,
    metrics,
    provider::TokenProvider,
    request::TokenRequest,
    token::TokenId,
};

pub use self::reply::Reply;

/// The token endpoint's wire contract, for adapters to web frameworks.
///
/// An app uses `courier-auth-actix` or `courier-auth-tower`; another framework's adapter needs
/// three steps: [`accept`](Self::accept) the head of a request, ask the app who is signed in, and
/// turn the answer of [`reply`](Self::reply) into a response. [`script`](Self::script) answers for
/// the browser helper beside the token.
///
/// ```
/// # async fn example(endpoint: courier_auth_core::endpoint::Endpoint) {
/// use courier_auth_core::TokenRequest;
///
/// let headers = [("if-none-match", b"\"hkzAOoyVoVoTQz_Iwlc8pQ\"".as_slice())];
/// let reply = match endpoint.accept("GET", None, headers) {
///     Err(refusal) => refusal,
///     Ok(call) => {
///         let signed_in = Some(TokenRequest::for_user("user-1")); // None: nobody is
///         endpoint.reply(&call, signed_in).await
///     }
/// };
/// println!("HTTP/1.1 {}", reply.status());
/// for (name, value) in reply.headers() {
///     println!("{name}: {value}"); // each of them: `no-store` is one
/// }
/// println!("\n{}", reply.body());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    provider: TokenProvider,
    cross_site: bool,
}

impl Endpoint {
    /// Where the endpoint is mounted by default; the token's path is this followed by
    /// [`TOKEN_PATH`](Self::TOKEN_PATH).
    pub const DEFAULT_PREFIX: &'static str = "/courier";
    /// The token's path below the prefix.
    pub const TOKEN_PATH: &'static str = "/token";
    /// The methods it answers; others get a 405 with this as `Allow`.
    pub const METHODS: &'static str = "GET, HEAD, POST";

    /// The request headers that [`accept`](Self::accept) and [`script`](Self::script) read, in lower
    /// case. The others need not be passed on.
    pub const HEADERS: &'static [&'static str] = &[IF_NONE_MATCH, SEC_FETCH_SITE];

    /// An endpoint that hands out this provider's tokens.
    pub fn new(provider: TokenProvider) -> Self {
        Self {
            provider,
            cross_site: false,
        }
    }

    /// Answers pages of other sites too, as a single-page app on another domain needs. Such an app
    /// also needs CORS, which is set up in the web framework. Default: off.
    ///
    /// With it on, who may read a token is up to the app's CORS alone: keep its list of origins
    /// short, and never let it mirror any origin while it allows credentials.
    #[must_use]
    pub fn allow_cross_site(mut self, allow: bool) -> Self {
        self.cross_site = allow;
        self
    }

    /// The provider behind it.
    pub fn provider(&self) -> &TokenProvider {
        &self.provider
    }

    /// Reads the head of a request: method, query string without `?`, and headers, of which only
    /// [a few](Self::HEADERS) are needed.
    ///
    /// # Errors
    ///
    /// The reply to send instead, when the method is not answered (405) or the request comes from
    /// a page of another site (403). The app's hook need not be called then.
    #[expect(
        clippy::result_large_err,
        reason = "it is sent at once, and a box would be one more allocation"
    )]
    pub fn accept<'a>(
        &self,
        method: &str,
        query: Option<&str>,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Call, Reply> {
        let mut call = Call {
            head: method == "HEAD",
            held: Held::Nothing,
            rejected: query.filter(|query| !query.is_empty()).and_then(rejected),
        };
        if !matches!(method, "GET" | "HEAD" | "POST") {
            return Err(finish(call.head, Reply::method_not_allowed(Self::METHODS)));
        }
        let conditional = method != "POST";
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(IF_NONE_MATCH) && conditional {
                call.held.add(value);
            } else if name.eq_ignore_ascii_case(SEC_FETCH_SITE)
                && value.trim_ascii().eq_ignore_ascii_case(b"cross-site")
                && !self.cross_site
            {
                return Err(finish(call.head, Reply::cross_site()));
            }
        }
        Ok(call)
    }

    /// Answers a call for the signed-in user, or `None` if nobody is signed in.
    pub async fn reply(&self, call: &Call, signed_in: Option<TokenRequest>) -> Reply {
        let reply = match &signed_in {
            None => Reply::signed_out(),
            Some(request) => match self.token(call, request).await {
                Ok((token, left)) => {
                    let id = token.id();
                    let refused = call.rejected == Some(id);
                    if call.held.contains(&id) {
                        Reply::not_modified(&token, &id, left, refused)
                    } else {
                        Reply::token(&token, &id, left, self.provider.region(), refused)
                    }
                }
                Err(error) => Reply::failed(&error),
            },
        };
        finish(call.head, reply)
    }

    /// The answer when nobody is signed in, for an extractor, which has no [`Call`].
    pub fn signed_out(&self) -> Reply {
        finish(false, Reply::signed_out())
    }

    /// The answer when the provider has no token, for an extractor, which has no [`Call`]. It may
    /// log the error.
    pub fn failed(&self, error: &Error) -> Reply {
        finish(false, Reply::failed(error))
    }

    /// The token for a call, and what is left of its life.
    fn token<'a>(&'a self, call: &Call, request: &'a TokenRequest) -> Timed<'a> {
        self.provider.get_timed(request, call.wish())
    }
}

/// A request that [`Endpoint::accept`] let through. There is no other way to get one, so that its
/// checks cannot be skipped.
#[derive(Debug)]
pub struct Call {
    head: bool,
    held: Held,
    rejected: Option<TokenId>,
}

impl Call {
    /// A browser whose token was refused has no use for it, even if it also says that it holds it.
    fn wish(&self) -> Wish {
        match (&self.rejected, &self.held) {
            (Some(rejected), _) => Wish::Other(*rejected),
            (None, Held::These(ids)) => Wish::Newer(ids[0]),
            (None, Held::Nothing | Held::Whatever) => Wish::Any,
        }
    }
}

fn finish(head: bool, reply: Reply) -> Reply {
    metrics::replied(reply.status());
    reply.finish(head)
}

fn rejected(query: &str) -> Option<TokenId> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "rejected")
        .and_then(|(_, id)| TokenId::parse(&id))
}

const IF_NONE_MATCH: &str = "if-none-match";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Of the answers alone it takes ten seconds and more to tell: a younger token is not replaced.
    #[test]
    fn what_a_browser_says_of_its_token_is_what_the_provider_is_asked() {
        let endpoint = Endpoint::new(TokenProvider::builder("pk_test").build().unwrap());
        let (held, refused) = (TokenId::of("held"), TokenId::of("refused"));
        let tag = format!("\"{held}\"");
        let query = format!("rejected={refused}");
        let wish = |query, tag: Option<&str>| {
            let headers = tag.map(|tag| ("if-none-match", tag.as_bytes()));
            endpoint.accept("GET", query, headers).unwrap().wish()
        };
        assert!(matches!(wish(None, None), Wish::Any));
        assert!(matches!(wish(None, Some("*")), Wish::Any));
        assert!(matches!(wish(None, Some(&tag)), Wish::Newer(id) if id == held));
        for tag in [None, Some(&*tag)] {
            assert!(matches!(wish(Some(&query), tag), Wish::Other(id) if id == refused));
        }
        // As some clients write `-` and `_`, which half of all ids have.
        let odd = "rejected=-%5f-%2DAAAAAAAAAAAAAAAAAA";
        let id = TokenId::parse("-_--AAAAAAAAAAAAAAAAAA").unwrap();
        assert!(matches!(wish(Some(odd), None), Wish::Other(refused) if refused == id));
    }
}
