use std::io::{self, Write};

use courier_auth_core::inspect::Severity;
use serde::Serialize;

use crate::{
    failure::Failure,
    screen::{self, BOLD, DIM, HINT, mark},
};

/// One thing that was looked at.
#[derive(Serialize)]
pub(crate) struct Check {
    check: &'static str,
    state: State,
    /// What is wrong, for programs.
    code: Option<String>,
    message: String,
    help: Vec<String>,
    #[serde(skip)]
    exit: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl Check {
    pub(crate) fn good(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, State::Ok, None, message)
    }

    pub(crate) fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, None, message)
    }

    pub(crate) fn warning(check: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self::new(check, State::Warning, Some(code), message)
    }

    pub(crate) fn failed(
        check: &'static str,
        code: &str,
        exit: u8,
        message: impl Into<String>,
    ) -> Self {
        Self {
            exit,
            ..Self::new(check, State::Failed, Some(code), message)
        }
    }

    /// A failure that would have ended another command.
    pub(crate) fn refused(check: &'static str, code: &str, failure: Failure) -> Self {
        let (exit, message, help) = failure.into_parts();
        Self {
            help,
            ..Self::failed(check, code, exit, message)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    fn new(
        check: &'static str,
        state: State,
        code: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            code: code.map(str::to_owned),
            message: message.into(),
            help: Vec::new(),
            exit: 0,
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (mark, style) = match self.state {
            State::Ok => mark(None),
            State::Warning => mark(Some(Severity::Warning)),
            State::Failed => mark(Some(Severity::Error)),
            State::Skipped => ("-", DIM),
        };
        let name = self.check;
        write!(out, "  {style}{mark}{style:#} {name:<12}")?;
        let message = screen::plain(&self.message);
        let Some(code) = &self.code else {
            let style = if self.state == State::Skipped {
                DIM
            } else {
                anstyle::Style::new()
            };
            return writeln!(out, "{style}{message}{style:#}");
        };
        writeln!(out, "{BOLD}{code}{BOLD:#}")?;
        screen::paragraph(out, INDENT, &message)?;
        for help in &self.help {
            write!(out, "{INDENT}{HINT}→{HINT:#}")?;
            let mut lines = Vec::new();
            screen::paragraph(&mut lines, "                  ", help)?;
            // The first line follows the arrow.
            let text = String::from_utf8_lossy(&lines);
            write!(out, " {}", text.trim_start())?;
        }
        Ok(())
    }
}

/// All that was looked at, told as it comes.
pub(crate) struct Checks {
    checks: Vec<Check>,
    /// Whether to print each at once: one that hangs should be seen to.
    print: bool,
}

impl Checks {
    pub(crate) fn new(print: bool) -> Self {
        Self {
            checks: Vec::new(),
            print,
        }
    }

    pub(crate) fn add(&mut self, check: Check) -> io::Result<()> {
        if self.print {
            let mut out = anstream::stdout();
            screen::seen(check.print(&mut out).and_then(|()| out.flush()))?;
        }
        self.checks.push(check);
        Ok(())
    }

    /// What could not be looked at any more.
    pub(crate) fn skip_the_rest(&mut self) -> io::Result<()> {
        for name in ALL {
            if !self.checks.iter().any(|check| check.check == name) {
                self.add(Check::skipped(name, "not reached"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> &[Check] {
        &self.checks
    }

    pub(crate) fn has_passed(&self, name: &str) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.check == name && check.state == State::Ok)
    }

    pub(crate) fn warnings(&self) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.state == State::Warning).count()
    }

    /// The exit status: that of the first failure.
    pub(crate) fn code(&self) -> u8 {
        let failed = self.checks.iter().find(|check| check.is_failed());
        failed.map_or(0, |check| check.exit)
    }
}

const ALL: [&str; 7] = [
    "api-key",
    "base-url",
    "dns",
    "connection",
    "clock",
    "token",
    "inspection",
];
const INDENT: &str = "                ";
