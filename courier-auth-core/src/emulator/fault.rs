//! What can be made to go wrong, and for which calls.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::json;

use super::answer::Answer;

/// Something that goes wrong with `POST /auth/issue-token`.
///
/// Given to [`Emulator::fail`](super::Emulator::fail), [`Emulator::fail_next`](super::Emulator::fail_next) or
/// [`Emulator::fail_for`](super::Emulator::fail_for). Faults that change the token ([`WrongUser`](Self::WrongUser),
/// [`ShortLife`](Self::ShortLife) and so on) show only where the request would have got one: a wrong API key is still a
/// 401.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An answer with this status, whatever the request. [`Fault::status`] is the short form.
    Status {
        /// The HTTP status.
        status: u16,
        /// Headers besides `date`, `content-type` and `content-length`, such as `retry-after`, `retry-after-ms` or
        /// `x-should-retry`.
        headers: Vec<(String, String)>,
        /// What the body looks like.
        body: ErrorBody,
    },
    /// The right answer, but only after this time.
    Latency(Duration),
    /// No answer; the connection stays open.
    Hang,
    /// No answer; the connection is reset before any byte.
    Reset,
    /// Half a status line, then the connection is closed.
    TruncatedHead,
    /// Half of the announced body, then the connection is closed.
    TruncatedBody,
    /// The right answer, but its body comes in small pieces spread over this time.
    SlowBody(Duration),
    /// 200 with a token of more than 17 KiB. Nothing else is wrong with it.
    OversizedToken,
    /// 200 with a page of HTML, as from a proxy's login page.
    Html,
    /// 307 to this URL. Status 307 asks the client to send the API key and the body there.
    Redirect(String),
    /// A token whose scope names this user instead of the one asked for.
    WrongUser(String),
    /// A token with this lifetime, in whole seconds, whatever the request says.
    ShortLife(Duration),
    /// A token that is not a JWT.
    Opaque,
    /// A token without `exp`.
    NoExpiry,
    /// A token that expires exactly when the last one given to the same user does.
    SameExpiry,
    /// The emulator's clock, so `iat`, `exp` and the `date` header, is ahead by this time, in whole seconds. While it is
    /// in force with [`Emulator::fail`](super::Emulator::fail), so is the clock of
    /// [`Emulator::verify`](super::Emulator::verify) and of every other answer.
    ClockAhead(Duration),
    /// The same, behind.
    ClockBehind(Duration),
}

/// What the body of a [`Fault::Status`] looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorBody {
    /// Courier's: JSON with `message` and the `type` that belongs to the status.
    #[default]
    Courier,
    /// Courier's, with this `message`.
    Message(String),
    /// JSON with a `message` but no `type`.
    Untyped,
    /// A page of HTML, as a gateway in front of Courier sends it.
    Html,
    /// None.
    Empty,
}

impl Fault {
    /// An answer with this status and Courier's error body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::status_with(status, &[])
    }

    /// An answer with this status, Courier's error body and these headers:
    ///
    /// ```
    /// use courier_auth_core::emulator::Fault;
    ///
    /// let fault = Fault::status_with(429, &[("retry-after", "1")]);
    /// ```
    #[must_use]
    pub fn status_with(status: u16, headers: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Self::Status {
            status,
            headers: headers.iter().map(owned).collect(),
            body: ErrorBody::Courier,
        }
    }

    /// By how many seconds it moves the clock.
    fn skew(&self) -> Option<i64> {
        let seconds = |skew: &Duration| i64::try_from(skew.as_secs()).unwrap_or(i64::MAX);
        match self {
            Self::ClockAhead(skew) => Some(seconds(skew)),
            Self::ClockBehind(skew) => Some(-seconds(skew)),
            _ => None,
        }
    }
}

/// The faults that lie ahead.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: VecDeque<(usize, Fault)>,
    standing: Option<Fault>,
    users: HashMap<String, Fault>,
}

impl Faults {
    pub(super) fn push(&mut self, calls: usize, fault: Fault) {
        if calls > 0 {
            self.next.push_back((calls, fault));
        }
    }

    pub(super) fn stand(&mut self, fault: Fault) {
        self.standing = Some(fault);
    }

    pub(super) fn stand_for(&mut self, user_id: String, fault: Fault) {
        self.users.insert(user_id, fault);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault of the next call, which is for these users.
    pub(super) fn take(&mut self, user_ids: &[String]) -> Option<Fault> {
        if let Some(fault) = user_ids.iter().find_map(|id| self.users.get(id)) {
            return Some(fault.clone());
        }
        let Some((calls, fault)) = self.next.front_mut() else {
            return self.standing.clone();
        };
        *calls -= 1;
        if *calls > 0 {
            return Some(fault.clone());
        }
        self.next.pop_front().map(|(_, fault)| fault)
    }

    /// By how many seconds the clock is off for a call with this fault, or for none in particular.
    pub(super) fn skew(&self, fault: Option<&Fault>) -> i64 {
        let skew = fault.and_then(Fault::skew);
        skew.or_else(|| self.standing.as_ref().and_then(Fault::skew))
            .unwrap_or_default()
    }
}

pub(super) fn refusal(status: u16, headers: &[(String, String)], body: &ErrorBody) -> Answer {
    const MESSAGE: &str = "The emulator was told to answer this";
    let answer = match body {
        ErrorBody::Courier => Answer::error(status, MESSAGE),
        ErrorBody::Message(message) => Answer::error(status, message),
        ErrorBody::Untyped => Answer::json(status, &json!({ "message": MESSAGE })),
        ErrorBody::Html => {
            let page = format!("<html><body><h1>{status}</h1></body></html>");
            Answer::new(status, HTML, page)
        }
        ErrorBody::Empty => Answer::empty(status),
    };
    // The server sets it, to the length of the body.
    let others = |(name, _): &&(String, String)| !name.eq_ignore_ascii_case("content-length");
    let headers = headers.iter().filter(others);
    headers.fold(answer, |answer, (name, value)| {
        answer.header(&name.to_ascii_lowercase(), value.as_str())
    })
}

pub(super) const HTML: &str = "text/html; charset=utf-8";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, Faults};

    #[test]
    fn counted_faults_come_first_and_in_order() {
        let mut faults = Faults::default();
        faults.stand(Fault::Hang);
        faults.push(0, Fault::TruncatedHead);
        faults.push(2, Fault::Reset);
        faults.push(1, Fault::Opaque);
        let taken = [(); 5].map(|()| faults.take(&[]));
        let expected = [
            Fault::Reset,
            Fault::Reset,
            Fault::Opaque,
            Fault::Hang,
            Fault::Hang,
        ];
        assert_eq!(taken, expected.map(Some));
        faults.push(1, Fault::Reset);
        faults.clear();
        assert_eq!(faults.take(&[]), None);
    }

    #[test]
    fn the_clock_is_off_for_a_call_or_for_all() {
        let mut faults = Faults::default();
        let ahead = Fault::ClockAhead(Duration::from_secs(5));
        assert_eq!(faults.skew(Some(&ahead)), 5);
        assert_eq!(faults.skew(None), 0);
        faults.stand(Fault::ClockBehind(Duration::MAX));
        assert_eq!(faults.skew(Some(&Fault::Hang)), -i64::MAX);
        assert_eq!(faults.skew(Some(&ahead)), 5);
    }
}
