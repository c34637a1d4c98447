//! `courier-token`: issues, inspects and diagnoses the tokens of Courier's Inbox SDKs.

mod connection;
mod doctor;
#[path = "../../emulator/duration.rs"]
mod duration;
mod failure;
mod inspect;
mod issue;
#[path = "../../client/loopback.rs"]
mod loopback;
mod screen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::{connection::misplaced, failure::Outcome};

/// Issues, inspects and diagnoses the tokens of Courier's Inbox SDKs.
#[derive(Parser)]
#[command(name = "courier-token", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Issue(issue::Arguments),
    Inspect(inspect::Arguments),
    Doctor(doctor::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => match misplaced(&error.to_string()) {
            // In a log of CI for example.
            Some(failure) if error.use_stderr() => return failure.tell(),
            _ => error.exit(),
        },
    };
    let outcome = match &arguments.command {
        Command::Issue(arguments) => block_on(issue::run(arguments)),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Doctor(arguments) => block_on(doctor::run(arguments)),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn block_on(run: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run)
}

const EXIT_CODES: &str = "\
Exit status:
  0  all is well; there may be warnings
  1  something is wrong: with the token, or Courier refuses
  2  something is wrong with the command line or the settings
  3  Courier cannot be reached, or cannot answer at the moment

Environment:
  COURIER_API_KEY   the API key of your workspace, unless --api-key-file is given
  COURIER_BASE_URL  the address of Courier's API, unless --base-url is given
  NO_COLOR          no colours on a terminal either";
