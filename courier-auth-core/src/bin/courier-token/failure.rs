use std::{
    error::Error as StdError,
    io::{self, Write},
    process::ExitCode,
};

use courier_auth_core::{Error, ErrorKind};

use crate::screen::{self, BAD, HINT};

/// How a command ends.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Why a command could not do what it was asked to.
#[derive(PartialEq)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    help: Vec<String>,
}

impl Failure {
    /// The command line or a setting is at fault.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
            help: Vec::new(),
        }
    }

    /// Anything else.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self {
            code: WRONG,
            message: message.into(),
            help: Vec::new(),
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn into_parts(self) -> (u8, String, Vec<String>) {
        (self.code, self.message, self.help)
    }

    /// Prints it to stderr.
    pub(crate) fn tell(&self) -> ExitCode {
        // If stderr is gone, there is nobody to tell.
        let _told = self.write(&mut anstream::stderr());
        self.code.into()
    }

    fn write(&self, err: &mut impl Write) -> io::Result<()> {
        writeln!(err, "{BAD}error:{BAD:#} {}", screen::plain(&self.message))?;
        for help in &self.help {
            writeln!(err, "{HINT}  help:{HINT:#} {help}")?;
        }
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            code: code(&error),
            message: chain(&error),
            help: Vec::new(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::wrong(error.to_string())
    }
}

/// The exit status that goes with an error.
pub(crate) fn code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Configuration => USAGE,
        _ if error.is_transient() => UNREACHABLE,
        _ => WRONG,
    }
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

pub(crate) const WRONG: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const UNREACHABLE: u8 = 3;
