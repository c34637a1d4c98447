use std::{error::Error, fmt, io};

/// Why an example does not start, or stopped: one line that says what to do.
///
/// `main` returns it, so that Rust prints it to stderr and exits with a status of 1.
pub struct StartError(String);

impl StartError {
    /// An error that says this.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What failed, and the error with its causes.
    pub(crate) fn because(what: &str, error: &dyn Error) -> Self {
        let mut message = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self(message)
    }
}

/// Debug is what Rust prints when `main` returns an error.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::because("the server failed", &error)
    }
}

impl From<courier_auth_core::Error> for StartError {
    fn from(error: courier_auth_core::Error) -> Self {
        Self::because("cannot use Courier", &error)
    }
}
