use serde::Serialize;

/// A kind of problem, as RFC 9457 has it.
#[derive(Serialize)]
pub(super) struct Problem {
    pub(super) status: u16,
    title: &'static str,
    /// Stable, for programs.
    code: &'static str,
    detail: &'static str,
}

pub(super) const SIGNED_OUT: Problem = Problem {
    status: 401,
    title: "Unauthorized",
    code: "signed_out",
    detail: "Nobody is signed in. Sign in to this app and ask again.",
};
pub(super) const CROSS_SITE: Problem = Problem {
    status: 403,
    title: "Forbidden",
    code: "cross_site",
    detail: "Tokens are not given to pages of other sites.",
};
pub(super) const METHOD_NOT_ALLOWED: Problem = Problem {
    status: 405,
    title: "Method Not Allowed",
    code: "method_not_allowed",
    detail: "Ask for a token with GET or POST.",
};
pub(super) const SCRIPT_METHOD_NOT_ALLOWED: Problem = Problem {
    status: 405,
    title: "Method Not Allowed",
    code: "method_not_allowed",
    detail: "Ask for the script with GET.",
};
pub(super) const INVALID_REQUEST: Problem = Problem {
    status: 500,
    title: "Internal Server Error",
    code: "invalid_token_request",
    detail: "The app asks for a token that cannot be issued. Its log says why.",
};
pub(super) const NOT_CONFIGURED: Problem = Problem {
    status: 500,
    title: "Internal Server Error",
    code: "not_configured",
    detail: "The app has not set up its token endpoint. Its log says how.",
};
pub(super) const COURIER_REFUSED: Problem = Problem {
    status: 502,
    title: "Bad Gateway",
    code: "courier_refused",
    detail: "Courier does not issue a token to this app. The app's log says why.",
};
pub(super) const COURIER_UNAVAILABLE: Problem = Problem {
    status: 503,
    title: "Service Unavailable",
    code: "courier_unavailable",
    detail: "Courier cannot be asked for a token at the moment. Try again later.",
};
