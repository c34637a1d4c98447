use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

/// What Courier answered, unchecked.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The user and the token, as the cache will keep them.
    pub(super) texts: SecretString,
    user_bytes: usize,
    /// The `Date` header: Courier's clock.
    pub(crate) date: Option<SystemTime>,
}

impl Issued {
    /// What Courier answered for this user.
    pub(crate) fn new(user: &str, token: &str, date: Option<SystemTime>) -> Self {
        Self {
            texts: joined([user, token]),
            user_bytes: user.len(),
            date,
        }
    }

    pub(super) fn texts(&self) -> (&str, &str) {
        self.texts.expose_secret().split_at(self.user_bytes)
    }
}

/// Of the right size: a string that grows leaves parts of the token in freed memory.
pub(super) fn joined<const N: usize>(texts: [&str; N]) -> SecretString {
    let mut all = String::with_capacity(texts.iter().map(|text| text.len()).sum());
    all.extend(texts);
    all.into()
}
