//! `courier-token` as it is run: a process, against the emulator.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "tls/server.rs"]
mod server;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use courier_auth_core::{
    Scope,
    emulator::{Emulator, EmulatorServer, Fault},
};
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
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

/// Off the runtime, on which the emulator answers.
async fn finish(mut command: Command, input: &str) -> Run {
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading any of it.
        let _written = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    let output = tokio::time::timeout(LIMIT, run).await.unwrap().unwrap();
    let run = Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    run.is_plain();
    run
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
async fn issue_prints_the_token_alone() {
    let courier = emulator().await;
    let run = with_courier(&courier, &["issue", "--user", "user-1"]).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let token = run.out.strip_suffix('\n').unwrap();
    let claims = courier.verify(token).unwrap();
    assert_eq!(claims.exp.unwrap() - claims.iat, 3600);
    let mut scopes: Vec<_> = claims.scope.split(' ').collect();
    assert_eq!(scopes.remove(0), "user_id:user-1");
    let mut full = Scope::FULL.map(|scope| scope.to_string());
    full.sort();
    assert_eq!(scopes, full, "as in the curl of Courier's page");
    // And so it can be piped.
    let inspected = self::run(&["inspect", "--user", "user-1"], &run.out).await;
    assert_eq!(inspected.code, 0, "{}", inspected.out);
    assert!(!inspected.out.contains("white-space"), "{}", inspected.out);
}

#[tokio::test]
async fn issue_asks_for_what_it_is_told() {
    let courier = emulator().await;
    let two = "inbox:read:messages  read:brands";
    let scopes = ["--scope", two, "--scope", "read:preferences"];
    for (time, seconds) in [("2 days", 172_800), ("90", 90), ("1.5 hrs", 5400)] {
        let mut arguments = vec!["issue", "--user", "u:1", "--json", "--expires-in", time];
        arguments.extend(scopes);
        let run = with_courier(&courier, &arguments).await;
        assert_eq!(run.code, 0, "{}", run.err);
        let json = run.json();
        let scope = "user_id:u:1 inbox:read:messages read:brands read:preferences";
        assert_eq!(json["scope"], scope);
        assert_eq!(json["region"], "us");
        assert_eq!(json["user_id"], "u:1");
        let claims = courier.verify(json["token"].as_str().unwrap()).unwrap();
        assert_eq!(claims.exp.unwrap() - claims.iat, seconds, "{time}");
        assert_eq!(json["expires_at"], claims.exp.unwrap());
    }
    let odd = ["issue", "--user", "u", "--scope", "inbox:read:message"];
    let run = with_courier(&courier, &odd).await;
    assert_eq!(run.code, 0);
    assert_eq!(run.out.lines().count(), 1);
    assert!(run.err.contains("unknown-scope"), "{}", run.err);
}

#[tokio::test]
async fn issue_sends_nothing_that_smuggles() {
    let courier = emulator().await;
    for arguments in [
        &["--user", "bob user_id:alice"][..],
        &["--user", ""],
        &["--user", "bob", "--scope", "user_id:alice"],
        &[
            "--user",
            "bob",
            "--scope",
            "inbox:read:messages user_id:alice",
        ],
        &["--user", "bob", "--expires-in", "1 month"],
        &["--user", "bob", "--expires-in", "-1h"],
        &["--user", "bob", "--expires-in", "9"],
        &["--user", "bob", "--expires-in", "20 years"],
        &["--user", "bob", "--api-key", KEY],
        &["--scope", "inbox:read:messages"],
        &["--user", "bob", "--region", "mars"],
        &["--user", "bob", "--base-url", "http://api.courier.com"],
        &["--user", "bob", "--api-key-file", "/nonexistent/key"],
    ] {
        let arguments: Vec<_> = ["issue"].iter().chain(arguments).copied().collect();
        let mut command = program(&arguments);
        command.env("COURIER_API_KEY", KEY);
        command.env("COURIER_BASE_URL", courier.url());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    assert_eq!(courier.calls().len(), 0);
}

#[tokio::test]
async fn the_key_comes_from_a_file_or_from_stdin_too() {
    let courier = emulator().await;
    let file = File::new("key", &format!("{KEY}\r\n"));
    for (source, input) in [(file.path(), ""), ("-", format!("{KEY}\n").as_str())] {
        let arguments = [
            "issue",
            "--user",
            "u",
            "--base-url",
            courier.url(),
            "--api-key-file",
            source,
        ];
        let run = run(&arguments, input).await;
        assert_eq!(run.code, 0, "{}", run.err);
    }
    let run = run(&["issue", "--user", "u"], "").await;
    assert_eq!(run.code, 2);
    assert!(
        run.err.contains("COURIER_API_KEY is not set"),
        "{}",
        run.err
    );
    assert!(run.err.contains("--api-key-file"), "{}", run.err);
}

/// An address that is no text would otherwise have the key sent to Courier itself.
#[cfg(unix)]
#[tokio::test]
async fn a_setting_that_is_no_text_is_told_of_and_not_left_out() {
    use std::os::unix::ffi::OsStringExt as _;

    let no_text = std::ffi::OsString::from_vec(b"https://courier.invalid\xff".to_vec());
    for variable in ["COURIER_API_KEY", "COURIER_BASE_URL"] {
        let mut command = program(&["issue", "--user", "u"]);
        // Where nobody listens, if it comes to that.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9");
        command.env("COURIER_API_KEY", KEY);
        command.env(variable, &no_text);
        let run = finish(command, "").await;
        assert_eq!(run.code, 2, "{}", run.err);
        assert_eq!(run.err, format!("error: {variable} is no text\n"));
    }
}

#[tokio::test]
async fn issue_ends_with_a_status_that_says_whose_fault_it_is() {
    for (fault, code, said) in [
        (Fault::status(401), 1, "refused the API key"),
        (Fault::status(403), 1, "refused the API key"),
        (Fault::status(400), 1, "refused the request"),
        (Fault::status(429), 3, "limits the number of calls"),
        (Fault::status(500), 3, "cannot answer"),
        (Fault::Hang, 3, "did not answer"),
        (
            Fault::WrongUser("alice".into()),
            1,
            "not for exactly the requested user",
        ),
        (
            Fault::ShortLife(Duration::from_secs(1)),
            1,
            "has expired or is about to",
        ),
        (Fault::Html, 1, "holds no token"),
    ] {
        let courier = emulator().await;
        courier.fail(fault.clone());
        let run = with_courier(&courier, &["issue", "--user", "user-1"]).await;
        assert_eq!(run.code, code, "{fault:?}: {}", run.err);
        assert_eq!(run.out, "", "{fault:?}");
        assert!(run.err.starts_with("error: "), "{}", run.err);
        assert!(run.err.contains(said), "{fault:?}: {}", run.err);
    }
}

#[tokio::test]
async fn inspect_tells_good_from_bad() {
    let courier = emulator().await;
    let issue = [
        "issue",
        "--user",
        "user-1",
        "--scope",
        "inbox:read:messages",
    ];
    let token = with_courier(&courier, &issue).await.out;
    for (arguments, code, said) in [
        (&[][..], 0, "inbox-write-missing"),
        (&["--user", "user-1"], 0, "It works, with 1 warning."),
        (&["--user", "user-2"], 1, "wrong-user"),
        (&["--for", "preferences,push-tokens"], 1, "2 errors"),
    ] {
        let arguments: Vec<_> = ["inspect"].iter().chain(arguments).copied().collect();
        let run = run(&arguments, &token).await;
        assert_eq!(run.code, code, "{arguments:?}: {}", run.out);
        assert!(run.out.contains(said), "{arguments:?}: {}", run.out);
        assert!(!run.out.contains(token.trim()), "the token is not echoed");
        assert!(run.out.contains("published/production"), "{}", run.out);
    }
    // As an argument, and with what a copy-paste brings along.
    let pasted = format!(" Bearer {token}");
    let run = run(&["inspect", "--json", &pasted], "").await;
    let json = run.json();
    assert_eq!((run.code, &json["ok"]), (0, &true.into()));
    let codes: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert_eq!(codes[..2], ["surrounding-white-space", "bearer-prefix"]);
    // The answer of the token's route, as it comes from `curl`.
    let answer = serde_json::json!({ "token": token.trim(), "expires_in": 3599 });
    let run = self::run(&["inspect"], &answer.to_string()).await;
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("· json-wrapper"), "{}", run.out);
    for (input, code) in [
        ("", "empty"),
        (KEY, "api-key"),
        ("undefined\n", "placeholder"),
    ] {
        let run = self::run(&["inspect", "--json"], input).await;
        let json = run.json();
        assert_eq!((run.code, &json["ok"]), (1, &false.into()));
        assert_eq!(json["findings"][0]["code"], code);
    }
}

/// As `head` does when it has its lines.
#[tokio::test]
async fn a_reader_who_has_seen_enough_is_no_error() {
    let unread = async |mut command: Command, input: &'static str| {
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            let _written = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = tokio::time::timeout(LIMIT, run).await.unwrap().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), err)
    };
    let courier = emulator().await;
    for arguments in [&["issue", "--user", "user-1"][..], &["doctor"]] {
        let mut command = program(arguments);
        command.env("COURIER_API_KEY", KEY);
        command.env("COURIER_BASE_URL", courier.url());
        assert_eq!(unread(command, "").await, (0, String::new()));
    }
    // Which was known before a word was written.
    for arguments in [&["inspect"][..], &["inspect", "--json"]] {
        let status = unread(program(arguments), "undefined").await;
        assert_eq!(status, (1, String::new()), "{arguments:?}");
    }
}

#[tokio::test]
async fn inspect_leaves_the_terminal_alone() {
    let courier = emulator().await;
    let claims = r#"{"scope":"user_id:\u001b[2Jx \u0007","exp":1}"#;
    let token = format!("e30.{}.x", base64url(claims));
    let run = run(&["inspect", &token], "").await;
    assert_eq!(run.code, 1);
    assert!(run.out.contains(r"\u{1b}[2Jx"), "{}", run.out);
    assert_eq!(courier.calls().len(), 0);
}

/// CSI in one character, "right to left", and one that takes two units: JSON need not escape these.
#[tokio::test]
async fn json_leaves_the_terminal_alone() {
    let claims = "{\"scope\":\"user_id:\u{9b}2J\u{7f}\u{202e}\u{e0001}ü\",\"exp\":1}";
    let token = format!("e30.{}.x", base64url(claims));
    let run = run(&["inspect", "--json", &token], "").await;
    assert_eq!(
        run.json()["user_ids"][0],
        "\u{9b}2J\u{7f}\u{202e}\u{e0001}ü"
    );
    assert!(
        run.out.contains(r"\u009b2J\u007f\u202e\udb40\udc01ü"),
        "{}",
        run.out
    );
}

#[tokio::test]
async fn doctor_finds_nothing_where_nothing_is_wrong() {
    let courier = emulator().await;
    let run = with_courier(&courier, &["doctor"]).await;
    assert_eq!(run.code, 0, "{}", run.out);
    assert_eq!(run.out.matches('✓').count(), 8, "{}", run.out);
    assert!(run.out.contains("Tokens can be issued from here."));
    assert_eq!(courier.issued_for("courier-token-doctor"), 1);
    let call = courier.calls().pop().unwrap();
    assert_eq!(call.expires_in.as_deref(), Some("300 seconds"));

    let run = with_courier(&courier, &["doctor", "--json", "--user", "user-1"]).await;
    let json = run.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["token"]["user_ids"], serde_json::json!(["user-1"]));
    assert_eq!(courier.issued_for("user-1"), 1);
}

/// The check that fails, its code, and the exit status.
async fn examined(command: Command) -> (String, String, i32) {
    let run = finish(command, "").await;
    let json = run.json();
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 7, "each is told of: {json:#}");
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let mut odd = checks.iter().filter(|check| !check["code"].is_null());
    let check = odd.next().unwrap();
    assert!(odd.next().is_none(), "{json:#}");
    assert!(!check["help"].as_array().unwrap().is_empty(), "{json:#}");
    assert_eq!(json["ok"], run.code == 0);
    (text(check, "check"), text(check, "code"), run.code)
}

#[tokio::test]
async fn doctor_names_what_is_wrong_with_courier() {
    let hour = Duration::from_secs(3600);
    for (fault, check, code, exit) in [
        (Fault::status(401), "token", "key-refused", 1),
        (Fault::status(403), "token", "key-forbidden", 1),
        (Fault::status(404), "token", "request-refused", 1),
        (Fault::status(429), "token", "rate-limited", 3),
        (Fault::status(500), "token", "courier-unavailable", 3),
        (Fault::Reset, "token", "courier-unavailable", 3),
        (Fault::Hang, "token", "timeout", 3),
        (Fault::Html, "token", "bad-answer", 1),
        (Fault::WrongUser("alice".into()), "token", "bad-answer", 1),
        (Fault::ClockAhead(hour), "clock", "clock-skewed", 1),
        (Fault::ClockBehind(hour), "clock", "clock-skewed", 1),
        (
            Fault::ClockBehind(Duration::from_secs(30)),
            "clock",
            "clock-skewed",
            0,
        ),
        (
            Fault::ShortLife(Duration::from_secs(40)),
            "inspection",
            "short-lived",
            0,
        ),
        (Fault::NoExpiry, "inspection", "no-expiry", 0),
        (Fault::Opaque, "inspection", "not-a-jwt", 1),
    ] {
        let courier = emulator().await;
        courier.fail(fault.clone());
        let mut command = program(&["doctor", "--json"]);
        command.env("COURIER_API_KEY", KEY);
        command.env("COURIER_BASE_URL", courier.url());
        let expected = (check.to_owned(), code.to_owned(), exit);
        assert_eq!(examined(command).await, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn doctor_names_what_is_wrong_here() {
    let courier = emulator().await;
    let closed = {
        let gone = emulator().await;
        gone.url().to_owned()
    };
    let tls = courier.url().replace("http", "https");
    let good = courier.url();
    for (key, url, check, code, exit) in [
        (None, good, "api-key", "api-key-missing", 2),
        (Some(""), good, "api-key", "api-key-malformed", 2),
        (Some("pk_1 "), good, "api-key", "api-key-malformed", 2),
        (Some("$KEY"), good, "api-key", "api-key-placeholder", 2),
        (
            Some("eyJhbGciOiJIUzI1NiJ9.e30.x"),
            good,
            "api-key",
            "api-key-is-a-token",
            2,
        ),
        (Some(KEY), "ftp://x", "base-url", "settings-wrong", 2),
        (
            Some(KEY),
            "http://api.courier.com",
            "base-url",
            "settings-wrong",
            2,
        ),
        (Some(KEY), "https://courier.invalid", "dns", "dns-failed", 3),
        (Some(KEY), &closed, "connection", "connection-refused", 3),
        (Some(KEY), &tls, "connection", "tls-failed", 3),
        (Some("pk_other"), good, "token", "key-refused", 1),
    ] {
        let mut command = program(&["doctor", "--json", "--base-url", url]);
        if let Some(key) = key {
            command.env("COURIER_API_KEY", key);
        }
        let expected = (check.to_owned(), code.to_owned(), exit);
        assert_eq!(examined(command).await, expected, "{key:?} {url}");
    }
    // A key that works, though it does not look like one.
    let odd = Emulator::with_api_key("odd_key").serve(0).await.unwrap();
    let mut command = program(&["doctor", "--json", "--base-url", odd.url()]);
    command.env("COURIER_API_KEY", "odd_key");
    let expected = ("api-key".to_owned(), "api-key-unusual".to_owned(), 0);
    assert_eq!(examined(command).await, expected);
}

/// As in a container without the package `ca-certificates`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_machine_without_authorities_is_told_of_and_does_for_an_emulator() {
    let bare = |arguments: &[&str]| {
        let mut command = program(arguments);
        for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            command.env(variable, "/nonexistent");
        }
        command.env("COURIER_API_KEY", KEY);
        command
    };
    let expected = ("connection".to_owned(), "no-authorities".to_owned(), 2);
    assert_eq!(examined(bare(&["doctor", "--json"])).await, expected);
    let issued = finish(bare(&["issue", "--user", "u"]), "").await;
    assert_eq!(issued.code, 2);
    assert!(issued.err.contains("ca-certificates"), "{}", issued.err);

    let courier = emulator().await;
    let run = finish(bare(&["doctor", "--base-url", courier.url()]), "").await;
    assert_eq!(run.code, 0, "{}", run.out);
    // What it does without are authorities, not checks of certificates.
    let (url, _) = server::behind_tls(&courier).await;
    let run = finish(bare(&["issue", "--user", "u", "--base-url", &url]), "").await;
    assert_eq!(run.code, 2, "{}", run.err);
    assert_eq!(courier.issued(), 1);
}

#[tokio::test]
async fn a_certificate_of_an_own_authority_is_told_of_and_can_be_given() {
    let courier = emulator().await;
    let (url, authority) = server::behind_tls(&courier).await;
    let arguments = ["doctor", "--json", "--base-url", url.as_str()];
    let mut command = program(&arguments);
    command.env("COURIER_API_KEY", KEY);
    let expected = ("connection".to_owned(), "tls-untrusted".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
    assert_eq!(courier.calls().len(), 0);

    let file = File::new("authority", &authority);
    let mut command = program(&arguments);
    command.env("COURIER_API_KEY", KEY);
    command.args(["--root-certificate", file.path()]);
    let run = finish(command, "").await;
    assert_eq!(run.code, 0, "{}", run.out);
}

/// Which another authority does not help against.
#[tokio::test]
async fn a_certificate_that_has_expired_is_no_untrusted_one() {
    let courier = emulator().await;
    let (url, authority) = server::behind_tls_until(&courier, 2020).await;
    let file = File::new("expired", &authority);
    let mut command = program(&["doctor", "--json", "--base-url", &url]);
    command.args(["--root-certificate", file.path()]);
    command.env("COURIER_API_KEY", KEY);
    let expected = ("connection".to_owned(), "tls-date".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

#[tokio::test]
async fn a_name_that_no_proxy_looks_up_is_told_of() {
    let mut command = program(&["doctor", "--json", "--base-url", "https://courier.invalid"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    command.env("NO_PROXY", ".invalid");
    let expected = ("connection".to_owned(), "dns-failed".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

#[tokio::test]
async fn a_proxy_is_told_of_without_its_password() {
    let mut command = program(&["doctor"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9");
    let run = finish(command, "").await;
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(run.out.contains("HTTPS_PROXY, 127.0.0.1"), "{}", run.out);
    assert!(!run.out.contains("hunter2"), "{}", run.out);
}

/// What goes to loopback in the clear, with the API key, goes nowhere else.
#[tokio::test]
async fn a_proxy_gets_nothing_that_is_for_this_machine() {
    let courier = emulator().await;
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let mut command = program(&["issue", "--user", "u"]);
        command.env("COURIER_API_KEY", KEY);
        command.env("COURIER_BASE_URL", courier.url());
        // Nobody listens there.
        command.env(variable, "http://127.0.0.1:9");
        let run = finish(command, "").await;
        assert_eq!(run.code, 0, "{variable}: {}", run.err);
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

fn base64url(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}

/// Only to end a test that would hang.
const LIMIT: Duration = Duration::from_secs(60);
