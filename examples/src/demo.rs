#[cfg(feature = "inbox")]
use std::sync::atomic::AtomicUsize;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[cfg(not(feature = "inbox"))]
use courier_auth_core::emulator::EmulatorServer as CourierServer;
use courier_auth_core::{
    TokenProvider, TokenProviderBuilder,
    emulator::{Emulator, Fault},
};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde_json::json;
use tracing::info;
use uuid::Uuid;

#[cfg(feature = "inbox")]
use crate::emulator::{Courier, CourierServer, Draft, InboxFault, Surface};
use crate::{error::StartError, sdk::Sdk, settings::Settings};

/// Courier or its emulator, and the page that shows what comes of it. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Demo {
    provider: TokenProvider,
    courier: Option<Arc<CourierServer>>,
    outage: Arc<AtomicBool>,
    page: Arc<str>,
    sdk: Sdk,
    inbox_origins: Arc<str>,
    #[cfg(feature = "inbox")]
    sent: Arc<AtomicUsize>,
}

impl Demo {
    /// Builds the provider, and starts the emulator unless the settings ask for Courier.
    ///
    /// # Errors
    ///
    /// When a setting is malformed, or the emulator finds no port.
    pub async fn start(example: &str, settings: &Settings) -> Result<Self, StartError> {
        let courier = if settings.courier {
            None
        } else {
            Some(start_courier().await?)
        };
        let builder = match &courier {
            None => TokenProviderBuilder::from_env(),
            Some(courier) => {
                Ok(TokenProvider::builder(tokens(courier).api_key()).base_url(courier.url()))
            }
        };
        let provider = settings.provider(builder)?;
        let url = provider.client().base_url().trim_end_matches('/');
        // And where the page's inbox is; that of Courier itself by the region a token is for.
        let (name, inbox) = match &courier {
            None if COURIERS_OWN.contains(&url) => {
                info!("using Courier, with the API key of COURIER_API_KEY");
                ("the real Courier".to_owned(), "courier")
            }
            None => {
                info!("using Courier at {url}, with the API key of COURIER_API_KEY");
                (format!("Courier at {url}"), url)
            }
            Some(_) => {
                info!(
                    "COURIER_API_KEY is not set: using an emulator of Courier in this process \
                     ({url}), no account and no network"
                );
                let inbox = if cfg!(feature = "inbox") { url } else { "" };
                ("emulated Courier".to_owned(), inbox)
            }
        };
        let sdk = Sdk::find();
        let page = PAGE
            .replace("{{example}}", example)
            .replace("{{courier}}", &name)
            .replace("{{inbox}}", inbox)
            .replace("{{import_map}}", &sdk.import_map());
        Ok(Self {
            inbox_origins: inbox_origins(inbox).into(),
            provider,
            courier: courier.map(Arc::new),
            outage: Arc::default(),
            page: page.into(),
            sdk,
            #[cfg(feature = "inbox")]
            sent: Arc::default(),
        })
    }

    /// What the app hands to the adapter of its framework.
    pub fn provider(&self) -> &TokenProvider {
        &self.provider
    }

    /// The emulator's half that issues tokens, if there is an emulator.
    pub fn emulator(&self) -> Option<&Emulator> {
        self.courier.as_deref().map(tokens)
    }

    /// The whole emulator, if there is one: where it listens, and what can be done to it.
    #[cfg(feature = "inbox")]
    pub fn courier(&self) -> Option<&CourierServer> {
        self.courier.as_deref()
    }

    /// Answers what is not the app's: the page, the SDK it shows, and what it does to the emulator. `user` is who is
    /// signed in.
    #[cfg_attr(
        not(feature = "inbox"),
        expect(unused_variables, reason = "messages are sent with the inbox only")
    )]
    pub fn answer(&self, method: &str, path: &str, user: Option<&str>) -> Response<String> {
        match (method, path, self.emulator()) {
            ("GET" | "HEAD", "/", _) => self.page(),
            ("GET" | "HEAD", "/app.js", _) => answer("text/javascript; charset=utf-8", SCRIPT),
            ("GET" | "HEAD", "/style.css", _) => answer("text/css; charset=utf-8", STYLE),
            ("GET" | "HEAD", "/demo/calls", Some(courier)) => self.calls(courier),
            #[cfg(feature = "inbox")]
            ("POST", "/demo/send", Some(_)) => self.send(user),
            ("POST", "/demo/outage", Some(courier)) => {
                self.set_outage(true);
                self.calls(courier)
            }
            ("DELETE", "/demo/outage", Some(courier)) => {
                self.set_outage(false);
                self.calls(courier)
            }
            ("GET" | "HEAD", path, _) => match self.sdk.file(path) {
                Some(script) => answer("text/javascript; charset=utf-8", script),
                None => nothing(StatusCode::NOT_FOUND),
            },
            _ => nothing(StatusCode::NOT_FOUND),
        }
    }

    /// A page that holds tokens runs no script but its own and Courier's SDK, and talks to nobody but Courier. The SDK
    /// brings its styles inline, without a nonce.
    fn page(&self) -> Response<String> {
        let nonce = Uuid::new_v4().simple().to_string();
        let mut page = answer(
            "text/html; charset=utf-8",
            self.page.replace("{{nonce}}", &nonce),
        );
        let policy = format!(
            "default-src 'none'; script-src 'self' 'nonce-{nonce}'{}; style-src 'self' 'unsafe-inline'; \
             connect-src 'self'{}; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            self.sdk.sources(),
            self.inbox_origins,
        );
        let policy = HeaderValue::try_from(policy).expect("URLs and a UUID are ASCII");
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        page
    }

    /// Sends whoever is signed in a message, as a backend does with `/send`.
    #[cfg(feature = "inbox")]
    fn send(&self, user: Option<&str>) -> Response<String> {
        let (Some(courier), Some(user)) = (&self.courier, user) else {
            return nothing(StatusCode::UNAUTHORIZED);
        };
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let (title, preview) = MESSAGES[number % MESSAGES.len()];
        let id = courier.send(user, Draft::new(title, preview));
        answer("application/json", json!({ "message_id": id }).to_string())
    }

    fn set_outage(&self, outage: bool) {
        if let Some(courier) = &self.courier {
            if outage {
                fail(courier);
            } else {
                courier.recover();
            }
            self.outage.store(outage, Ordering::Relaxed);
        }
    }

    fn calls(&self, courier: &Emulator) -> Response<String> {
        let calls = courier.calls();
        let latest: Vec<_> = calls
            .iter()
            .rev()
            .take(20)
            .map(|call| json!({ "users": call.user_ids, "status": call.status }))
            .collect();
        let body = json!({
            "calls": courier.token_requests(),
            "outage": self.outage.load(Ordering::Relaxed),
            "latest": latest,
        });
        answer("application/json", body.to_string())
    }
}

#[cfg(feature = "inbox")]
async fn start_courier() -> std::io::Result<CourierServer> {
    Courier::start().await
}

#[cfg(not(feature = "inbox"))]
async fn start_courier() -> std::io::Result<CourierServer> {
    Emulator::start().await
}

#[cfg(feature = "inbox")]
fn tokens(courier: &CourierServer) -> &Emulator {
    courier.tokens()
}

#[cfg(not(feature = "inbox"))]
fn tokens(courier: &CourierServer) -> &Emulator {
    courier.emulator()
}

/// Everything that clients call answers 503.
#[cfg(feature = "inbox")]
fn fail(courier: &CourierServer) {
    courier.tokens().fail(Fault::status(503));
    for surface in [Surface::Inbox, Surface::Client, Surface::Socket] {
        courier.fail(surface, InboxFault::Status(503));
    }
}

#[cfg(not(feature = "inbox"))]
fn fail(courier: &CourierServer) {
    courier.fail(Fault::status(503));
}

/// Where the page's script connects to, beside the app.
fn inbox_origins(inbox: &str) -> String {
    match inbox {
        "" => String::new(),
        "courier" => [
            " https://api.courier.com https://inbox.courier.com wss://realtime.courier.io",
            " https://api.eu.courier.com https://inbox.eu.courier.io wss://realtime.eu.courier.io",
        ]
        .concat(),
        url => {
            let origin = origin(url);
            format!(" {origin} {}", origin.replacen("http", "ws", 1))
        }
    }
}

/// A policy that named a path too, a gateway's, would mean that path and nothing below it.
fn origin(url: &str) -> &str {
    let path = url.match_indices('/').nth(2);
    path.map_or(url, |(start, _)| &url[..start])
}

fn nothing(status: StatusCode) -> Response<String> {
    let mut response = answer("text/plain; charset=utf-8", "There is nothing here.\n");
    *response.status_mut() = status;
    response
}

fn answer(content_type: &'static str, body: impl Into<String>) -> Response<String> {
    let mut response = Response::new(body.into());
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Where Courier is if nothing else is said, and in the EU.
const COURIERS_OWN: [&str; 2] = ["https://api.courier.com", "https://api.eu.courier.com"];

/// What *Send me one* sends, one after the other.
#[cfg(feature = "inbox")]
const MESSAGES: [(&str, &str); 4] = [
    (
        "Your parcel is on its way",
        "It should be with you tomorrow before noon.",
    ),
    (
        "Dana replied to you",
        "“Looks good to me. Shall we ship it on Thursday?”",
    ),
    (
        "Invoice 2041 is paid",
        "Thank you. The receipt is in your account.",
    ),
    (
        "A new device signed in",
        "Chromium on Linux. If that was not you, change your password.",
    ),
];

const PAGE: &str = include_str!("../web/index.html");
const SCRIPT: &str = include_str!("../web/app.js");
const STYLE: &str = include_str!("../web/style.css");
