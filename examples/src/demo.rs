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

#[cfg(feature = "inbox")]
use crate::emulator::{Courier, CourierServer};
use crate::{error::StartError, settings::Settings};

/// Courier or its emulator, and the page that shows what comes of it. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Demo {
    provider: TokenProvider,
    courier: Option<Arc<CourierServer>>,
    outage: Arc<AtomicBool>,
    page: Arc<str>,
}

impl Demo {
    /// Builds the provider, and starts the emulator unless the settings ask for Courier.
    ///
    /// # Errors
    ///
    /// When a setting is malformed, or the emulator finds no port.
    pub async fn start(example: &str, settings: &Settings) -> Result<Self, StartError> {
        let courier = match settings.courier {
            true => None,
            false => Some(start_courier().await?),
        };
        let builder = match &courier {
            None => TokenProviderBuilder::from_env(),
            Some(courier) => {
                Ok(TokenProvider::builder(tokens(courier).api_key()).base_url(courier.url()))
            }
        };
        let provider = settings.provider(builder)?;
        let name = match &courier {
            None => {
                info!("using Courier, with the API key of COURIER_API_KEY");
                "the real Courier"
            }
            Some(courier) => {
                info!(
                    "COURIER_API_KEY is not set: using an emulator of Courier in this process \
                     ({}), no account and no network",
                    courier.url()
                );
                "emulated Courier"
            }
        };
        let page = PAGE
            .replace("{{example}}", example)
            .replace("{{courier}}", name);
        Ok(Self {
            provider,
            courier: courier.map(Arc::new),
            outage: Arc::default(),
            page: page.into(),
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

    /// Answers what is not the app's: the page, and for it the calls that the emulator got.
    pub fn answer(&self, method: &str, path: &str) -> Response<String> {
        match (method, path, self.emulator()) {
            ("GET" | "HEAD", "/", _) => answer("text/html; charset=utf-8", &*self.page),
            ("GET" | "HEAD", "/app.js", _) => answer("text/javascript; charset=utf-8", SCRIPT),
            ("GET" | "HEAD", "/style.css", _) => answer("text/css; charset=utf-8", STYLE),
            ("GET" | "HEAD", "/demo/calls", Some(courier)) => self.calls(courier),
            ("POST", "/demo/outage", Some(courier)) => {
                courier.fail(Fault::status(503));
                self.outage.store(true, Ordering::Relaxed);
                self.calls(courier)
            }
            ("DELETE", "/demo/outage", Some(courier)) => {
                courier.recover();
                self.outage.store(false, Ordering::Relaxed);
                self.calls(courier)
            }
            _ => {
                let mut response = answer("text/plain; charset=utf-8", "There is nothing here.\n");
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
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
            "calls": courier.issued(),
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

fn answer(content_type: &'static str, body: impl Into<String>) -> Response<String> {
    let mut response = Response::new(body.into());
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A page that holds tokens runs no script but its own and talks to nobody else.
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

const PAGE: &str = include_str!("../web/index.html");
const SCRIPT: &str = include_str!("../web/app.js");
const STYLE: &str = include_str!("../web/style.css");
