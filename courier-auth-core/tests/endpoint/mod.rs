//! The endpoint's wire contract as a table (`cases.json`), and what runs it.
//!
//! The same cases run against the core and, through each adapter, against real apps, so that they
//! cannot diverge. In those apps the request header `x-test-user` says who is signed in: the value
//! is the user id, no header means nobody.

use std::collections::BTreeMap;

use courier_auth_core::{
    TokenProvider,
    emulator::{Emulator, EmulatorServer, Fault},
    endpoint::Endpoint,
};
use serde::Deserialize;
use serde_json::Value;

/// What is mounted below the prefix.
pub(crate) const PATHS: [&str; 2] = [Endpoint::TOKEN_PATH, Endpoint::SCRIPT_PATH];

/// The header that stands for the session of a test app.
pub(crate) const USER_HEADER: &str = "x-test-user";

/// What an app is built from for one case.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) provider: TokenProvider,
    pub(crate) allow_cross_site: bool,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Below the prefix: `/token` or `/session.js`.
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

/// What comes back. Header names in lower case.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| value.clone())
    }
}

/// Runs all cases of the paths that are mounted. `send` builds an app from the setup and sends it
/// the request.
pub(crate) async fn run_cases(paths: &[&str], send: impl AsyncFn(&Setup, Request) -> Seen) {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json")).expect("the table");
    assert!(cases.len() > 50, "the table is there");
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| paths.contains(&&*case.path)) {
        for problem in case.run(&send).await {
            failures.push(format!("{}: {problem}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "token_path")]
    path: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    query: Option<String>,
    /// A value of several lines is a header that is sent so often.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "somebody")]
    user: Option<String>,
    /// Whether the path was asked before, and the user's token is cached therefore.
    #[serde(default)]
    warm: bool,
    #[serde(default)]
    allow_cross_site: bool,
    #[serde(default)]
    courier: Option<Courier>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Courier {
    Status {
        status: u16,
        retry_after: Option<String>,
    },
    Named(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: u16,
    calls: usize,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    same_token: bool,
    #[serde(default)]
    retry_after: Option<(u64, u64)>,
    #[serde(default)]
    refresh_in: Option<(u64, u64)>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl Case {
    async fn run(&self, send: &impl AsyncFn(&Setup, Request) -> Seen) -> Vec<String> {
        let courier = Emulator::start().await.expect("a port on loopback");
        let setup = Setup {
            provider: provider(&courier),
            allow_cross_site: self.allow_cross_site,
        };
        let mut first = None;
        if self.warm {
            let request = Request {
                path: self.path.clone(),
                method: "GET".into(),
                query: None,
                headers: vec![(USER_HEADER.into(), USER.into())],
            };
            let seen = send(&setup, request).await;
            assert_eq!(seen.status, 200, "{}: the first request", self.name);
            first = Some(seen);
        }
        if let Some(courier_does) = &self.courier {
            courier.fail(courier_does.fault());
        }
        let held = first.as_ref().and_then(|first| first.header("etag"));
        let held = held.as_deref().unwrap_or_default().trim_matches('"');
        let escaped: String = held.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let fill = |text: &str| text.replace("{held}", held).replace("{escaped}", &escaped);
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .flat_map(|(name, lines)| lines.lines().map(|line| (name.clone(), fill(line))))
            .collect();
        headers.extend(
            self.user
                .iter()
                .map(|user| (USER_HEADER.into(), user.clone())),
        );
        let request = Request {
            path: self.path.clone(),
            method: self.method.clone(),
            query: self.query.as_deref().map(fill),
            headers,
        };
        let seen = send(&setup, request).await;
        let mut check = Check {
            seen,
            problems: Vec::new(),
        };
        if self.path == Endpoint::TOKEN_PATH {
            check.always();
            check.expected(self, first.as_ref());
        } else {
            check.script(self, first.as_ref());
        }
        check.equal(
            "calls to Courier",
            courier.token_requests(),
            self.expect.calls,
        );
        check.problems
    }
}

impl Courier {
    fn fault(&self) -> Fault {
        match self {
            Self::Status {
                status,
                retry_after: Some(after),
            } => Fault::status_with(*status, &[("retry-after", after)]),
            Self::Status { status, .. } => Fault::status(*status),
            Self::Named(name) => match name.as_str() {
                "html" => Fault::Html,
                "reset" => Fault::Reset,
                "redirect" => Fault::Redirect("http://127.0.0.1:9/".into()),
                "wrong_user" => Fault::WrongUser("alice".into()),
                other => panic!("no such fault: {other}"),
            },
        }
    }
}

struct Check {
    seen: Seen,
    problems: Vec<String>,
}

impl Check {
    /// What holds for every answer of the endpoint.
    fn always(&mut self) {
        self.header_is("cache-control", "no-store");
        self.header_is("x-content-type-options", "nosniff");
        self.header_is("vary", "Cookie, Authorization");
        self.header_is("cross-origin-resource-policy", "same-origin");
        for word in ["authentication_error", "Unauthorized\",\"type", "api_error"] {
            if self.seen.body.contains(word) {
                self.problems.push(format!("Courier's own words: {word}"));
            }
        }
    }

    /// The script is public and the same for everybody, and so are its headers.
    fn script(&mut self, case: &Case, first: Option<&Seen>) {
        let expect = &case.expect;
        self.equal("status", self.seen.status, expect.status);
        self.header_is("cache-control", "no-cache");
        self.header_is("x-content-type-options", "nosniff");
        self.header_is("cross-origin-resource-policy", "cross-origin");
        self.header_is("access-control-allow-origin", "*");
        self.equal("vary", self.header("vary"), None);
        for (name, value) in &expect.headers {
            self.header_is(name, value);
        }
        if let Some(first) = first {
            self.equal("etag", self.header("etag"), first.header("etag"));
        }
        let length = self.number("content-length");
        match expect.status {
            200 => {
                self.header_is("content-type", "text/javascript; charset=utf-8");
                self.equal("content-length", length, Some(SCRIPT.len() as u64));
                let tag = self.header("etag").unwrap_or_default();
                if tag.len() != 24 || !tag.starts_with('"') {
                    self.problems.push(format!("etag {tag}"));
                }
                let head = case.method == "HEAD";
                let wanted = if head { "" } else { SCRIPT };
                self.equal("body is the script", self.seen.body == wanted, true);
            }
            304 => {
                self.equal("body", self.seen.body.clone(), String::new());
                self.equal("content-type", self.header("content-type"), None);
            }
            _ => {
                self.header_is("content-type", "application/problem+json");
                let code = json(&self.seen.body)["code"].as_str().map(str::to_owned);
                self.equal("code", code, expect.code.clone());
            }
        }
    }

    fn expected(&mut self, case: &Case, first: Option<&Seen>) {
        let expect = &case.expect;
        self.equal("status", self.seen.status, expect.status);
        for (name, value) in &expect.headers {
            self.header_is(name, value);
        }
        let bodiless = case.method == "HEAD" || expect.status == 304;
        if bodiless {
            self.equal("body", self.seen.body.clone(), String::new());
        }
        match expect.status {
            200 => {
                self.header_is("content-type", "application/json");
                if bodiless {
                    let length = self.number("content-length");
                    if length.is_none_or(|length| length < 200) {
                        self.problems.push(format!("content-length {length:?}"));
                    }
                } else {
                    self.token_body(case, first);
                }
            }
            304 => {
                let held = first.and_then(|first| first.header("etag"));
                self.header_is("etag", &held.unwrap_or_default());
                self.equal("content-type", self.header("content-type"), None);
                if expect.retry_after.is_none() {
                    self.number_within("retry-after", NEXT_OF_AN_HOUR);
                }
            }
            _ => {
                self.header_is("content-type", "application/problem+json");
                if !bodiless {
                    let body = json(&self.seen.body);
                    self.equal(
                        "body.status",
                        body["status"].as_u64(),
                        Some(u64::from(expect.status)),
                    );
                    let code = body["code"].as_str().map(str::to_owned);
                    self.equal("code", code, expect.code.clone());
                }
            }
        }
        if let Some(bounds) = expect.retry_after {
            self.number_within("retry-after", bounds);
        }
    }

    fn token_body(&mut self, case: &Case, first: Option<&Seen>) {
        let body = json(&self.seen.body);
        let keys: Vec<&str> = body
            .as_object()
            .map(|object| object.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let mut wanted = [
            "token",
            "user_id",
            "scope",
            "expires_in",
            "refresh_in",
            "expires_at",
            "token_id",
            "region",
        ];
        wanted.sort_unstable();
        self.equal("keys", keys, wanted.to_vec());
        self.equal("user_id", body["user_id"].as_str(), case.user.as_deref());
        self.equal(
            "scope",
            body["scope"].as_str(),
            Some(&*format!(
                "user_id:{USER} inbox:read:messages inbox:write:events"
            )),
        );
        self.equal("region", body["region"].as_str(), Some("us"));
        let expires_in = body["expires_in"].as_u64().unwrap_or_default();
        let refresh_in = body["refresh_in"].as_u64().unwrap_or_default();
        let (low, high) = case.expect.refresh_in.unwrap_or(NEXT_OF_AN_HOUR);
        if !(3500..=3600).contains(&expires_in) || !(low..=high).contains(&refresh_in) {
            self.problems
                .push(format!("expires_in {expires_in}, refresh_in {refresh_in}"));
        }
        let tag = format!("\"{}\"", body["token_id"].as_str().unwrap_or_default());
        self.header_is("etag", &tag);
        if case.expect.same_token {
            let first = first.map(|first| json(&first.body)["token"].clone());
            self.equal("token", Some(body["token"].clone()), first);
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        self.seen.header(name)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    fn number_within(&mut self, name: &str, (low, high): (u64, u64)) {
        let number = self.number(name);
        if number.is_none_or(|number| !(low..=high).contains(&number)) {
            self.problems
                .push(format!("{name} is {number:?}, not within {low}..={high}"));
        }
    }

    fn header_is(&mut self, name: &str, wanted: &str) {
        let value = self.header(name);
        self.equal(name, value.as_deref(), Some(wanted));
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads like an assertion")]
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, seen: T, wanted: T) {
        if seen != wanted {
            self.problems
                .push(format!("{what} is {seen:?}, not {wanted:?}"));
        }
    }
}

fn provider(courier: &EmulatorServer) -> TokenProvider {
    TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .expect("a provider for the emulator")
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

fn token_path() -> String {
    Endpoint::TOKEN_PATH.into()
}

fn get() -> String {
    "GET".into()
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an `Option`")]
fn somebody() -> Option<String> {
    Some(USER.into())
}

const SCRIPT: &str = include_str!("../../js/session.js");
const USER: &str = "user-1";
/// When a token of an hour is refreshed: after 48 to 54 minutes.
const NEXT_OF_AN_HOUR: (u64, u64) = (2800, 3240);
