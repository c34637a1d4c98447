use std::sync::LazyLock;

use super::{Endpoint, IF_NONE_MATCH, held::Held, reply::Reply};
use crate::token::TokenId;

impl Endpoint {
    /// The browser helper's path below the prefix.
    pub const SCRIPT_PATH: &'static str = "/session.js";

    /// Answers a request for the browser helper, `session.js`: an ES module that signs a page in
    /// to Courier and keeps its token fresh.
    ///
    /// It is the same for everyone, so no sign-in is needed and pages of any site may load it.
    /// Browsers revalidate it each time, so that it always matches the endpoint.
    pub fn script<'a>(
        method: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Reply {
        if !matches!(method, "GET" | "HEAD") {
            return Reply::script_method_not_allowed(METHODS).finish_script(false);
        }
        let mut held = Held::default();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(IF_NONE_MATCH) {
                held.add(value);
            }
        }
        let reply = if held.contains(&TAG) {
            Reply::script_not_modified()
        } else {
            Reply::script(SCRIPT)
        };
        reply.with_etag(&TAG).finish_script(method == "HEAD")
    }
}

const METHODS: &str = "GET, HEAD";
const SCRIPT: &str = include_str!("../../js/session.js");
/// Made like a token's, so that `If-None-Match` is read the same way.
static TAG: LazyLock<TokenId> = LazyLock::new(|| TokenId::of(SCRIPT));
