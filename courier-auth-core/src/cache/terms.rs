use std::sync::{Arc, Mutex, PoisonError};

use crate::request::{Grant, Terms, Wanted};

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
        } else {
            // Any: those of many users soon come back.
            known[fastrand::usize(..MAX_KNOWN)] = Arc::clone(&terms);
        }
        terms
    }
}

/// An app has one or two. Where scopes name one of many tenants there is little to be had in common.
const MAX_KNOWN: usize = 32;
