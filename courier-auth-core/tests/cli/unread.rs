//! A reader who closes the pipe, as `head` does when it has its lines.

use std::process::Command;

use courier_auth_core::emulator::Fault;

use crate::{KEY, emulator, output, program};

/// The exit status, and what is on stderr.
async fn unread(mut command: Command, input: &str) -> (i32, String) {
    command.env("COURIER_API_KEY", KEY);
    let output = output(command, input, |child| drop(child.stdout.take())).await;
    let err = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), err)
}

#[tokio::test]
async fn does_not_change_the_verdict() {
    for arguments in [&["inspect"][..], &["inspect", "--json"]] {
        let status = unread(program(arguments), "undefined").await;
        assert_eq!(status, (1, String::new()), "{arguments:?}");
    }
    for (fault, code) in [(None, 0), (Some(401), 1), (Some(500), 3)] {
        let courier = emulator().await;
        if let Some(status) = fault {
            courier.fail(Fault::status(status));
        }
        for arguments in [&["doctor"][..], &["doctor", "--json"]] {
            let mut command = program(arguments);
            command.args(["--base-url", courier.url()]);
            let status = unread(command, "").await;
            assert_eq!(status, (code, String::new()), "{arguments:?} {fault:?}");
        }
        assert!(!courier.calls().is_empty(), "all is looked at, seen or not");
    }
}

/// Nobody has it, and whoever wanted it has to know.
#[tokio::test]
async fn has_no_token() {
    let courier = emulator().await;
    for arguments in [
        &["issue", "--user", "u"][..],
        &["issue", "--user", "u", "--json"],
    ] {
        let mut command = program(arguments);
        command.args(["--base-url", courier.url()]);
        let (code, err) = unread(command, "").await;
        assert_eq!(code, 1, "{err}");
        assert!(err.starts_with("error: cannot print the token"), "{err}");
    }
}
