//! The API key and the tokens show nowhere but where they must: everything that the crate prints,
//! logs or answers while every error path is driven is searched for them.
//!
//! A test binary of its own, because it reads all that is logged in the process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use courier_auth_core::{
    CourierClient, Endpoint, Error, TokenProvider, TokenRequest,
    emulator::{Emulator, ErrorBody, Fault},
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const KEY: &str = "pk_canary_5ecre7";

/// All that was printed or logged.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<u8>>>);

impl Record {
    fn show(&self, value: &impl Debug) {
        let mut text = String::new();
        write!(text, "{value:?}\n{value:#?}\n").unwrap();
        self.note(&text);
    }

    fn show_error(&self, error: &Error) {
        self.show(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            self.note(&format!("{error}\n{error:?}\n"));
            cause = error.source();
        }
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_printed_logged_or_answered() {
    let record = Record::default();
    let writer = record.clone();
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(move || writer.clone()))
        .init();

    let mut tokens = Vec::new();
    for fault in faults() {
        tokens.extend(drive(&record, fault).await);
    }
    construction(&record);

    let text = record.text();
    assert!(
        text.contains("no new token from Courier"),
        "the log was read"
    );
    assert!(text.contains("[the API key]"), "Courier quoted the key");
    assert!(
        !text.contains(KEY),
        "the API key shows in\n{}",
        around(&text, KEY)
    );
    assert!(tokens.len() > 5);
    for token in tokens {
        let signature = token.rsplit('.').next().unwrap();
        for part in [token.as_str(), signature] {
            assert!(
                !text.contains(part),
                "a token shows in\n{}",
                around(&text, part)
            );
        }
    }
}

fn faults() -> Vec<Option<Fault>> {
    let quotes_the_key = |status| Fault::Status {
        status,
        headers: Vec::new(),
        body: ErrorBody::Message(format!("no: Bearer {KEY} is not valid")),
    };
    let mut faults: Vec<_> = [400, 401, 403, 429, 503].map(quotes_the_key).into();
    faults.extend([
        Fault::Reset,
        Fault::TornHead,
        Fault::TornBody,
        Fault::Html,
        Fault::OversizedToken,
        Fault::WrongUser("alice".into()),
        Fault::ShortLife(Duration::from_secs(1)),
        Fault::Opaque,
        Fault::NoExpiry,
        Fault::Redirect("http://127.0.0.1:9/".into()),
    ]);
    std::iter::once(None)
        .chain(faults.into_iter().map(Some))
        .collect()
}

/// Drives everything public through one fault; gives back the tokens that were handed out.
async fn drive(record: &Record, fault: Option<Fault>) -> Vec<String> {
    let courier = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    if let Some(fault) = fault {
        courier.fail(fault);
    }
    let builder = TokenProvider::builder(KEY).base_url(courier.url());
    record.show(&builder);
    let provider = builder.build().unwrap();
    // There is no inbox at this address, which is an error too.
    let client = CourierClient::builder(KEY)
        .base_url(courier.url())
        .inbox_url(courier.url())
        .build()
        .unwrap();
    let endpoint = Endpoint::new(provider.clone());
    let request = TokenRequest::for_user("user-1");

    let mut tokens = Vec::new();
    for outcome in [
        client.issue_token(&request).await,
        provider.token(&request).await,
    ] {
        match outcome {
            Ok(token) => {
                record.show(&token);
                record.show(&token.id());
                tokens.push(token.as_str().to_owned());
            }
            Err(error) => record.show_error(&error),
        }
    }
    for outcome in [
        client.mark_read("user-1", "1-a").await,
        client.archive_request("1-a").await,
        client.probe().await.map(|probe| record.show(&probe)),
    ] {
        if let Err(error) = outcome {
            record.show_error(&error);
        }
    }
    for method in ["GET", "HEAD", "POST", "PUT"] {
        let reply = match endpoint.accept(method, None, []) {
            Ok(call) => {
                record.show(&call);
                endpoint.reply(&call, Some(request.clone())).await
            }
            Err(reply) => reply,
        };
        record.show(&reply);
        if reply.status() != 200 {
            record.note(reply.body());
        }
    }
    record.show(&provider);
    record.show(&client);
    record.show(&endpoint);
    record.show(&provider.status());
    record.show(&courier);
    record.show(&courier.emulator().calls());
    tokens
}

/// Settings that are refused.
fn construction(record: &Record) {
    let with_key = |key: &str| CourierClient::builder(key);
    for builder in [
        with_key(&format!("{KEY} ")),
        with_key(&format!("{KEY}\n")),
        with_key(&format!("{KEY}\u{7f}")),
        with_key(KEY).base_url(format!("https://{KEY}@api.courier.com")),
        with_key(KEY).base_url(format!("https://api.courier.com?key={KEY}")),
        with_key(KEY).base_url(format!("{KEY}://")),
        with_key(KEY).root_certificate_pem("x"),
    ] {
        record.show(&builder);
        record.show_error(&builder.build().unwrap_err());
    }
    let provider = TokenProvider::builder(KEY).build().unwrap();
    record.show_error(&provider.set_api_key(format!("{KEY} {KEY}")).unwrap_err());
}

fn around(text: &str, what: &str) -> String {
    text.lines()
        .filter(|line| line.contains(what))
        .take(3)
        .collect::<Vec<_>>()
        .join("\n")
}
