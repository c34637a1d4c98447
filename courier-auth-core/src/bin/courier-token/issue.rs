//! What the curl of Courier's documentation does.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use courier_auth_core::{
    Scope, Token, TokenRequest,
    inspect::{Code, Finding, Inspection, Report, Severity},
};
use serde_json::json;

use crate::{
    connection::Connection,
    duration::{expiry, parse_ms},
    failure::{Failure, Outcome, WRONG},
    screen::{self, BOLD},
};

/// Issues a token and prints it, alone, to stdout
///
/// For development and support: an app has a route for its users' tokens.
#[derive(Args)]
#[command(after_help = "\
Examples:
  courier-token issue --user user-1
  courier-token issue --user user-1 --scope 'inbox:read:messages inbox:write:events' --expires-in '2 days'
  courier-token issue --user user-1 | courier-token inspect --user user-1")]
pub(crate) struct Arguments {
    /// Whose token it is: the `userId` of the SDK's `signIn`
    #[arg(long, value_name = "ID")]
    user: String,

    /// What it opens; can be repeated, or hold several with spaces between them [default: all that
    /// the Inbox, preferences and push SDKs use, as in Courier's documentation]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// How long it lives: `2 days`, `1h`, `90 secs`, or a whole number of seconds
    #[arg(long, value_name = "TIME", default_value = "1 hour", value_parser = lifetime)]
    expires_in: Duration,

    /// Prints JSON with what is known about the token, and the token
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    let request = TokenRequest::for_user(arguments.user.as_str())
        .scopes(scopes(&arguments.scopes)?)
        .lifetime(arguments.expires_in);
    let key = arguments.connection.key()?;
    let client = arguments.connection.client(&key)?;
    let token = client.issue_token(&request).await.map_err(|error| {
        let refused = matches!(error.status(), Some(401 | 403));
        let failure = Failure::from(error);
        if refused {
            failure.with_help("`courier-token doctor` looks into what is wrong")
        } else {
            failure
        }
    })?;
    let text = if arguments.json {
        screen::json(&describe(&token, client.region().as_str()))
    } else {
        token.as_str().to_owned()
    };
    writeln!(anstream::stdout(), "{text}")
        .map_err(|error| Failure::wrong(format!("cannot print the token: {error}")))?;
    let report = Inspection::new()
        .user(token.user_id())
        .purposes([])
        .of(token.as_str());
    // If stderr is gone, there is nobody to tell.
    let _told = comment(&token, &report, arguments.expires_in);
    Ok(if report.findings.iter().any(is_of_no_use) {
        WRONG.into()
    } else {
        ExitCode::SUCCESS
    })
}

fn scopes(words: &[String]) -> Result<Vec<Scope>, Failure> {
    if words.is_empty() {
        return Ok(Scope::FULL.to_vec());
    }
    let words = words
        .iter()
        .flat_map(|words| words.split_ascii_whitespace());
    let scopes = words.map(Scope::new).collect::<Result<_, _>>();
    scopes.map_err(|error| {
        Failure::from(error)
            .with_help("the user is named by --user, and --scope is what may be done")
    })
}

/// As the token endpoint has it.
fn describe(token: &Token, region: &str) -> serde_json::Value {
    let expires_at = token.expires_at().duration_since(std::time::UNIX_EPOCH);
    json!({
        "token": token.as_str(),
        "user_id": token.user_id(),
        "scope": token.scope(),
        "expires_in": token.expires_in().as_secs(),
        "expires_at": expires_at.unwrap_or_default().as_secs(),
        "token_id": token.id().as_str(),
        "region": region,
    })
}

/// Says on a terminal what was issued, and anywhere if there is something odd about it.
fn comment(token: &Token, report: &Report, lifetime: Duration) -> io::Result<()> {
    let mut err = anstream::stderr();
    if io::stderr().is_terminal() {
        let user = screen::plain(token.user_id());
        let ends = httpdate::fmt_http_date(token.expires_at());
        writeln!(err, "for {BOLD}{user}{BOLD:#}, until {ends}")?;
    }
    for finding in &report.findings {
        let asked_for = finding.code == Code::ShortLived && lifetime <= SHORT_LIFE;
        if finding.severity > Severity::Info && !asked_for {
            screen::finding(&mut err, finding)?;
        }
    }
    Ok(())
}

/// When it begins and ends is left to the client, which has seen to that on Courier's clock: this
/// machine's may be wrong.
fn is_of_no_use(finding: &Finding) -> bool {
    finding.severity == Severity::Error
        && !matches!(finding.code, Code::Expired | Code::NotYetValid)
}

/// Courier's grammar, but for a number alone, which Courier reads as milliseconds and nobody means.
fn lifetime(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let seconds = if text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        parse_ms(text).and_then(|ms| u64::try_from(expiry(0, ms / 1000.0)).ok())
    } else {
        text.parse().ok()
    };
    seconds.map(Duration::from_secs).ok_or_else(|| {
        "write a number and a unit, such as `2 days`, `1h` or `90 secs`, or a whole number of seconds"
            .to_owned()
    })
}

/// As in an inspection.
const SHORT_LIFE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::lifetime;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [
            ("3600", 3600),
            ("1h", 3600),
            ("2 days", 172_800),
            (" 1.5 hrs ", 5400),
            ("90000 ms", 90),
            ("0", 0),
        ] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        // Of the numbers alone, those that are not whole would be milliseconds.
        for text in ["36000.5", "3600.0", ".5", "99999999999999999999", "-5"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
        for text in ["", "-1h", "1 month", "$YOUR_NUMBER days", "soon"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
