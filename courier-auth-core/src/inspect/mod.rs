//! What is wrong with a token.

mod claims;
mod finding;
mod scopes;
mod times;
mod wrapping;

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::Value;

use self::{
    Severity::Error,
    scopes::{Words, check_spaces},
    times::Times,
    wrapping::{body, no_token, not_a_token, page, too_long, unwrap},
};
use crate::token::TokenId;

pub use self::finding::{Code, Finding, Severity};

/// Finds out what is wrong with a token for an Inbox, offline.
///
/// It checks what Courier's troubleshooting page says to check, and what goes wrong when a token is
/// copied from one place to another. The signature is not checked: only Courier can do that. The
/// token itself is not part of the report. [`Inspection`] has more options.
///
/// ```
/// use courier_auth_core::inspect::{Code, inspect};
///
/// let report = inspect("pk_prod_0123456789");
/// assert!(!report.is_good());
/// assert_eq!(report.findings[0].code, Code::ApiKey);
/// assert_eq!(report.findings[0].code.as_str(), "api-key");
/// ```
pub fn inspect(token: &str) -> Report {
    Inspection::new().of(token)
}

/// What to check a token for.
///
/// ```
/// use courier_auth_core::inspect::{Inspection, Purpose};
///
/// # let token = "";
/// let report = Inspection::new()
///     .user("user-1")
///     .purposes([Purpose::Inbox, Purpose::Preferences])
///     .of(token);
/// for finding in &report.findings {
///     println!("{}: {}", finding.code, finding.message);
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Inspection {
    user: Option<String>,
    purposes: BTreeSet<Purpose>,
    now: Option<SystemTime>,
}

impl Inspection {
    /// An inspection for the Inbox, of any user, now.
    pub fn new() -> Self {
        Self {
            user: None,
            purposes: BTreeSet::from([Purpose::Inbox]),
            now: None,
        }
    }

    /// The user it should belong to. Default: any.
    pub fn user(mut self, user_id: impl Into<String>) -> Self {
        self.user = Some(user_id.into());
        self
    }

    /// What it must be usable for; other missing scopes are reported as [`Severity::Info`]. Default:
    /// [`Purpose::Inbox`].
    pub fn purposes(mut self, purposes: impl IntoIterator<Item = Purpose>) -> Self {
        self.purposes = purposes.into_iter().collect();
        self
    }

    /// The time to check against. Default: now.
    pub fn at(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Checks this token.
    pub fn of(&self, text: &str) -> Report {
        let now = self.now.unwrap_or_else(SystemTime::now);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut report = Report::default();
        self.look(text, now.as_secs_f64(), &mut report);
        // The worst first, and otherwise as they were found.
        report
            .findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        report
    }

    fn look(&self, text: &str, now: f64, report: &mut Report) {
        let findings = &mut report.findings;
        if text.len() > MAX_TEXT_BYTES {
            findings.push(page(text).unwrap_or_else(too_long));
            return;
        }
        let text = body(text);
        if let Some(finding) = no_token(text) {
            findings.push(finding);
            return;
        }
        let token = unwrap(text, findings);
        if let Some(finding) = not_a_token(&token) {
            findings.push(finding);
            return;
        }
        report.token_id = Some(TokenId::of(&token).to_string());
        let Some(claims) = claims::read(&token, findings) else {
            return;
        };
        claims::check_issuer(&claims, findings);

        let times = Times::read(&claims, findings);
        let has_exp = claims.get("exp").is_some_and(|exp| !exp.is_null());
        times.check(has_exp, now, findings);
        report.issued_at = times.iat.map(whole);
        report.expires_at = times.exp.map(whole);
        report.expires_in = times.exp.map(|exp| whole(exp - now));

        match claims.get("scope") {
            Some(Value::String(scope)) => {
                check_spaces(scope, findings);
                let words = Words::of(scope);
                words.check(self, findings);
                report.user_ids = words.users;
                report.scopes = words.scopes;
            }
            _ => findings.push(Finding::new(
                Error,
                Code::NoScope,
                "It has no `scope`, in which Courier's tokens name their user and what they open: \
                 it is not one of Courier's.",
            )),
        }
        let environment = claims.get("tenant_scope").and_then(Value::as_str);
        report.environment = environment.map(str::to_owned);
    }

    fn wants(&self, purpose: Purpose) -> bool {
        self.purposes.contains(&purpose)
    }
}

impl Default for Inspection {
    fn default() -> Self {
        Self::new()
    }
}

/// What a token can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Inbox and toasts.
    Inbox,
    /// The preferences page.
    Preferences,
    /// Push tokens of mobile SDKs.
    PushTokens,
    /// A preferences page in the colours of a brand.
    Brands,
}

/// What a token says, and what is wrong with it. It does not contain the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The fingerprint that the token endpoint calls `token_id`, if there is a token.
    pub token_id: Option<String>,
    /// The users that its scope names: one, if all is well.
    pub user_ids: Vec<String>,
    /// Its scopes, without the users.
    pub scopes: Vec<String>,
    /// When it was issued, in Unix seconds.
    pub issued_at: Option<i64>,
    /// When it expires, in Unix seconds.
    pub expires_at: Option<i64>,
    /// How many seconds are left of it; negative if it has expired.
    pub expires_in: Option<i64>,
    /// The environment of the workspace (`tenant_scope`), such as `published/production`.
    pub environment: Option<String>,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether there is no [`Severity::Error`] among the findings.
    pub fn is_good(&self) -> bool {
        self.worst() != Some(Error)
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether there is a finding with this code.
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the times were checked, and the cast saturates"
)]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

/// A token of the greatest size, in JSON and quotes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
