use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

/// Why a [`SharedCache`](super::SharedCache) did not do what it was asked.
///
/// No caller of a provider ever sees one: it is counted, logged, and shown in
/// [`Status`](crate::Status). Whatever it says ends up there, so it must hold no password.
#[derive(Clone, Debug)]
pub struct SharedCacheError {
    message: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl SharedCacheError {
    /// An error that says what happened.
    ///
    /// ```
    /// use courier_auth_core::SharedCacheError;
    ///
    /// let error = SharedCacheError::new("the connection was closed");
    /// assert_eq!(error.to_string(), "the connection was closed");
    /// ```
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// The same with its cause.
    ///
    /// ```
    /// use courier_auth_core::SharedCacheError;
    ///
    /// let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    /// let error = SharedCacheError::new("cannot read").with_source(cause);
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for SharedCacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for SharedCacheError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
