//! Redis and Valkey servers of the tests' own: on loopback, with no disk, gone when dropped.

use std::{
    env, fs, io,
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Valkey,
}

impl Kind {
    /// Whether it can be tested with. If not, it is said once, or it is a failure where
    /// `COURIER_AUTH_REQUIRE_REDIS` is set.
    pub(crate) fn is_there(self) -> bool {
        static SAID: [Once; 2] = [Once::new(), Once::new()];
        let (name, variable) = self.names();
        if self.binary().is_some() {
            return true;
        }
        assert!(
            env::var_os("COURIER_AUTH_REQUIRE_REDIS").is_none(),
            "{name} is neither in PATH nor in {variable}, and COURIER_AUTH_REQUIRE_REDIS is set"
        );
        SAID[self as usize].call_once(|| {
            say(&format!(
                "left out: tests with {name}, which is not installed; `bash .ci/redis` installs it \
                 and runs them"
            ));
        });
        false
    }

    /// The program: that of `REDIS_SERVER` or `VALKEY_SERVER`, or else the one in `PATH`.
    fn binary(self) -> Option<PathBuf> {
        let (name, variable) = self.names();
        if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
            return Some(PathBuf::from(path)).filter(|path| path.is_file());
        }
        let paths = env::var_os("PATH")?;
        env::split_paths(&paths)
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Redis => ("redis-server", "REDIS_SERVER"),
            Self::Valkey => ("valkey-server", "VALKEY_SERVER"),
        }
    }
}

/// Says a line, whether or not the output of tests is captured, which is that of `print` alone.
pub(crate) fn say(line: &str) {
    // Nobody is left to be told if it cannot be said.
    let _said = writeln!(io::stderr(), "{line}");
}

/// A server that runs. Dropped, it is killed.
pub(crate) struct Server {
    kind: Kind,
    port: u16,
    settings: Vec<String>,
    directory: PathBuf,
    child: Child,
}

impl Server {
    /// Starts one on a free port, with these settings as they are on a command line, and waits
    /// until it serves. `{port}` in them becomes that port.
    pub(crate) async fn start(kind: Kind, settings: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("courier-auth-{}-{number}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let settings: Vec<_> = settings.iter().map(|&part| part.to_owned()).collect();
        // The port that was free may be taken by the time the server opens it.
        for _ in 0..5 {
            let port = free_port();
            let child = spawn(kind, port, &settings, &directory);
            let mut server = Self {
                kind,
                port,
                settings: settings.clone(),
                directory: directory.clone(),
                child,
            };
            if server.serves().await {
                return server;
            }
            // So that its drop leaves the directory to the next one.
            server.directory = PathBuf::new();
        }
        panic!("{kind:?} does not start: {}", log(&directory));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its port, empty.
    pub(crate) async fn restart(&mut self) {
        fs::remove_file(self.directory.join(LOG)).unwrap();
        self.child = spawn(self.kind, self.port, &self.settings, &self.directory);
        assert!(self.serves().await, "{}", log(&self.directory));
    }

    /// Stops its process without ending it: its connections stay open and silent.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", name])
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits until it serves; `false` if it ended instead.
    async fn serves(&mut self) -> bool {
        let give_up = Instant::now() + LIMIT;
        loop {
            if log(&self.directory).contains("Ready to accept connections") {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < give_up, "{}", log(&self.directory));
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, and there is nobody to tell what else might be wrong.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if !self.directory.as_os_str().is_empty() {
            let _removed = fs::remove_dir_all(&self.directory);
        }
    }
}

fn spawn(kind: Kind, port: u16, settings: &[String], directory: &Path) -> Child {
    let binary = kind.binary().expect("`Kind::is_there` was asked");
    let port = port.to_string();
    let settings = settings.iter().map(|part| part.replace("{port}", &port));
    Command::new(binary)
        .args(["--bind", "127.0.0.1", "--port", &port])
        .args(["--save", "", "--appendonly", "no", "--logfile", LOG])
        .args(["--enable-debug-command", "local"])
        .arg("--dir")
        .arg(directory)
        .args(settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join(LOG)).unwrap_or_default()
}

/// A port of loopback that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

const LOG: &str = "log";
/// Only to end a test that would hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
