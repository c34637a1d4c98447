//! An outage of Courier, small and in real time: what the users of a real app see of it.
//!
//! The same drill with ten thousand users, in compressed time, is `src/cache/tests/drill.rs`. Like
//! the endpoint's contract it runs through each adapter. Nothing here depends on how fast the
//! machine is: what is expected of an answer follows from the answers before it, and waits are
//! bounded only so that a test ends.

use std::time::{Duration, Instant};

use courier_auth_core::{
    TokenProvider,
    emulator::{Emulator, EmulatorServer, Fault},
};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::endpoint::Seen;

/// What is there before the app is.
pub(crate) struct Drill {
    courier: EmulatorServer,
    pub(crate) provider: TokenProvider,
}

impl Drill {
    pub(crate) async fn new() -> Self {
        let courier = Emulator::start().await.expect("a port on loopback");
        let provider = TokenProvider::builder(courier.api_key())
            .base_url(courier.url())
            .lifetime(LIFETIME)
            .build()
            .expect("a provider for the emulator");
        Self { courier, provider }
    }

    /// Courier goes down when tokens have reached an age, until they have run out. `ask` sends a
    /// user's `GET` to the app.
    #[expect(clippy::print_stdout, reason = "the figures of the drill")]
    pub(crate) async fn run(&self, age: Duration, down: Fault, ask: impl AsyncFn(&str) -> Seen) {
        let mut users = users("user", 50);
        visits(&mut users, &ask).await;
        assert!(users.iter().all(User::has_token), "Courier is up");
        assert_eq!(self.courier.token_requests(), users.len());
        sleep(age).await;

        self.courier.fail(down);
        let start = Instant::now();
        let mut new_users = self::users("new", 20);
        tokio::join!(
            async {
                visits(&mut new_users, &ask).await;
                assert!(!new_users.iter().any(User::has_token), "Courier is down");
            },
            async {
                visits(&mut users, &ask).await;
                assert!(users.iter().any(User::has_token), "they have good ones");
                while users.iter().any(User::has_token) {
                    sleep(Duration::from_millis(250)).await;
                    visits(&mut users, &ask).await;
                }
            }
        );
        let calls = self.courier.token_requests() - users.len();
        let (outage, most) = (start.elapsed(), bound(start.elapsed()));
        println!("down {outage:.1?}: {calls} calls to Courier of at most {most}");
        assert!(calls <= most);

        self.courier.recover();
        self.courier.clear_calls();
        let start = Instant::now();
        users.append(&mut new_users);
        let back = join_all(users.iter_mut().map(|user| user.comes_back(&ask)));
        timeout(RECOVERY, back).await.expect("all users recover");
        let calls = self.courier.token_requests();
        println!("recovery: {calls} calls, {:.1?}", start.elapsed());
        assert!(calls <= users.len() + 48, "a storm");
    }
}

struct User {
    id: String,
    /// Until when at least the last answer's token can be handed out, if it was a token.
    good_until: Option<Instant>,
    /// The last answer's `Retry-After`, if it was an error.
    retry_after: Duration,
}

impl User {
    fn has_token(&self) -> bool {
        self.good_until.is_some()
    }

    async fn visit(&mut self, ask: &impl AsyncFn(&str) -> Seen) {
        let asked = Instant::now();
        let seen = timeout(PATIENCE, ask(&self.id)).await;
        let seen = seen.expect("nobody waits longer than the hard limit");
        let body: Value = serde_json::from_str(&seen.body).expect("JSON");
        if seen.status == 200 {
            assert_eq!(body["user_id"], *self.id);
            let left = Duration::from_secs(body["expires_in"].as_u64().expect("seconds"));
            self.good_until = Some(asked + left - GRACE);
            return;
        }
        assert_eq!(seen.status, 503, "{body}");
        assert_eq!(header(&seen, "content-type"), "application/problem+json");
        assert_eq!(body["code"], "courier_unavailable");
        let seconds = header(&seen, "retry-after").parse().expect("seconds");
        self.retry_after = Duration::from_secs(seconds);
        let was_good = self
            .good_until
            .take()
            .is_some_and(|end| Instant::now() < end);
        assert!(!was_good, "{} had a good token and got an error", self.id);
    }

    async fn comes_back(&mut self, ask: &impl AsyncFn(&str) -> Seen) {
        while !self.has_token() {
            sleep(self.retry_after).await;
            self.visit(ask).await;
        }
    }
}

fn users(name: &str, count: usize) -> Vec<User> {
    let user = |number| User {
        id: format!("{name}-{number}"),
        good_until: None,
        retry_after: Duration::ZERO,
    };
    (0..count).map(user).collect()
}

/// All of them at once.
async fn visits(users: &mut [User], ask: &impl AsyncFn(&str) -> Seen) {
    join_all(users.iter_mut().map(|user| user.visit(ask))).await;
}

fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    let mut headers = seen.headers.iter();
    let value = headers.find_map(|(known, value)| (known == name).then_some(value.as_str()));
    value.unwrap_or_default()
}

/// Calls to Courier in an outage, as in the drill in compressed time: those under way and those
/// that took the place of the first four to fail, and then one probe per pause. Three tries each.
fn bound(outage: Duration) -> usize {
    let first = 16 + 4;
    let probes = 4 + outage.as_secs() / 48 + 1;
    3 * (first + probes as usize)
}

/// Short, but long enough for a slow machine to ask for all tokens before they run out.
const LIFETIME: Duration = Duration::from_secs(20);
/// A twentieth of it: with less than this left a token is not handed out.
const GRACE: Duration = Duration::from_secs(1);
/// The hard limit, and as much again for the machine.
const PATIENCE: Duration = Duration::from_secs(5 + 5);
/// The longest pause of the breaker, the longest backoff, what is added so that browsers do not
/// come back together, and time for the call.
const RECOVERY: Duration = Duration::from_secs(60 + 15 + 5 + 10);
