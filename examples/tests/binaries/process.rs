use std::{
    path::Path,
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// An example that runs. Dropped, it is killed.
pub(crate) struct Example {
    child: Child,
    pub(crate) url: String,
    log: JoinHandle<Vec<String>>,
}

impl Example {
    /// Starts a binary on a free port and waits until it listens.
    pub(crate) async fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = command(binary, environment).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (listens, url) = oneshot::channel();
        let log = tokio::spawn(async move {
            let mut listens = Some(listens);
            let mut log = Vec::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("listening on ")
                    && let Some(listens) = listens.take()
                {
                    listens.send(url.to_owned()).unwrap();
                }
                log.push(line);
            }
            log
        });
        Self {
            child,
            url: timeout(LIMIT, url).await.unwrap().unwrap(),
            log,
        }
    }

    pub(crate) fn name(binary: &str) -> &str {
        Path::new(binary).file_name().unwrap().to_str().unwrap()
    }

    /// Sends it SIGTERM, and returns its status and its log.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.end().await;
        let log = timeout(LIMIT, self.log).await.unwrap().unwrap();
        (status, log)
    }

    /// Sends it SIGTERM, and returns its status.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let pid = self.child.id().unwrap();
        let kill = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid.to_string()])
            .status();
        assert!(kill.await.unwrap().success());
        timeout(LIMIT, self.child.wait()).await.unwrap().unwrap()
    }
}

/// Runs a binary that is expected to end by itself.
pub(crate) async fn run(binary: &str, environment: &[(&str, &str)]) -> Output {
    let output = command(binary, environment).spawn().unwrap();
    let output = output.wait_with_output();
    timeout(LIMIT, output).await.unwrap().unwrap()
}

fn command(binary: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    for variable in [
        "COURIER_API_KEY",
        "COURIER_BASE_URL",
        "REDIS_URL",
        "TOKEN_LIFETIME",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command
        .env("PORT", "0")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Only to end a test that would hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
