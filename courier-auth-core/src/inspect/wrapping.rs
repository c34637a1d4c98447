//! What a copy-paste brings along with a token.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    Code, Finding,
    Severity::{Error, Info, Warning},
};
use crate::request::is_space;

/// Takes off what is not part of the token, and says what that was.
pub(super) fn unwrap(text: &str, findings: &mut Vec<Finding>) -> String {
    let mut token = text.to_owned();
    // Each round takes off one layer: quotes around `Bearer` around quotes, say.
    for _ in 0..MAX_LAYERS {
        let Some((inner, finding)) = layer(&token) else {
            break;
        };
        if !findings.iter().any(|known| known.code == finding.code) {
            findings.push(finding);
        }
        token = inner;
    }
    if token.contains(is_space) {
        findings.push(Finding::new(
            Error,
            Code::WhitespaceInside,
            "There is whitespace or a line break inside the token: it was wrapped by a terminal or \
             an e-mail, or more than the token was copied. Copy it again; what follows is about the \
             token without it.",
        ));
        token.retain(|c| !is_space(c));
    }
    token
}

/// The body of an answer that `curl -i` prints with its head, or with several.
pub(super) fn body(mut text: &str) -> &str {
    while text.trim_start_matches(is_space).starts_with("HTTP/") {
        let blank = ["\r\n\r\n", "\n\n"];
        let parts = blank.iter().find_map(|blank| text.split_once(blank));
        // A head alone easily loses its last line break, when it is copied or read.
        text = parts.map_or("", |(_, rest)| rest);
    }
    text
}

/// What a token's route answers when it has none, as `curl` shows it.
pub(super) fn no_token(text: &str) -> Option<Finding> {
    if let Some(finding) = page(text) {
        return Some(finding);
    }
    let text = text.trim_matches(is_space);
    let is_json = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    (is_json && json_wrapper(text).is_none()).then(|| {
        let message = if holds_a_jwt(text) {
            "This is a JSON answer whose token is not in a field `token`, where Courier and this \
             crate have it: copy the token alone."
        } else {
            "This is a JSON answer without a `token`: whoever was asked gave none, and says in it \
             why. `signed_out` means that the request came without the session's cookie or the \
             bearer token of who is signed in."
        };
        Finding::new(Error, Code::JsonWrapper, message)
    })
}

/// What answers in place of the token's route.
pub(super) fn page(text: &str) -> Option<Finding> {
    let text = text.trim_matches(is_space);
    let is_whole = ["<!doctype", "<html"]
        .iter()
        .any(|start| strip_prefix_ignoring_case(text, start).is_some());
    let is_piece = text.starts_with('<') && text.contains("</") && !holds_a_jwt(text);
    (is_whole || is_piece).then(|| {
        Finding::new(
            Error,
            Code::NotAJwt,
            "This is a page and not a token: that of a login most likely, because the request came \
             without the session's cookie or the bearer token of who is signed in.",
        )
    })
}

/// Why this cannot be a token at all.
pub(super) fn not_a_token(text: &str) -> Option<Finding> {
    let error = |code, message| Some(Finding::new(Error, code, message));
    if text.is_empty() {
        return error(
            Code::Empty,
            "There is no token here. If it comes from a variable or a field, see what sets it.",
        );
    }
    if is_placeholder(text) {
        return error(
            Code::Placeholder,
            "This is a placeholder and not a token: something was to put the token here and did \
             not.",
        );
    }
    if looks_like_api_key(text) {
        return error(
            Code::ApiKey,
            "This looks like an API key and not like a token. It must never reach a browser or a \
             phone: if it did, revoke it in Courier (Settings, API Keys). With it your server asks \
             Courier for the user's token.",
        );
    }
    if text.len() > MAX_TOKEN_BYTES {
        return Some(too_long());
    }
    None
}

pub(super) fn too_long() -> Finding {
    Finding::new(
        Error,
        Code::TooLong,
        "This is longer than 16 KiB: no header carries that, and Courier's tokens have a few \
         hundred characters. Something else was copied along with it.",
    )
}

fn layer(text: &str) -> Option<(String, Finding)> {
    let warning = |code, message| Finding::new(Warning, code, message);
    let trimmed = text.trim_matches(is_space);
    if trimmed.len() < text.len() {
        return Some((
            trimmed.to_owned(),
            warning(
                Code::SurroundingWhitespace,
                "There is whitespace or a line break around the token: take it off before you \
                 pass it on, since `signIn` takes the token as it is.",
            ),
        ));
    }
    if let Some(token) = json_wrapper(text) {
        // No warning: `curl … | courier-token inspect` is how the route's answer is looked at.
        let note = Finding::new(
            Info,
            Code::JsonWrapper,
            "This is a whole JSON answer. The token, which is what `signIn` takes, is in its field \
             `token`; what follows is about that.",
        );
        return Some((token, note));
    }
    let quoted = QUOTES.iter().find_map(|&(open, close)| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        Some(inner.to_owned())
    });
    if let Some(inner) = quoted {
        return Some((
            inner,
            warning(
                Code::Quoted,
                "There are quotes around the token, which are not part of it.",
            ),
        ));
    }
    let header = strip_prefix_ignoring_case(text, "authorization:").unwrap_or(text);
    let header = header.trim_start_matches(is_space);
    let token = strip_prefix_ignoring_case(header, "bearer")
        .filter(|rest| rest.starts_with(is_space) || rest.is_empty())
        .map(|rest| rest.trim_start_matches(is_space));
    token.map(|token| {
        (
            token.to_owned(),
            warning(
                Code::BearerPrefix,
                "`Bearer` belongs into the header and not into the token: the SDKs write it \
                 themselves, and with it in the token Courier answers 401.",
            ),
        )
    })
}

fn json_wrapper(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let answer: Value = serde_json::from_str(text).ok()?;
    let token = answer.get("token")?.as_str()?;
    Some(token.to_owned())
}

fn is_placeholder(text: &str) -> bool {
    // Around a token, it is a piece of a page or of a program.
    let framed =
        |open, close| text.starts_with(open) && text.ends_with(close) && !holds_a_jwt(text);
    matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "undefined" | "none" | "nil" | "nan" | "[object object]" | "[object promise]"
    ) || text.starts_with('$')
        || framed('<', '>')
        || framed('{', '}')
        || framed('[', ']')
        || text.to_ascii_uppercase().starts_with("YOUR")
}

/// As a JWT begins: `{"` in base64.
fn holds_a_jwt(text: &str) -> bool {
    text.contains("eyJ")
}

/// Courier's begin with `pk_`; other services use the same form.
fn looks_like_api_key(text: &str) -> bool {
    let has_prefix = ["pk_", "sk_"]
        .iter()
        .any(|prefix| strip_prefix_ignoring_case(text, prefix).is_some());
    has_prefix && !text.contains('.')
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

const QUOTES: [(char, char); 5] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
];
const MAX_LAYERS: usize = 8;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
