//! The API key and tokens show nowhere but in the one answer that is a token: not in other
//! answers, not in `Debug`, not in the log at any level.
//!
//! A binary of its own, because its subscriber is global: one per thread misses what workers log.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpRequest,
    body::to_bytes,
    error::ErrorServiceUnavailable,
    http::Method,
    middleware::Logger,
    test::{TestRequest, call_service, init_service},
    web,
};
use courier_auth_actix::{CourierAuth, CourierToken, CourierTokenError, TokenProvider};
use courier_auth_core::emulator::{Emulator, ErrorBody, Fault};
use tracing_subscriber::fmt::format::FmtSpan;

const KEY: &str = "pk_canary_1f0c9a";
/// How users' ids begin, which are for DEBUG and below.
const USER: &str = "user_canary_8e";

#[actix_web::test]
async fn secrets_show_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    // `init` and not only a global subscriber: it also takes in what goes through the `log` crate.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let emulator = Emulator::with_api_key(KEY).serve(0).await.unwrap();
    let provider = TokenProvider::builder(KEY)
        .base_url(emulator.url())
        .build()
        .unwrap();
    let courier = CourierAuth::new(provider, |request: HttpRequest| async move {
        match request.headers().get("x-test-user") {
            None => Ok(None),
            Some(user) if user == "broken" => Err(ErrorServiceUnavailable("no session store")),
            Some(user) => Ok(user.to_str().ok().map(str::to_owned)),
        }
    });
    let app = App::new()
        .wrap(Logger::default())
        .configure(courier.routes())
        .route("/shown", web::get().to(shown))
        .route("/page", web::get().to(page));
    let app = init_service(app).await;
    let forgotten = App::new().route("/page", web::get().to(page));
    let forgotten = init_service(forgotten).await;

    let mut shown = vec![format!("{courier:?}")];
    let ask = async |method: &Method, uri: &str, header: Option<(&str, &str)>, user: &str| {
        let mut request = TestRequest::default().method(method.clone()).uri(uri);
        request = request.insert_header(("x-test-user", user));
        if let Some(header) = header {
            request = request.insert_header(header);
        }
        let response = call_service(&app, request.to_request()).await;
        let headers = format!("{:?}", response.headers());
        let body = to_bytes(response.into_body()).await.unwrap();
        (headers, String::from_utf8(body.to_vec()).unwrap())
    };

    // The token itself, and what is said about it.
    let (headers, body) = ask(&Method::GET, "/courier/token", None, "user-1").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = body["token"].as_str().unwrap().to_owned();
    let etag = format!("\"{}\"", body["token_id"].as_str().unwrap());
    assert!(!body.to_string().contains(KEY));
    shown.push(headers);
    let held = Some(("if-none-match", etag.as_str()));
    let foreign = Some(("sec-fetch-site", "cross-site"));
    for (method, header, user) in [
        (Method::HEAD, None, "user-1"),
        (Method::GET, held, "user-1"),
        (Method::PUT, None, "user-1"),
        (Method::GET, foreign, "user-1"),
        (Method::GET, None, "broken"),
        (Method::GET, None, "bob user_id:alice"),
    ] {
        let (headers, body) = ask(&method, "/courier/token", header, user).await;
        shown.extend([headers, body]);
    }

    // Every way in which Courier fails, through the route and the extractor.
    let faults = [
        Fault::status(400),
        Fault::status(401),
        Fault::Status {
            status: 403,
            headers: Vec::new(),
            body: ErrorBody::Message(format!("the key {KEY} may not for user_id:{USER}2")),
        },
        Fault::status(429),
        Fault::status(500),
        Fault::Html,
        Fault::Reset,
        Fault::TruncatedHead,
        Fault::TruncatedBody,
        Fault::WrongUser("alice".into()),
        Fault::OversizedToken,
        Fault::Redirect("http://127.0.0.1:9/".into()),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        emulator.fail(fault);
        for uri in ["/courier/token", "/page", "/shown"] {
            let (headers, body) = ask(&Method::GET, uri, None, &format!("{USER}{number}")).await;
            shown.extend([headers, body]);
        }
    }
    for user in ["broken", "a b", "user-1"] {
        shown.push(ask(&Method::GET, "/shown", None, user).await.1);
    }
    let request = TestRequest::get().uri("/page").to_request();
    let response = call_service(&forgotten, request).await;
    assert_eq!(response.status(), 500);

    for text in &shown {
        assert!(!text.contains(KEY), "{text}");
        assert!(!text.contains(&token), "{text}");
        assert!(!text.contains("eyJ"), "{text}");
    }
    let log = log.text();
    for part in token.split('.').chain([KEY, "eyJ"]) {
        assert!(!log.contains(part), "{part} is in the log");
    }
    // The log was listening: what an operator must read is in it.
    for line in [
        "asked Courier for a token",
        // By way of the `log` crate.
        "GET /courier/token HTTP/1.1",
        "add `.configure(courier.routes())`",
    ] {
        assert!(log.contains(line), "{line}");
    }
    assert!(log.contains(" ERROR "));
    let ours = |line: &&str| {
        let above_debug = [" ERROR ", " WARN ", " INFO "];
        above_debug.iter().any(|level| line.contains(level)) && line.contains("courier_auth::")
    };
    let lines: Vec<_> = log.lines().filter(ours).collect();
    assert!(lines.iter().any(|line| line.contains("courier.user_hash=")));
    for line in lines {
        assert!(!line.contains(USER), "a user is in {line}");
    }
}

/// The page of an app that does not look at errors.
async fn page(token: CourierToken) -> String {
    token.user_id().to_string()
}

/// What an app may print while it is debugged.
async fn shown(token: Result<CourierToken, CourierTokenError>) -> String {
    match token {
        Ok(token) => format!("{token:?}"),
        Err(error) => format!("{error} {error:?} {:?}", error.courier_error()),
    }
}

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
