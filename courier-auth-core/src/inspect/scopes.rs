//! For whom a token is, and what it opens.

use super::{
    Code, Finding, Inspection, Purpose,
    Severity::{Error, Info, Warning},
};
use crate::{
    request::{check_id, is_space},
    scope::{self, Scope},
};

/// The words of a scope string.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) users: Vec<String>,
    pub(super) scopes: Vec<String>,
}

impl Words {
    pub(super) fn of(scope: &str) -> Self {
        let mut words = Self::default();
        for word in scope.split(is_space).filter(|word| !word.is_empty()) {
            match word.strip_prefix("user_id:") {
                Some(user) => words.users.push(user.to_owned()),
                None => words.scopes.push(word.to_owned()),
            }
        }
        words
    }

    pub(super) fn check(&self, inspection: &Inspection, findings: &mut Vec<Finding>) {
        self.check_users(inspection.user.as_deref(), findings);
        self.check_purposes(inspection, findings);
        for scope in self.scopes.iter().take(MAX_WORDS) {
            check_word(scope, findings);
        }
    }

    fn check_users(&self, expected: Option<&str>, findings: &mut Vec<Finding>) {
        let user = match self.users.as_slice() {
            [user] if !user.is_empty() => user,
            [] | [_] => {
                findings.push(Finding::new(
                    Error,
                    Code::NoUser,
                    "Its scope names no user: it must begin with `user_id:` and, with no space \
                     between them, the id that the page gives to `signIn`.",
                ));
                return;
            }
            several => {
                findings.push(Finding::new(
                    Error,
                    Code::SeveralUsers,
                    format!(
                        "Its scope names {} users, so that it opens all of their inboxes. If an id \
                         with a space in it came from outside, somebody has smuggled in a scope: \
                         refuse such ids, as `UserId` does.",
                        several.len(),
                    ),
                ));
                return;
            }
        };
        if let Some(expected) = expected
            && expected != user
        {
            let case = if expected.eq_ignore_ascii_case(user) {
                " They differ in upper and lower case only, which matters."
            } else {
                ""
            };
            findings.push(Finding::new(
                Error,
                Code::WrongUser,
                format!(
                    "It is for the user {}, and not for {}: the `userId` of `signIn` must be the one \
                     in the token, and the message must have been sent to that user.{case}",
                    shown(user),
                    shown(expected),
                ),
            ));
        }
        if check_id("user id", user).is_err() {
            findings.push(Finding::new(
                Warning,
                Code::OddUserId,
                "The user's id is longer than 256 bytes, or has `*` or a control character \
                 in it, which this crate would refuse.",
            ));
        }
    }

    fn check_purposes(&self, inspection: &Inspection, findings: &mut Vec<Finding>) {
        if inspection.wants(Purpose::Inbox) {
            if !self.has(&Scope::INBOX_READ_MESSAGES) {
                findings.push(Finding::new(
                    Error,
                    Code::InboxReadMissing,
                    "`inbox:read:messages` is missing: the SDK connects without complaint, and the \
                     Inbox stays empty.",
                ));
            }
            if !self.has(&Scope::INBOX_WRITE_EVENTS) {
                findings.push(Finding::new(
                    // Enough for an unread badge.
                    Warning,
                    Code::InboxWriteMissing,
                    "`inbox:write:events` is missing: nothing can be marked read, opened or \
                     archived.",
                ));
            }
        }
        for (purpose, code, scopes, what) in [
            (
                Purpose::Preferences,
                Code::PreferencesMissing,
                &[Scope::READ_PREFERENCES, Scope::WRITE_PREFERENCES][..],
                "the preferences page",
            ),
            (
                Purpose::PushTokens,
                Code::PushTokensMissing,
                &[Scope::WRITE_USER_TOKENS][..],
                "storing push tokens from a phone",
            ),
            (
                Purpose::Brands,
                Code::BrandsMissing,
                &[Scope::READ_BRANDS][..],
                "a preferences page in the colours of a brand",
            ),
        ] {
            let missing = scopes.iter().filter(|scope| !self.has(scope));
            let missing: Vec<_> = missing.map(|scope| format!("`{scope}`")).collect();
            if missing.is_empty() {
                continue;
            }
            let severity = if inspection.wants(purpose) {
                Error
            } else {
                Info
            };
            let message = format!("{} missing, for {what}.", is_or_are(&missing));
            findings.push(Finding::new(severity, code, message));
        }
    }

    /// Whether one of the scopes is this one; a brand of its own counts as brands.
    fn has(&self, wanted: &Scope) -> bool {
        self.scopes.iter().any(|scope| {
            let rest = scope.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || (*wanted == Scope::READ_BRANDS && rest.starts_with(':'))
            })
        })
    }
}

/// Who splits at spaces alone, as Courier may, does not see the words on both sides of another.
pub(super) fn check_spaces(scope: &str, findings: &mut Vec<Finding>) {
    if scope.contains(|c| c != ' ' && is_space(c)) {
        findings.push(Finding::new(
            Warning,
            Code::WhitespaceInside,
            "Its scope has a line break or other whitespace in it, where Courier has spaces only: the \
             words on both sides may count as one, which opens nothing.",
        ));
    }
}

fn check_word(scope: &str, findings: &mut Vec<Finding>) {
    if scope.contains('*') {
        findings.push(Finding::new(
            Warning,
            Code::WildcardScope,
            format!(
                "{} has a wildcard, which opens more than one user's own data.",
                shown(scope)
            ),
        ));
    } else if scope.starts_with("tenant:") || scope.starts_with("tenants:") {
        findings.push(Finding::new(
            Info,
            Code::TenantScope,
            format!(
                "{} is for the embedded template designer. An Inbox needs no scope for a tenant: \
                 one token serves all tenants of a user.",
                shown(scope)
            ),
        ));
    } else if !scope::is_documented(scope) {
        let hint = match scope::nearest(scope) {
            Some(known) => format!(" Is `{known}` meant?"),
            None => String::new(),
        };
        findings.push(Finding::new(
            Warning,
            Code::UnknownScope,
            format!(
                "Courier documents no scope {}, and issues tokens with any without complaint.{hint}",
                shown(scope)
            ),
        ));
    }
}

fn is_or_are(names: &[String]) -> String {
    let verb = match names.len() {
        1 => "is",
        _ => "are",
    };
    format!("{} {verb}", names.join(" and "))
}

/// A word out of the token as it may stand in a sentence on a terminal.
fn shown(word: &str) -> String {
    let short: String = word.chars().take(MAX_SHOWN).collect();
    let dots = if short.len() < word.len() { "…" } else { "" };
    format!("`{}{dots}`", short.escape_debug())
}

/// More is not a token of Courier's, and nobody reads as many findings.
const MAX_WORDS: usize = 50;
const MAX_SHOWN: usize = 80;
