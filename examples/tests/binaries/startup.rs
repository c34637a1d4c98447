//! What goes wrong when an example starts is one line and a status of 1.

use std::net::{Ipv4Addr, TcpListener};

use crate::{for_each_example, process::run};

for_each_example!(one_clear_line);

/// As with `COURIER_BASE_URL`, an empty setting is none.
#[tokio::test]
async fn read_sync_does_without_the_address_of_the_inbox() {
    let read_sync = env!("CARGO_BIN_EXE_read-sync");
    for (inbox_url, expected) in [("", "usage: read-sync"), ("inbox", "https://inbox.")] {
        let environment = [
            ("COURIER_API_KEY", "pk_test"),
            ("COURIER_BASE_URL", ""),
            ("COURIER_INBOX_URL", inbox_url),
        ];
        let output = run(read_sync, &environment).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

async fn one_clear_line(binary: &str) {
    let other_program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = other_program.local_addr().unwrap().port().to_string();

    let key = ("COURIER_API_KEY", "pk_test_canary");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("PORT", &taken)], "is taken"),
        (&[("PORT", "many")], "PORT must be"),
        (&[("PORT", "65536")], "PORT must be"),
        (&[("TOKEN_LIFETIME", "1h")], "TOKEN_LIFETIME must be"),
        (&[("TOKEN_LIFETIME", "1")], "TOKEN_LIFETIME: the lifetime"),
        (&[("RUST_LOG", "a=b=c")], "RUST_LOG is malformed"),
        (&[("COURIER_API_KEY", "")], "COURIER_API_KEY is empty"),
        (
            &[("COURIER_API_KEY", "pk_test canary")],
            "COURIER_API_KEY contains whitespace",
        ),
        (&[key, ("COURIER_BASE_URL", "courier")], "COURIER_BASE_URL"),
        (&[key, ("COURIER_BASE_URL", "http://example.com")], "https"),
        (&[("COURIER_BASE_URL", "http://127.0.0.1:1")], "set both"),
    ];
    for (environment, expected) in cases {
        let output = run(binary, environment).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{environment:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{environment:?}: {stderr}");
        assert!(stderr.contains(expected), "{environment:?}: {stderr}");
        assert!(!stderr.contains("canary"), "{environment:?}: {stderr}");
    }
}
