//! The API key and the tokens show nowhere but in the token reply.
//!
//! A test binary of its own: only one subscriber per process hears every event, those of the tasks
//! that ask Courier too.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    routing::get,
};
use courier_auth_core::emulator::{Emulator, ErrorBody, Fault};
use courier_auth_tower::{CourierAuthLayer, CourierToken, CourierTokenRejection, TokenProvider};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};

const API_KEY: &str = "pk_canary_4f1d9a";
/// A user's id, which is for DEBUG and below.
const USER: &str = "ann_canary_7c";

/// Everything that is logged, at any level.
#[derive(Clone, Default)]
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

/// All that the world may see, and the tokens that it may not.
#[derive(Default)]
struct Watch {
    public: Vec<String>,
    tokens: Vec<String>,
}

impl Watch {
    async fn ask(&mut self, app: &Router, request: Request<Body>) -> StatusCode {
        let response = app.clone().oneshot(request);
        let response = tokio::time::timeout(Duration::from_secs(20), response)
            .await
            .unwrap()
            .unwrap();
        self.public.push(format!("{response:?}"));
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        match serde_json::from_str::<serde_json::Value>(&body) {
            Ok(json) if json["token"].is_string() => {
                let token = json["token"].as_str().unwrap().to_owned();
                self.public.push(body.replace(&token, ""));
                self.tokens.push(token);
            }
            _ => self.public.push(body),
        }
        status
    }

    fn assert_clean(&self) {
        assert!(self.tokens.len() > 2);
        for secret in self.tokens.iter().map(String::as_str).chain([API_KEY]) {
            // The last part of a token is its signature, without which the rest is worth nothing.
            let secret = secret.rsplit('.').next().unwrap();
            for text in &self.public {
                assert!(!text.contains(secret), "{secret} is in {text}");
            }
        }
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn page(token: CourierToken) -> String {
    format!("{token:?} {:?}", token.clone().into_inner())
}

async fn by_hand(token: Result<CourierToken, CourierTokenRejection>) -> String {
    let Err(why) = token else {
        return "a token".into();
    };
    let mut text = format!("{why:?} {why}");
    let mut cause = std::error::Error::source(&why);
    while let Some(error) = cause {
        text.push_str(&format!(" {error:?} {error}"));
        cause = error.source();
    }
    text
}

async fn user(headers: HeaderMap) -> Result<Option<String>, (StatusCode, &'static str)> {
    let Some(user) = headers.get("x-test-user") else {
        return Ok(None);
    };
    match user.to_str() {
        Ok("broken") => Err((StatusCode::INTERNAL_SERVER_ERROR, "store down")),
        Ok(user) => Ok(Some(user.to_owned())),
        Err(_) => Ok(None),
    }
}

#[tokio::test]
async fn canaries_show_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let courier = Emulator::with_api_key(API_KEY).serve(0).await.unwrap();
    let provider = || {
        TokenProvider::builder(API_KEY)
            .base_url(courier.url())
            .build()
            .unwrap()
    };
    let routes = || {
        Router::new()
            .route("/page", get(page))
            .route("/by-hand", get(by_hand))
    };
    let app = |provider: TokenProvider| routes().layer(CourierAuthLayer::new(provider, user));
    let mut watch = Watch::default();

    // What works.
    let healthy = app(provider());
    let ann: &[_] = &[("x-test-user", USER)];
    for (method, path, headers, status) in [
        ("GET", "/courier/token", ann, 200),
        ("HEAD", "/courier/token", ann, 200),
        ("POST", "/courier/token", ann, 200),
        ("PUT", "/courier/token", ann, 405),
        ("GET", "/courier/token", &[], 401),
        ("GET", "/page", ann, 200),
        ("GET", "/page", &[], 401),
        ("GET", "/by-hand", &[], 200),
        ("GET", "/by-hand", &[("x-test-user", "broken")], 200),
        ("GET", "/courier/token", &[("x-test-user", "broken")], 500),
        (
            "GET",
            "/courier/token",
            &[("x-test-user", "a user_id:b")],
            500,
        ),
        (
            "GET",
            "/courier/token",
            &[("x-test-user", USER), ("if-none-match", "*")],
            304,
        ),
        (
            "GET",
            "/courier/token",
            &[("x-test-user", USER), ("sec-fetch-site", "cross-site")],
            403,
        ),
    ] {
        let seen = watch.ask(&healthy, request(method, path, headers)).await;
        assert_eq!(seen, status, "{method} {path} {headers:?}");
    }
    let bare = routes();
    assert_eq!(watch.ask(&bare, request("GET", "/page", ann)).await, 500);
    watch.ask(&bare, request("GET", "/by-hand", ann)).await;

    // What goes wrong with Courier. A provider each, so that no backoff hides the next.
    for fault in [
        Fault::Status {
            status: 401,
            headers: Vec::new(),
            body: ErrorBody::Message(format!("no such key: {API_KEY}, for user_id:{USER}")),
        },
        Fault::status(400),
        Fault::status_with(429, &[("retry-after", "30")]),
        Fault::status(503),
        Fault::Reset,
        Fault::TruncatedBody,
        Fault::Html,
        Fault::WrongUser("alice".into()),
        Fault::OversizedToken,
        Fault::Redirect(format!("http://127.0.0.1:9/?key={API_KEY}")),
    ] {
        let what = format!("{fault:?}");
        courier.fail(fault);
        let failing = app(provider());
        for path in ["/courier/token", "/page"] {
            let status = watch.ask(&failing, request("GET", path, ann)).await;
            assert!(matches!(status.as_u16(), 502 | 503), "{what}: {status}");
        }
        watch.ask(&failing, request("GET", "/by-hand", ann)).await;
        courier.recover();
    }
    courier.fail(Fault::Opaque);
    let opaque = app(provider());
    watch
        .ask(&opaque, request("GET", "/courier/token", ann))
        .await;
    watch.ask(&opaque, request("GET", "/page", ann)).await;

    let layer = CourierAuthLayer::new(provider(), user);
    watch
        .public
        .push(format!("{layer:?} {:?}", layer.layer(bare)));
    let text = log.text();
    assert!(
        text.contains("ERROR") && text.contains("CourierAuthLayer"),
        "{text}"
    );
    assert!(
        text.contains("courier.flight"),
        "the tasks that ask Courier are heard too"
    );
    // Spans of the app's frameworks may name a user in a path or a header; events of ours may not.
    let ours = |line: &&str| {
        let above_debug = [" ERROR ", " WARN ", " INFO "];
        above_debug.iter().any(|level| line.contains(level)) && line.contains("courier_auth::")
    };
    let lines: Vec<_> = text.lines().filter(ours).collect();
    assert!(lines.iter().any(|line| line.contains("courier.user_hash=")));
    for line in lines {
        assert!(!line.contains(USER), "a user is in {line}");
    }
    watch.public.push(text);
    watch.assert_clean();
}
