//! What is counted and shown of the store that replicas share.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

use super::{World, settle, store::StoreMood};

const HOUR: Duration = Duration::from_secs(3600);

/// Knows whether the gauge was set after the last write. Not its value: all tests share it.
#[derive(Default)]
struct LastWrite(AtomicBool);

impl Recorder for LastWrite {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.labels().any(|label| label.value() == "write") {
            self.0.store(false, Ordering::Relaxed);
        }
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if key.name() == "courier_auth_shared_cache_bypassed" {
            self.0.store(true, Ordering::Relaxed);
        }
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The write that found the store well again came after the gauge had been set, which went on
/// showing 1 until the next call.
#[tokio::test(start_paused = true)]
async fn a_store_that_takes_writes_again_is_shown_at_once() {
    let last_write = LastWrite::default();
    let _installed = set_default_local_recorder(&last_write);
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Full);
    for user in 0..5 {
        world.get(&format!("full-{user}")).await.unwrap();
        settle().await;
    }
    assert!(world.store_status().circuit_open);

    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.get("well").await.unwrap();
    settle().await;
    assert!(last_write.0.load(Ordering::Relaxed));
    assert!(!world.store_status().circuit_open);
}
