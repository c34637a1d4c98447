//! `courier-token` as it is run: a process, against the emulator.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../tls/server.rs"]
mod server;

mod doctor;
mod inspect;
mod issue;
mod unread;

use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use courier_auth_core::emulator::{Emulator, EmulatorServer};
use serde_json::Value;

const KEY: &str = "pk_canary_5ecre7";

/// What a run printed, and how it ended.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// What is of no use to a program and of no good on a pipe.
    fn is_plain(&self) {
        for text in [&self.out, &self.err] {
            assert!(!text.contains('\u{1b}'), "{text}");
            assert!(!text.contains(KEY), "{text}");
        }
    }
}

/// The program, in an environment with nothing of Courier's and no proxy.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_courier-token"));
    for variable in [
        "COURIER_API_KEY",
        "COURIER_BASE_URL",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

async fn finish(command: Command, input: &str) -> Run {
    let output = output(command, input, |_| ()).await;
    let run = Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    run.is_plain();
    run
}

/// Runs it off the runtime, on which the emulator answers.
async fn output(
    mut command: Command,
    input: &str,
    begun: impl FnOnce(&mut Child) + Send + 'static,
) -> Output {
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        begun(&mut child);
        // It may end without reading any of it.
        let _written = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    tokio::time::timeout(LIMIT, run).await.unwrap().unwrap()
}

async fn run(arguments: &[&str], input: &str) -> Run {
    finish(program(arguments), input).await
}

async fn with_courier(courier: &EmulatorServer, arguments: &[&str]) -> Run {
    let mut command = program(arguments);
    command.env("COURIER_API_KEY", KEY);
    command.env("COURIER_BASE_URL", courier.url());
    finish(command, "").await
}

async fn emulator() -> EmulatorServer {
    Emulator::with_api_key(KEY).serve(0).await.unwrap()
}

/// A file that is gone at the end of the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("courier-token-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _removed = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn colours_are_for_terminals() {
    let colours = async |variables: &[(&str, &str)]| {
        let mut command = program(&["inspect", "undefined"]);
        command.envs(variables.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!colours(&[]).await, "a pipe is no terminal");
    assert!(colours(&[("CLICOLOR_FORCE", "1")]).await);
    assert!(!colours(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await);
}

#[tokio::test]
async fn help_has_the_exit_statuses() {
    let run = run(&["--help"], "").await;
    assert_eq!(run.code, 0);
    for line in [
        "Exit status:",
        "  3  Courier cannot be reached",
        "COURIER_API_KEY",
        "NO_COLOR",
    ] {
        assert!(run.out.contains(line), "{}", run.out);
    }
    for command in ["issue", "inspect", "doctor"] {
        let run = self::run(&[command, "--help"], "").await;
        assert_eq!(run.code, 0);
        assert!(run.out.contains("Usage: courier-token"), "{}", run.out);
    }
}

/// Only to end a test that would hang.
const LIMIT: Duration = Duration::from_secs(60);
