//! Courier's REST calls: which there are, and the API key that all of them ask for.

use super::answer::Answer;
use super::call::Call;
use super::clock;
use super::issue::IssueRequest;
use super::state::Emulator;

impl Emulator {
    /// Answers one request.
    ///
    /// A query in `path` is ignored. Header names are case-insensitive. A body of more
    /// than 64 KiB is refused with a 413.
    pub fn respond(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let route = Route::of(path);
        let issuing = method == "POST" && matches!(route, Route::IssueToken);
        let request = issuing.then(|| IssueRequest::read(body));
        let user_ids = request.as_ref().map(IssueRequest::user_ids);
        let user_ids = user_ids.unwrap_or_default();

        let (fault, now) = {
            let mut state = self.state();
            let fault = issuing.then(|| state.faults.take(&user_ids)).flatten();
            let skew = state.faults.skew(fault.as_ref());
            (fault, clock::unix_now(skew))
        };
        let answer = match (&request, route) {
            (Some(request), _) => self.issue_or_fail(headers, request, fault, now),
            (None, Route::Archive) if method == "PUT" => self.archive(headers),
            (None, Route::IssueToken) => method_not_allowed("POST"),
            (None, Route::Archive) => method_not_allowed("PUT"),
            (None, Route::Unknown) => Answer::error(404, "Not Found"),
        };
        let answer = answer.header("date", clock::http_date(now));
        // Not the path: on a wrong one, nobody knows what is in it.
        tracing::debug!(
            method,
            ?route,
            status = answer.status,
            "the Courier emulator was called"
        );

        let request = request.unwrap_or_default();
        let call = Call {
            method: method.to_owned(),
            path: path.to_owned(),
            status: answer.ending.sends_status().then_some(answer.status),
            user_ids,
            expires_in: request.expires_in_text(),
            scope: request.scope,
        };
        self.state().log.push(call, issuing);
        answer
    }

    fn archive(&self, headers: &[(&str, &str)]) -> Answer {
        match self.check_key(headers) {
            Ok(()) => Answer::empty(204),
            Err(refusal) => refusal,
        }
    }

    pub(super) fn check_key(&self, headers: &[(&str, &str)]) -> Result<(), Answer> {
        let mut headers = headers.iter();
        let sent = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let sent = sent.and_then(|(_, value)| value.split_once(' '));
        match sent {
            Some((scheme, key))
                if scheme.eq_ignore_ascii_case("bearer") && key == self.api_key() =>
            {
                Ok(())
            }
            _ => Err(Answer::error(401, "Unauthorized")),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Route {
    IssueToken,
    Archive,
    Unknown,
}

impl Route {
    fn of(path: &str) -> Self {
        if path == "/auth/issue-token" {
            return Self::IssueToken;
        }
        let id = path
            .strip_prefix("/requests/")
            .and_then(|rest| rest.strip_suffix("/archive"));
        match id {
            Some(id) if !id.is_empty() && !id.contains('/') => Self::Archive,
            _ => Self::Unknown,
        }
    }
}

fn method_not_allowed(allow: &str) -> Answer {
    Answer::error(405, "Method Not Allowed").header("allow", allow)
}
