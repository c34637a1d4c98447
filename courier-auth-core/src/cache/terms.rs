use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::{
    events,
    request::{Grant, Terms, Wanted},
    scope::{is_documented, nearest},
};

/// Terms that many users' tokens have in common.
///
/// Where an app's hook gives scopes of its own each request makes them anew, and each token would
/// keep a copy that weighs a fifth of it.
#[derive(Debug, Default)]
pub(super) struct KnownTerms(Mutex<Vec<Arc<Terms>>>);

impl KnownTerms {
    /// What is wanted, to keep.
    pub(super) fn grant(&self, wanted: Wanted<'_>) -> Grant {
        Grant {
            user_id: wanted.user_id.into(),
            terms: self.find(wanted),
        }
    }

    fn find(&self, wanted: Wanted<'_>) -> Arc<Terms> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(terms) = known.iter().find(|terms| wanted.matches(terms)) {
            return Arc::clone(terms);
        }
        let terms = Arc::new(wanted.terms());
        if known.len() < MAX_KNOWN {
            known.push(Arc::clone(&terms));
            drop(known);
            note_undocumented(&terms);
        } else {
            // Any: those of many users soon come back.
            known[fastrand::usize(..MAX_KNOWN)] = Arc::clone(&terms);
        }
        terms
    }
}

/// Nothing else tells of a misspelt scope: Courier issues the token, and the Inbox stays empty.
fn note_undocumented(terms: &Terms) {
    let scopes = terms.scopes.as_str().split(' ');
    for scope in scopes.filter(|scope| !is_documented(scope)) {
        warn!(
            target: events::REQUEST,
            scope,
            nearest = nearest(scope),
            "Courier documents no such scope, and issues tokens with it all the same"
        );
    }
}

/// An app has one or two. Where scopes name one of many tenants there is little to be had in common.
const MAX_KNOWN: usize = 32;
