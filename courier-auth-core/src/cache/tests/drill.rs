//! Outages of Courier with ten thousand users who come back once a minute, in compressed time.
//!
//! `cargo test -p courier-auth-core --lib drill -- --nocapture` prints the figures.

#![expect(clippy::print_stdout, reason = "the figures of the drill")]

use std::{cell::RefCell, collections::HashSet, rc::Rc, time::Duration};

use tokio::{
    task::LocalSet,
    time::{Instant, sleep, sleep_until},
};

use super::{Mood, World};
use crate::cache::Wish;

const USERS: u64 = 10_000;
const MINUTE: u64 = 60;
const HOUR: Duration = Duration::from_secs(3600);
const WELL: Mood = Mood::Slow(Duration::from_millis(50));

/// What users saw during a part of the drill.
#[derive(Debug, Default)]
struct Seen {
    tokens: u64,
    errors: u64,
    errors_without_retry_after: u64,
    longest_wait: Duration,
    /// The users whose last answer was an error.
    out: HashSet<u64>,
}

struct Drill {
    world: Rc<World>,
    seen: Rc<RefCell<Seen>>,
}

impl Drill {
    fn new() -> Self {
        fastrand::seed(1);
        let world = World::new(HOUR, USERS as usize * 2);
        world.courier.set_mood(WELL);
        Self {
            world: Rc::new(world),
            seen: Rc::default(),
        }
    }

    /// Every user comes once a minute, evenly spread.
    async fn run(&self, minutes: u64) -> Seen {
        *self.seen.borrow_mut() = Seen::default();
        let start = Instant::now();
        for minute in 0..minutes {
            for second in 0..MINUTE {
                sleep_until(start + Duration::from_secs(minute * MINUTE + second)).await;
                for user in (0..USERS).filter(|user| user % MINUTE == second) {
                    self.visit(user);
                }
            }
        }
        // Until the last one has been answered.
        sleep(Duration::from_secs(6)).await;
        std::mem::take(&mut self.seen.borrow_mut())
    }

    fn visit(&self, user: u64) {
        let world = Rc::clone(&self.world);
        let seen = Rc::clone(&self.seen);
        tokio::task::spawn_local(async move {
            let start = Instant::now();
            let outcome = world
                .cache
                .get(&world.grant(&format!("u{user}")), Wish::Any)
                .await;
            let mut seen = seen.borrow_mut();
            seen.longest_wait = seen.longest_wait.max(start.elapsed());
            match outcome {
                Ok(_) => {
                    seen.tokens += 1;
                    seen.out.remove(&user);
                }
                Err(error) => {
                    seen.errors += 1;
                    seen.out.insert(user);
                    seen.errors_without_retry_after += u64::from(error.retry_after().is_none());
                }
            }
        });
    }

    fn calls(&self) -> usize {
        self.world.courier.calls()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_twelve_minutes_is_not_noticed() {
    for down in [Mood::Hang, Mood::Status(503, None)] {
        LocalSet::new()
            .run_until(async {
                let drill = Drill::new();
                // Long enough that refreshes are spread over the hour.
                let warm = drill.run(70).await;
                assert_eq!(warm.errors, 0);

                drill.world.courier.set_mood(down.clone());
                let before = drill.calls();
                let outage = drill.run(12).await;
                let calls = drill.calls() - before;
                println!("down 12 min ({down:?}): {} tokens, {} errors, {calls} calls, longest wait {:?}",
                    outage.tokens, outage.errors, outage.longest_wait);
                assert_eq!(outage.errors, 0);
                assert!(calls <= bound(12 * MINUTE), "{calls}");

                drill.world.courier.set_mood(WELL);
                let after = drill.run(5).await;
                assert_eq!(after.errors, 0);
                assert!(drill.world.courier.most_running() <= 16);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_two_hours_is_borne_and_got_over() {
    LocalSet::new()
        .run_until(async {
            let drill = Drill::new();
            drill.run(70).await;

            drill.world.courier.set_mood(Mood::Hang);
            let before = drill.calls();
            let outage = drill.run(120).await;
            let calls = drill.calls() - before;
            println!("down 2 h: {} tokens, {} errors, {calls} calls, longest wait {:?}, {} users without token",
                outage.tokens, outage.errors, outage.longest_wait, outage.out.len());
            assert_eq!(outage.out.len(), USERS as usize, "all tokens have run out");
            assert_eq!(outage.errors_without_retry_after, 0);
            assert!(outage.longest_wait <= Duration::from_millis(5_010));
            assert!(calls <= bound(120 * MINUTE), "{calls}");

            drill.world.courier.set_mood(WELL);
            let before = drill.calls();
            let recovery = drill.run(3).await;
            println!("recovery: {} tokens, {} errors in 3 min, {} calls, at most {} at once, {} users without token",
                recovery.tokens, recovery.errors, drill.calls() - before, drill.world.courier.most_running(),
                recovery.out.len());
            assert_eq!(recovery.out.len(), 0, "all users have a token again");
            assert!(drill.world.courier.most_running() <= 16);
            assert!(drill.calls() - before <= USERS as usize + 48);
        })
        .await;
}

/// Calls to Courier in an outage: those under way and those that took the place of the first four
/// to fail, and then one probe per pause, which is 48 seconds or more in the end (4, 8, 16, 32
/// before that). Three tries each.
fn bound(seconds: u64) -> usize {
    let first = 16 + 4;
    let probes = 4 + seconds / 48 + 1;
    3 * (first + probes as usize)
}
