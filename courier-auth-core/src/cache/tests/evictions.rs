//! Whom the cache is too small for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

use super::{Mood, World};

const HOUR: Duration = Duration::from_secs(3600);
const PLACES: usize = 10;

/// Counts evictions and nothing else.
#[derive(Default)]
struct Evictions(Arc<AtomicU64>);

impl Evictions {
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Recorder for Evictions {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "courier_auth_evictions_total" => Arc::clone(&self.0).into(),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

async fn come(world: &World, names: &str) {
    for n in 0..PLACES * 10 {
        let _ = world.get(&format!("{names}-{n}")).await;
    }
}

/// Visitors who came once and never again filled the cache, and the alert said that it was too
/// small.
#[tokio::test(start_paused = true)]
async fn who_leaves_without_a_good_token_is_not_counted() {
    let evictions = Evictions::default();
    let _installed = set_default_local_recorder(&evictions);
    let world = World::new(HOUR, PLACES);
    come(&world, "early").await;
    let early = evictions.take();
    assert!((80..=90).contains(&early), "{early}");

    // Those that are there have tokens that are over by now; those who come get none.
    tokio::time::sleep(HOUR).await;
    world.courier.set_mood(Mood::Status(400, None));
    come(&world, "late").await;
    assert_eq!(evictions.take(), 0);
}
