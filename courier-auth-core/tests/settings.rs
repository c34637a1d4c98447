//! What a client can be built with. Nothing is sent.

#![expect(clippy::unwrap_used, reason = "tests")]

use courier_auth_core::{CourierClient, ErrorKind, Region};

#[test]
fn base_urls() {
    let build = |url: &str| CourierClient::builder("pk_test").base_url(url).build();
    for allowed in [
        "https://api.courier.com",
        "https://gateway.example/courier/",
        "http://127.0.0.1:3000",
        "http://127.8.8.8",
        "http://[::1]:3000",
        "http://localhost:3000",
    ] {
        assert!(build(allowed).is_ok(), "{allowed}");
    }
    for refused in [
        "",
        "api.courier.com",
        "ftp://api.courier.com",
        "http://api.courier.com",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "https://user:hunter2@api.courier.com",
        "https://api.courier.com?key=1",
        "https://api.courier.com#x",
    ] {
        let error = build(refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{refused}");
        assert!(!format!("{error:?}").contains("hunter2"), "{refused}");
    }
    for whole in [
        "https://api.courier.com/auth/issue-token",
        "https://gateway.example/courier/auth/issue-token/",
    ] {
        let error = build(whole).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{whole}");
        assert!(error.to_string().contains("leave the path out"), "{error}");
    }
    let error = build("api.eu.courier.com").unwrap_err();
    assert!(error.to_string().contains("https://"), "{error}");
    let inbox = CourierClient::builder("pk_test").inbox_url("inbox.courier.com/q");
    let error = inbox.build().unwrap_err().to_string();
    assert!(error.ends_with("https://inbox.courier.com/q"), "{error}");
    let dangerous = CourierClient::builder("pk_test")
        .base_url("http://courier.internal")
        .danger_allow_http(true);
    assert!(dangerous.build().is_ok());
}

#[test]
fn regions() {
    let region = |url: Option<&str>, region: Option<Region>| {
        let mut builder = CourierClient::builder("pk_test");
        if let Some(url) = url {
            builder = builder.base_url(url);
        }
        if let Some(region) = region {
            builder = builder.region(region);
        }
        builder.build().unwrap().region()
    };
    assert_eq!(region(None, None), Region::Us);
    assert_eq!(region(None, Some(Region::Eu)), Region::Eu);
    assert_eq!(region(Some("https://api.eu.courier.com"), None), Region::Eu);
    assert_eq!(
        region(Some("https://api.eu.courier.com.evil.example"), None),
        Region::Us
    );
    assert_eq!(
        region(Some("http://127.0.0.1:1"), Some(Region::Eu)),
        Region::Eu
    );
    // One that tells browsers something else than where its tokens come from.
    let contradictory = CourierClient::builder("pk_test")
        .base_url("https://api.courier.com")
        .region(Region::Eu);
    let error = contradictory.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[test]
fn api_keys_that_cannot_be_one() {
    for key in [
        "",
        " ",
        "pk_test\n",
        "\"pk_test\"",
        "'pk_test'",
        "pk test",
        "pk_\u{0}",
        "pk_ключ",
        "pk\u{a0}x",
        "COURIER_API_KEY=pk_test",
        "${COURIER_API_KEY}",
    ] {
        let error = CourierClient::builder(key).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{key:?}");
        assert!(key.is_empty() || key == " " || !error.to_string().contains(key));
    }
}

#[test]
fn quotes_that_a_reader_of_env_files_left() {
    for text in ["\"https://api.courier.com\"", "'https://api.courier.com"] {
        let error = CourierClient::builder("pk_test").base_url(text).build();
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("quotes"), "{error}");
    }
}

/// A `main` that returns the error shows this and not what `Display` says.
#[test]
fn an_error_shows_what_is_known() {
    let error = CourierClient::builder("").build().unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(
        shown,
        "Error { kind: Configuration, message: \"the Courier API key is empty\" }"
    );

    let error = CourierClient::builder("pk_test")
        .base_url("nowhere")
        .build();
    let shown = format!("{:?}", error.unwrap_err());
    assert!(shown.contains("source: "), "{shown}");
}

#[test]
fn certificates() {
    for pem in [
        "",
        "no pem",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    ] {
        let error = CourierClient::builder("pk_test")
            .root_certificate_pem(pem)
            .build();
        assert_eq!(
            error.unwrap_err().kind(),
            ErrorKind::Configuration,
            "{pem:?}"
        );
    }
}

/// The first ones were left out without a word.
#[cfg(feature = "shared-cache")]
#[test]
fn previous_api_keys() {
    let build = |keys: &[&str]| {
        let builder = courier_auth_core::TokenProvider::builder("pk_test");
        let builder = keys
            .iter()
            .fold(builder, |builder, key| builder.previous_api_key(*key));
        builder.build().map_err(|error| error.kind())
    };
    assert!(build(&["pk_1", "pk_2", "pk_3", "pk_4"]).is_ok());
    for refused in [&["pk_1", "pk_2", "pk_3", "pk_4", "pk_5"][..], &[""]] {
        assert_eq!(build(refused).unwrap_err(), ErrorKind::Configuration);
    }
}
