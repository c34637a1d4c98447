//! Whom the cache is too small for.

use std::time::Duration;

use ::metrics::set_default_local_recorder;

use super::{Mood, World, recorder::Heard};
use crate::cache::Wish;

const HOUR: Duration = Duration::from_secs(3600);
const PLACES: usize = 10;
const EVICTIONS: &str = "courier_auth_evictions_total";

async fn come(world: &World, names: &str) {
    for n in 0..PLACES * 10 {
        let _ = world.get(&format!("{names}-{n}")).await;
    }
}

/// Visitors who came once and never again filled the cache, and the alert said that it was too
/// small.
#[tokio::test(start_paused = true)]
async fn who_leaves_without_a_good_token_is_not_counted() {
    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
    let world = World::new(HOUR, PLACES);
    come(&world, "early").await;
    let early = heard.take(EVICTIONS);
    assert!((80..=90).contains(&early), "{early}");

    // Those that are there have tokens that are over by now; those who come get none.
    tokio::time::sleep(HOUR).await;
    world.courier.set_mood(Mood::Status(400, None));
    come(&world, "late").await;
    assert_eq!(heard.take(EVICTIONS), 0);
}

/// It panicked in the middle of the map, which was never the same again: what was looked for there
/// panicked too, and the seats of those who had come were taken for ever.
#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_leaves_the_map_as_it_should_be() {
    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
    let world = World::new(HOUR, PLACES);
    come(&world, "early").await;
    heard.panic_at(Some(EVICTIONS));
    for n in 0..PLACES * 10 {
        // Whoever has been here before is asked for more often.
        for name in [format!("unlucky-{n}"), format!("unlucky-{}", n / 2)] {
            let (cache, grant) = (world.cache.clone(), world.grant(&name));
            let _panic = tokio::spawn(async move { cache.get(&grant, Wish::Any).await }).await;
        }
    }
    heard.panic_at(None);
    for names in ["early", "unlucky", "late"] {
        for n in 0..PLACES * 10 {
            world.get(&format!("{names}-{n}")).await.unwrap();
        }
    }
    assert_eq!(world.cache.status().users, PLACES);
}

/// The seats were kept for users who had been here often and would not be again, and those who came
/// were forgotten from one page view to the next: with twice the seats that were needed, up to a fifth
/// of the calls to Courier was for nothing.
#[tokio::test(start_paused = true)]
async fn who_is_here_is_asked_for_once_while_others_come_and_go() {
    const SEATS: usize = 1000;
    const HERE: usize = SEATS / 2;
    for (views, percent) in [(10, 1), (3, 5)] {
        let world = World::new(HOUR, SEATS);
        let mut random = fastrand::Rng::with_seed(7);
        let mut users: Vec<_> = (0..HERE).map(|user| (user, 0)).collect();
        let mut came = HERE;
        while came < 10 * SEATS {
            let (user, seen) = &mut users[random.usize(..HERE)];
            world.get(&format!("user-{user}")).await.unwrap();
            *seen += 1;
            if *seen == views {
                (*user, *seen) = (came, 0);
                came += 1;
            }
        }
        let calls = world.courier.calls();
        assert!(
            calls <= came + came * percent / 100,
            "{calls} calls for {came} users who looked at {views} pages"
        );
    }
}
