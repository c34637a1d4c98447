//! `courier-token issue`.

use std::time::Duration;

use courier_auth_core::{Scope, emulator::Fault};

use crate::{File, KEY, emulator, finish, program, run, with_courier};

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
    let mut full: Vec<_> = Scope::FULL.iter().map(Scope::as_str).collect();
    full.sort();
    assert_eq!(scopes, full, "as in the curl of Courier's page");
    // And so it can be piped.
    let inspected = self::run(&["inspect", "--user", "user-1"], &run.out).await;
    assert_eq!(inspected.code, 0, "{}", inspected.out);
    assert!(!inspected.out.contains("whitespace"), "{}", inspected.out);
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
        // Milliseconds for Courier.
        &["--user", "bob", "--expires-in", "36000.5"],
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
    // As Windows writes it, with the mark of its order of bytes.
    let file = File::new("key", &format!("\u{feff}{KEY}\r\n"));
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

/// It was called "the Courier API key", and nobody knew where to look.
#[tokio::test]
async fn an_empty_variable_is_named() {
    for arguments in [&["issue", "--user", "u"][..], &["doctor"]] {
        let mut command = program(arguments);
        command.env("COURIER_API_KEY", "");
        let run = finish(command, "").await;
        assert_eq!(run.code, 2);
        let told = run.out + &run.err;
        assert!(told.contains("COURIER_API_KEY is empty"), "{told}");
    }
}

/// The name that cannot be opened would otherwise show the key, in a log of CI for example.
#[tokio::test]
async fn a_secret_in_the_place_of_a_file_is_told_of_and_not_repeated() {
    for secret in [KEY, TOKEN] {
        let path = format!("./{secret}");
        for arguments in [
            &["issue", "--user", "u", "--api-key-file", secret][..],
            &["issue", "--user", "u", "--api-key-file", &path],
            &["doctor", "--api-key-file", secret],
            &["doctor", "--json", "--api-key-file", secret],
            &["doctor", "--json", "--root-certificate", secret],
        ] {
            let mut command = program(arguments);
            command.env("COURIER_API_KEY", KEY);
            let run = finish(command, "").await;
            assert_eq!(run.code, 2, "{}", run.err);
            let said = run.out + &run.err;
            assert!(!said.contains(secret), "{said}");
            for part in [
                "looks like an API key or a token",
                "COURIER_API_KEY",
                "FILE",
            ] {
                assert!(said.contains(part), "{said}");
            }
        }
    }
}

/// As the program's parser would, with an argument that it cannot place.
#[tokio::test]
async fn a_key_that_no_option_takes_is_told_of_and_not_repeated() {
    let behind = |name: &str| format!("{name}={KEY}");
    for arguments in [
        &["doctor", KEY][..],
        &["doctor", "--region", KEY],
        &["doctor", &behind("--region")],
        &["doctor", &behind("COURIER_API_KEY")],
        &["issue", "--user", "u", "--", KEY],
        &[KEY],
    ] {
        let run = run(arguments, "").await;
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(!run.err.contains(KEY), "{}", run.err);
        for part in ["API key on the command line", "COURIER_API_KEY", "FILE"] {
            assert!(run.err.contains(part), "{}", run.err);
        }
    }
    // What else is wrong is told of if it can be without it.
    let run = run(&["inspect", KEY, "--jsn"], "").await;
    assert!(run.err.contains("'--jsn'"), "{}", run.err);
}

/// `courier-token TOKEN` put all of it into the error.
#[tokio::test]
async fn a_token_that_no_option_takes_is_told_of_and_not_repeated() {
    let behind = format!("--region={TOKEN}");
    for arguments in [
        &[TOKEN][..],
        &["doctor", &behind],
        &["doctor", TOKEN],
        &["inspect", "--for", TOKEN],
        &["issue", "--user", "u", "--expires-in", TOKEN],
    ] {
        let run = run(arguments, "").await;
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(!run.err.contains(TOKEN), "{}", run.err);
        for part in ["a token on the command line", "courier-token inspect"] {
            assert!(run.err.contains(part), "{}", run.err);
        }
    }
}

/// An address that is not UTF-8 would otherwise have the key sent to Courier itself.
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
        assert_eq!(run.err, format!("error: {variable} is not valid UTF-8\n"));
    }
}

/// It is printed all the same: somebody may want to see what it is.
#[tokio::test]
async fn issue_fails_if_the_token_is_of_no_use() {
    let courier = emulator().await;
    courier.fail(Fault::Opaque);
    let run = with_courier(&courier, &["issue", "--user", "user-1"]).await;
    assert_eq!(run.code, 1, "{}", run.err);
    assert_eq!(run.out.lines().count(), 1);
    assert!(run.err.contains("✗ not-a-jwt"), "{}", run.err);

    // By this machine's clock it has ended, by Courier's it has not.
    courier.fail(Fault::ClockBehind(Duration::from_secs(7200)));
    let run = with_courier(&courier, &["issue", "--user", "user-1"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("✗ expired"), "{}", run.err);
}

/// Only of a token that was to be short-lived it need not be said.
#[tokio::test]
async fn issue_says_that_a_token_is_shorter_lived_than_was_asked_for() {
    let courier = emulator().await;
    courier.fail(Fault::ShortLife(Duration::from_secs(50)));
    for (time, told) in [("1 hour", true), ("50 secs", false)] {
        let arguments = ["issue", "--user", "user-1", "--expires-in", time];
        let run = with_courier(&courier, &arguments).await;
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(run.err.contains("! short-lived"), told, "{}", run.err);
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
        let of_the_key = said.contains("API key");
        assert_eq!(run.err.contains("doctor"), of_the_key, "{}", run.err);
    }
}

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6InVzZXJfaWQ6YSJ9.c2ln-bmF0dXJl";
