//! Why is there no token?

mod advice;
mod check;
mod network;

use std::{io, io::Write, process::ExitCode, time::Duration};

use clap::Args;
use courier_auth_core::{
    CourierClient, Token, TokenRequest,
    inspect::{Inspection, Report, Severity},
};
use secrecy::ExposeSecret;
use serde_json::json;

use self::check::{Check, Checks};
use crate::{
    connection::Connection,
    failure::{Outcome, USAGE, WRONG, code},
    screen::{self, BAD, GOOD, WARN},
};

/// Checks the API key, the way to Courier, the clock, and one issued token
///
/// The token lives for five minutes and is thrown away.
#[derive(Args)]
pub(crate) struct Arguments {
    /// For whom the token is issued
    #[arg(long, value_name = "ID", default_value = "courier-token-doctor")]
    user: String,

    /// Prints JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    let mut checks = Checks::new(!arguments.json);
    let report = examine(arguments, &mut checks).await?;
    checks.skip_the_rest()?;
    let mut out = anstream::stdout();
    let printed = if arguments.json {
        let json = json!({ "ok": checks.code() == 0, "checks": checks.all(), "token": report });
        writeln!(out, "{}", screen::json(&json))
    } else {
        verdict(&mut out, &checks)
    };
    screen::seen(printed)?;
    Ok(ExitCode::from(checks.code()))
}

/// Goes on for as long as one thing can be told from the next.
async fn examine(arguments: &Arguments, checks: &mut Checks) -> io::Result<Option<Report>> {
    let Some(client) = settings(&arguments.connection, checks)? else {
        return Ok(None);
    };
    let Some(probe) = network::check(&client, checks).await? else {
        return Ok(None);
    };
    let Some(token) = issue(&client, &arguments.user, checks).await? else {
        return Ok(None);
    };
    let report = Inspection::new()
        .user(arguments.user.as_str())
        // A clock that is wrong was told of already.
        .at(network::couriers_time(&probe))
        .of(token.as_str());
    checks.add(inspection(&report))?;
    Ok(Some(report))
}

fn settings(connection: &Connection, checks: &mut Checks) -> io::Result<Option<CourierClient>> {
    let key = match connection.key() {
        Ok(key) => key,
        Err(failure) => {
            checks.add(Check::refused("api-key", "api-key-missing", failure))?;
            return Ok(None);
        }
    };
    // With nothing else that could be wrong, TLS neither.
    let with_key = || CourierClient::builder(key.secret.expose_secret());
    if let Err(error) = with_key().base_url("http://127.0.0.1").build() {
        let check = Check::failed("api-key", "api-key-malformed", USAGE, error.to_string());
        checks.add(check.help(advice::KEY))?;
        return Ok(None);
    }
    let check = advice::shape(&key);
    let failed = check.is_failed();
    checks.add(check)?;
    if failed {
        return Ok(None);
    }
    if let Err(failure) = connection.build(with_key().base_url("http://127.0.0.1")) {
        let check = Check::refused("connection", "root-certificate-wrong", failure);
        checks.add(check.help(advice::ROOT_CERTIFICATE))?;
        return Ok(None);
    }
    match connection.client(&key) {
        Ok(client) => {
            let place = format!("{}, {}", client.region().as_str(), client.base_url());
            let place = place.trim_end_matches('/');
            checks.add(Check::good("base-url", place))?;
            Ok(Some(client))
        }
        Err(failure)
            if with_key()
                .build()
                .is_err_and(|error| failure == error.into()) =>
        {
            let check = Check::refused("connection", "no-authorities", failure);
            checks.add(check.help(advice::AUTHORITIES))?;
            Ok(None)
        }
        Err(failure) => {
            let check = Check::refused("base-url", "settings-wrong", failure);
            checks.add(check.help(advice::BASE_URL))?;
            Ok(None)
        }
    }
}

async fn issue(
    client: &CourierClient,
    user: &str,
    checks: &mut Checks,
) -> io::Result<Option<Token>> {
    let request = TokenRequest::for_user(user).lifetime(LIFETIME);
    match client.issue_token(&request).await {
        Ok(token) => {
            checks.add(Check::good("token", format!("issued for {user}")))?;
            Ok(Some(token))
        }
        Err(error) => {
            let (name, help) = advice::refusal(&error);
            let mut check = Check::failed("token", name, code(&error), error.to_string());
            for help in help {
                check = check.help(*help);
            }
            checks.add(check)?;
            Ok(None)
        }
    }
}

fn inspection(report: &Report) -> Check {
    let mut check = match report.findings.first() {
        Some(worst) if worst.severity == Severity::Error => {
            Check::failed("inspection", worst.code.as_str(), WRONG, &worst.message)
        }
        Some(worst) if worst.severity == Severity::Warning => {
            Check::warning("inspection", worst.code.as_str(), &worst.message)
        }
        _ => Check::good(
            "inspection",
            "for that user, with the scopes of an Inbox, and in time",
        ),
    };
    if report.worst() > Some(Severity::Info) {
        check = check.help(advice::INSPECTION);
    }
    for finding in report.findings.iter().skip(1) {
        if finding.severity > Severity::Info {
            check = check.help(&finding.message);
        }
    }
    check
}

fn verdict(out: &mut impl Write, checks: &Checks) -> io::Result<()> {
    writeln!(out)?;
    match (checks.code(), checks.warnings()) {
        (0, 0) => writeln!(out, "{GOOD}✓ Tokens can be issued from here.{GOOD:#}"),
        (0, _) => writeln!(
            out,
            "{WARN}! Tokens can be issued from here, but see the warning above.{WARN:#}"
        ),
        _ if checks.has_passed("token") => writeln!(
            out,
            "{BAD}✗ Tokens can be issued from here, but see the failure above.{BAD:#}"
        ),
        _ => writeln!(out, "{BAD}✗ Tokens cannot be issued from here.{BAD:#}"),
    }
}

const LIFETIME: Duration = Duration::from_secs(300);
