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

use std::{env, ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{
    connection::{looks_like_key, misplaced_key},
    failure::Outcome,
};

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
        // In a log of CI for example.
        Err(error) if repeats_a_key(&error) => return misplaced_key().tell(),
        Err(error) => error.exit(),
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

/// Whether what it says has an API key in it that the command line cannot place.
fn repeats_a_key(error: &clap::Error) -> bool {
    let said = error.to_string();
    let has_key = |argument: OsString| {
        // Also behind the name of an option or of a variable, and a `=`.
        let argument = argument.to_string_lossy();
        let mut words = argument.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|word| looks_like_key(word.as_ref()) && said.contains(word))
    };
    error.use_stderr() && env::args_os().any(has_key)
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
