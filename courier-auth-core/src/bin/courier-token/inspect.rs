//! What is wrong with this token?

use std::{
    io::{self, IsTerminal, Read, Write},
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use courier_auth_core::inspect::{Inspection, Purpose, Report, Severity};
use serde_json::json;

use crate::{
    failure::{Outcome, WRONG},
    screen::{self, BAD, BOLD, DIM, GOOD, WARN},
};

/// Decodes a token and says what is wrong with it
///
/// Nothing is sent anywhere, and the token is not printed. Its signature is not checked: only
/// Courier can.
#[derive(Args)]
#[command(after_help = "\
Examples:
  pbpaste | courier-token inspect
  curl -s -b jar https://app.example/courier/token | courier-token inspect --user user-1
  courier-token inspect --for inbox,preferences --json <token.txt")]
pub(crate) struct Arguments {
    /// The token [default: stdin, which leaves no trace in the history of the shell]
    // Several words, so that `Bearer` in front of it needs no quotes.
    #[arg(value_name = "TOKEN")]
    words: Vec<String>,

    /// Whose token it should be: the `userId` of the SDK's `signIn`
    #[arg(long, value_name = "ID")]
    user: Option<String>,

    /// What it must be good for, with commas between them
    #[arg(
        long = "for",
        value_enum,
        value_delimiter = ',',
        default_value = "inbox"
    )]
    purposes: Vec<Need>,

    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Need {
    /// Inbox and toasts
    Inbox,
    /// The preferences page
    Preferences,
    /// Push tokens of mobile SDKs
    PushTokens,
    /// A preferences page in the colours of a brand
    Brands,
}

impl From<Need> for Purpose {
    fn from(need: Need) -> Self {
        match need {
            Need::Inbox => Self::Inbox,
            Need::Preferences => Self::Preferences,
            Need::PushTokens => Self::PushTokens,
            Need::Brands => Self::Brands,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let token = match arguments.words.as_slice() {
        [] => from_stdin()?,
        [word] if word == "-" => from_stdin()?,
        words => words.join(" "),
    };
    let mut inspection =
        Inspection::new().purposes(arguments.purposes.iter().copied().map(Purpose::from));
    if let Some(user) = &arguments.user {
        inspection = inspection.user(user.as_str());
    }
    let report = inspection.of(&token);
    let mut out = anstream::stdout();
    let printed = if arguments.json {
        let mut json = json!(report);
        json["ok"] = report.is_good().into();
        writeln!(out, "{}", screen::json(&json))
    } else {
        print(&mut out, &report)
    };
    screen::seen(printed)?;
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        WRONG.into()
    })
}

fn from_stdin() -> io::Result<String> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        writeln!(
            anstream::stderr(),
            "Paste the token, then press Enter and Ctrl-D:"
        )?;
    }
    let mut bytes = Vec::new();
    stdin.take(MAX_INPUT_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // What `echo` and pipes end with.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut row = |name: &str, value: &str| {
        if value.is_empty() {
            Ok(())
        } else {
            writeln!(out, "  {DIM}{name:<12}{DIM:#}{}", screen::plain(value))
        }
    };
    row("user", &report.user_ids.join(", "))?;
    row("scopes", &report.scopes.join(" "))?;
    row("issued", &report.issued_at.map(date).unwrap_or_default())?;
    row("ends", &report.expires_at.map(date).unwrap_or_default())?;
    row(
        "environment",
        report.environment.as_deref().unwrap_or_default(),
    )?;
    row("token_id", report.token_id.as_deref().unwrap_or_default())?;
    if report.token_id.is_some() {
        writeln!(out)?;
    }
    for finding in &report.findings {
        screen::finding(out, finding)?;
    }
    writeln!(out)?;
    verdict(out, report)
}

fn verdict(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let count = |severity| {
        let of_it = report.findings.iter().filter(|it| it.severity == severity);
        of_it.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural = |count, what| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let warned = plural(warnings, "warning");
    match (errors, warnings) {
        (0, 0) => writeln!(out, "{GOOD}✓ Nothing is wrong with it.{GOOD:#}"),
        (0, _) => writeln!(out, "{WARN}! It works, with {warned}.{WARN:#}"),
        (errors, _) => {
            let errors = plural(errors, "error");
            writeln!(
                out,
                "{BAD}✗ It does not work:{BAD:#} {BOLD}{errors}{BOLD:#}, {warned}."
            )
        }
    }
}

/// A time as HTTP writes it, which is one that people can read.
fn date(unix: i64) -> String {
    let seconds = u64::try_from(unix).unwrap_or_default();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    if seconds <= LAST_SECOND {
        httpdate::fmt_http_date(time)
    } else {
        format!("{seconds} s after 1970")
    }
}

const MAX_INPUT_BYTES: u64 = 1024 * 1024;
/// 31 December 9999, the last day an HTTP date can name.
const LAST_SECOND: u64 = 253_402_300_799;
