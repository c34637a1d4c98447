//! `courier-token doctor`.

use std::{process::Command, time::Duration};

use courier_auth_core::emulator::{Emulator, Fault};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    File, KEY, emulator, finish, program,
    server::{self, Certificate},
    with_courier,
};

#[tokio::test]
async fn doctor_finds_nothing_where_nothing_is_wrong() {
    let courier = emulator().await;
    let run = with_courier(&courier, &["doctor"]).await;
    assert_eq!(run.code, 0, "{}", run.out);
    assert_eq!(run.out.matches('✓').count(), 8, "{}", run.out);
    assert!(run.out.contains("Tokens can be issued from here."));
    assert_eq!(courier.token_requests_for("courier-token-doctor"), 1);
    let call = courier.calls().pop().unwrap();
    assert_eq!(call.expires_in.as_deref(), Some("300 seconds"));

    let run = with_courier(&courier, &["doctor", "--json", "--user", "user-1"]).await;
    let json = run.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["token"]["user_ids"], serde_json::json!(["user-1"]));
    assert_eq!(courier.token_requests_for("user-1"), 1);
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
        (Fault::Html, "token", "invalid-response", 1),
        (
            Fault::WrongUser("alice".into()),
            "token",
            "invalid-response",
            1,
        ),
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
        (Some(""), good, "api-key", "api-key-missing", 2),
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
    // A gateway that an app may use with `danger_allow_http`. The error names that method, the advice the option.
    let gateway = ["doctor", "--base-url", "http://courier.invalid"];
    let mut command = program(&gateway);
    command.env("COURIER_API_KEY", KEY);
    let refused = finish(command, "").await;
    assert!(
        refused.out.contains("--danger-allow-http"),
        "{}",
        refused.out
    );
    let mut command = program(&gateway);
    command.args(["--danger-allow-http", "--json"]);
    command.env("COURIER_API_KEY", KEY);
    let expected = ("dns".to_owned(), "dns-failed".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

/// Who has set it in the environment long ago knows of no base URL.
#[tokio::test]
async fn a_wrong_base_url_is_looked_for_in_the_environment_too() {
    let mut command = program(&["doctor"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("COURIER_BASE_URL", "ftp://x");
    let run = finish(command, "").await;
    assert!(run.out.contains("settings-wrong"), "{}", run.out);
    assert!(run.out.contains("COURIER_BASE_URL"), "{}", run.out);
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
    // What else is wrong is told of first.
    let expected = ("base-url".to_owned(), "settings-wrong".to_owned(), 2);
    let elsewhere = bare(&["doctor", "--json", "--base-url", "ftp://x"]);
    assert_eq!(examined(elsewhere).await, expected);
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
    assert_eq!(courier.token_requests(), 1);
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

/// And not the base URL's fault.
#[tokio::test]
async fn a_file_that_holds_no_authority_is_told_of() {
    let courier = emulator().await;
    let empty = File::new("no-authority", "");
    for path in [empty.path(), "/nonexistent.pem"] {
        let mut command = program(&["doctor", "--json", "--root-certificate", path]);
        command.env("COURIER_API_KEY", KEY);
        command.env("COURIER_BASE_URL", courier.url());
        let expected = (
            "connection".to_owned(),
            "root-certificate-wrong".to_owned(),
            2,
        );
        assert_eq!(examined(command).await, expected, "{path}");
    }
}

/// Which another authority does not help against.
#[tokio::test]
async fn a_certificate_that_has_expired_is_no_untrusted_one() {
    let courier = emulator().await;
    let (url, authority) = server::behind(Certificate::until(2020), &courier).await;
    let file = File::new("expired", &authority);
    let mut command = program(&["doctor", "--json", "--base-url", &url]);
    command.args(["--root-certificate", file.path()]);
    command.env("COURIER_API_KEY", KEY);
    let expected = ("connection".to_owned(), "tls-date".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

/// Nor does it help against these, and the name in the error said that the certificate had expired.
#[tokio::test]
async fn a_certificate_for_another_name_or_of_nobody_is_no_untrusted_one() {
    let courier = emulator().await;
    let (localhost, authority) = server::behind_tls(&courier).await;
    let other = localhost.replace("localhost", "127.0.0.1");
    let (self_signed, itself) = server::behind(Certificate::self_signed(), &courier).await;
    for (url, authority, code) in [
        (other, authority, "tls-name"),
        (self_signed, itself, "tls-self-signed"),
    ] {
        let file = File::new(code, &authority);
        let mut command = program(&["doctor", "--json", "--base-url", &url]);
        command.args(["--root-certificate", file.path()]);
        command.env("COURIER_API_KEY", KEY);
        let expected = ("connection".to_owned(), code.to_owned(), 3);
        assert_eq!(examined(command).await, expected);
    }
}

/// A gateway that wants a certificate of the client's was said to show one that is not trusted, and
/// one with other ciphers to speak no TLS.
#[tokio::test]
async fn a_server_that_refuses_the_client_is_told_of() {
    for (name, alert) in [
        ("protocol version", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F"),
        ("handshake failure", "\u{15}\u{3}\u{3}\0\u{2}\u{2}("),
        ("certificate required", "\u{15}\u{3}\u{3}\0\u{2}\u{2}t"),
    ] {
        let url = format!("https://{}", proxy(alert).await);
        let mut command = program(&["doctor", "--json", "--base-url", &url]);
        command.env("COURIER_API_KEY", KEY);
        let expected = ("connection".to_owned(), "tls-refused".to_owned(), 3);
        assert_eq!(examined(command).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_no_proxy_looks_up_is_told_of() {
    let mut command = program(&["doctor", "--json", "--base-url", "https://courier.invalid"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    command.env("NO_PROXY", ".invalid");
    let expected = ("dns".to_owned(), "dns-failed".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

/// The client asks no proxy whose address it cannot read, and the check said that it would.
#[tokio::test]
async fn a_proxy_that_is_spelt_wrong_is_none() {
    let mut command = program(&["doctor", "--json", "--base-url", "https://courier.invalid"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", "http://127.0.0.1:9 ");
    let expected = ("dns".to_owned(), "dns-failed".to_owned(), 3);
    assert_eq!(examined(command).await, expected);
}

/// It was said not to let this through, and in the clear the host of the base URL was blamed.
#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_of() {
    for (scheme, proxy) in [
        ("https", "127.0.0.1:9"),
        ("http", "127.0.0.1:9"),
        ("https", "proxy.invalid:9"),
        ("http", "proxy.invalid:9"),
    ] {
        let url = format!("{scheme}://courier.invalid");
        let mut command = program(&["doctor", "--json", "--danger-allow-http"]);
        command.args(["--base-url", &url]);
        command.env("COURIER_API_KEY", KEY);
        command.env("ALL_PROXY", proxy);
        let run = finish(command, "").await;
        let checks = &run.json()["checks"];
        let check = &checks[3];
        assert_eq!(
            check["code"], "proxy-failed",
            "{scheme}, {proxy}: {checks:#}"
        );
        let help = check["help"].to_string();
        assert!(
            help.contains("The proxy itself cannot be reached"),
            "{help}"
        );
    }
}

#[tokio::test]
async fn a_proxy_is_told_of_without_its_password() {
    let mut command = program(&["doctor"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9");
    let run = finish(command, "").await;
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(run.out.contains("proxy 127.0.0.1"), "{}", run.out);
    assert!(!run.out.contains("hunter2"), "{}", run.out);
}

/// The client asks no proxy for what is on this machine, and the check said that it would.
#[tokio::test]
async fn what_is_on_this_machine_is_left_to_no_proxy() {
    for host in ["localhost", "127.0.0.1", "127.0.0.2", "[::1]"] {
        let url = format!("http://{host}:9");
        let mut command = program(&["doctor", "--base-url", &url]);
        command.env("COURIER_API_KEY", KEY);
        command.env("HTTP_PROXY", "http://127.0.0.1:9");
        let run = finish(command, "").await;
        assert!(!run.out.contains("HTTP_PROXY"), "{host}: {}", run.out);
    }
}

/// The address of a proxy that has this answer to everything.
async fn proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {
                let _written = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn what_a_proxy_is_short_of_is_told() {
    let closed = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    let locked = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for (proxy, code, help) in [
        (
            proxy(closed).await,
            "proxy-failed",
            "whether the proxy allows this host",
        ),
        (proxy(locked).await, "proxy-refuses", "user:password@proxy"),
        (
            "http://proxy.invalid:3128".to_owned(),
            "proxy-failed",
            "The proxy itself cannot be reached",
        ),
        (
            "socks5://127.0.0.1:9".to_owned(),
            "proxy-failed",
            "HTTP proxy",
        ),
    ] {
        let mut command = program(&["doctor", "--json"]);
        command.env("COURIER_API_KEY", KEY);
        command.env("HTTPS_PROXY", &proxy);
        let run = finish(command, "").await;
        let json = run.json();
        let checks = json["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == "connection");
        let check = check.unwrap();
        assert_eq!(check["code"], code, "{proxy}: {check:#}");
        let told = check["help"].to_string();
        assert!(told.contains(help), "{proxy}: {told}");
        // Also if it is given without a scheme.
        let host = proxy.split("//").last().unwrap().split(':').next().unwrap();
        assert!(
            run.out.contains(&format!("left to the proxy {host}")),
            "{}",
            run.out
        );
    }
}

/// It was said that a proxy must be named.
#[tokio::test]
async fn a_proxy_that_says_nothing_is_told_of() {
    let mut command = program(&["doctor", "--json"]);
    command.env("COURIER_API_KEY", KEY);
    command.env("HTTPS_PROXY", proxy("").await);
    let run = finish(command, "").await;
    let check = &run.json()["checks"][3];
    assert_eq!((run.code, &check["code"]), (3, &"timeout".into()));
    let help = check["help"].to_string();
    assert!(help.contains("whether the proxy"), "{help}");
    assert!(!help.contains("must be named"), "{help}");
}

/// Through a proxy that lets everything through, to something that does not speak TLS.
#[tokio::test]
async fn the_name_of_a_host_says_nothing_about_the_failure() {
    for host in ["proxy", "expired-certificate", "refused"] {
        let url = format!("https://{host}.invalid");
        let mut command = program(&["doctor", "--json", "--base-url", &url]);
        command.env("COURIER_API_KEY", KEY);
        command.env("HTTPS_PROXY", proxy("HTTP/1.1 200 OK\r\n\r\n").await);
        let expected = ("connection".to_owned(), "tls-failed".to_owned(), 3);
        assert_eq!(examined(command).await, expected, "{host}");
    }
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
