//! `POST /auth/issue-token`: what is asked for, what is issued, and what the faults make of it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, Ending};
use super::duration;
use super::fault::{self, Fault};
use super::jwt::{self, Claims};
use super::state::Emulator;

/// What can be made out of the body, right or wrong: the log tells it also where it is refused.
#[derive(Default)]
pub(super) struct IssueRequest {
    pub(super) scope: Option<String>,
    expires_in: Option<Value>,
    too_large: bool,
}

impl IssueRequest {
    pub(super) fn read(body: &[u8]) -> Self {
        if body.len() > BODY_LIMIT {
            return Self {
                too_large: true,
                ..Self::default()
            };
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let scope = match fields.remove("scope") {
            Some(Value::String(scope)) => Some(scope),
            _ => None,
        };
        Self {
            scope,
            expires_in: fields.remove("expires_in"),
            too_large: false,
        }
    }

    pub(super) fn user_ids(&self) -> Vec<String> {
        let scope = self.scope.as_deref().unwrap_or_default();
        jwt::user_ids(scope).map(str::to_owned).collect()
    }

    pub(super) fn expires_in_text(&self) -> Option<String> {
        let sent = self.expires_in.as_ref()?;
        Some(
            sent.as_str()
                .map_or_else(|| sent.to_string(), str::to_owned),
        )
    }
}

impl Emulator {
    pub(super) fn issue_or_fail(
        &self,
        headers: &[(&str, &str)],
        request: &IssueRequest,
        fault: Option<Fault>,
        now: i64,
    ) -> Answer {
        let mut delay = Duration::ZERO;
        let mut ending = Ending::Complete;
        match &fault {
            Some(Fault::Status {
                status,
                headers,
                body,
            }) => {
                return fault::refusal(*status, headers, body);
            }
            Some(Fault::Redirect(url)) => {
                return Answer::empty(307).header("location", url.as_str());
            }
            Some(Fault::Html) => {
                return Answer::new(200, fault::HTML, "<html><body>Please sign in</body></html>");
            }
            Some(Fault::Latency(latency)) => delay = *latency,
            Some(Fault::Hang) => ending = Ending::Hang,
            Some(Fault::Reset) => ending = Ending::Reset,
            Some(Fault::TruncatedHead) => ending = Ending::TruncatedHead,
            Some(Fault::TruncatedBody) => ending = Ending::TruncatedBody,
            Some(Fault::SlowBody(time)) => ending = Ending::SlowBody(*time),
            _ => {}
        }
        let answer = match self.issue(headers, request, fault, now, ending) {
            Ok(token) => Answer::json(200, &json!({ "token": token })),
            Err(refusal) => refusal,
        };
        Answer {
            delay,
            ending,
            ..answer
        }
    }

    fn issue(
        &self,
        headers: &[(&str, &str)],
        request: &IssueRequest,
        fault: Option<Fault>,
        now: i64,
        ending: Ending,
    ) -> Result<String, Answer> {
        self.check_key(headers)?;
        if request.too_large {
            return Err(Answer::error(413, "The body is larger than 64 KiB"));
        }
        let scope = request.scope.clone();
        let scope =
            scope.ok_or_else(|| bad_request("The body must be JSON with a string `scope`"))?;
        let exp = expiry(request, now)?;

        let mut claims = Claims::new(scope, now, exp);
        match fault {
            Some(Fault::Opaque) => {
                let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
                return Ok(format!("{}.{}", first.simple(), second.simple()));
            }
            Some(Fault::WrongUser(user_id)) => claims.scope = for_user(&claims.scope, &user_id),
            Some(Fault::ShortLife(life)) => {
                let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
                claims.exp = Some(now.saturating_add(seconds));
            }
            Some(Fault::NoExpiry) => claims.exp = None,
            Some(Fault::SameExpiry) => {
                let state = self.state();
                let mut expiries = claims.user_ids().filter_map(|id| state.last_expiry.get(id));
                let last = expiries.next().copied();
                drop(expiries);
                claims.exp = last.or(claims.exp);
            }
            Some(Fault::OversizedToken) => {
                claims.jti.push_str(&"0".repeat(OVERSIZED_TOKEN * 3 / 4));
            }
            _ => {}
        }
        if let Some(exp) = claims.exp
            && ending.sends_everything()
        {
            let mut state = self.state();
            let expiries = request.user_ids().into_iter().map(|id| (id, exp));
            state.last_expiry.extend(expiries);
        }
        Ok(self.shared.signer.sign(&claims))
    }
}

/// Without a lifetime a token never expires. So it was for years; whether it still is, is not known.
fn expiry(request: &IssueRequest, now: i64) -> Result<Option<i64>, Answer> {
    let Some(asked) = &request.expires_in else {
        return Ok(None);
    };
    let seconds = match asked {
        Value::String(text) => duration::parse_ms(text).map(|ms| ms / 1000.0),
        Value::Number(number) => number.as_f64().filter(|number| number.fract() == 0.0),
        _ => None,
    };
    let seconds = seconds.ok_or_else(|| {
        bad_request("`expires_in` must be a whole number of seconds or text such as `2 hours`")
    })?;
    Ok(Some(duration::expiry(now, seconds)))
}

fn bad_request(message: &str) -> Answer {
    Answer::error(400, message)
}

/// The scope string with another user in it.
fn for_user(scope: &str, user_id: &str) -> String {
    let others = scope
        .split(' ')
        .filter(|word| !word.starts_with(jwt::USER_ID));
    others.fold(format!("{}{user_id}", jwt::USER_ID), |scope, word| {
        scope + " " + word
    })
}

/// The most of a body that is read, in bytes.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

const OVERSIZED_TOKEN: usize = 17 * 1024;
