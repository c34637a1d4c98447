//! What is counted and shown of the store that replicas share.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ::metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use futures_util::future::join_all;

use super::{World, settle, store::StoreMood};

const HOUR: Duration = Duration::from_secs(3600);

/// What was counted of the store, and when its gauge was set. Not to what: all tests share that.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn last(&self, what: &str) -> Option<usize> {
        let heard = self.0.lock().unwrap();
        heard.iter().rposition(|one| one == what)
    }
}

struct Count {
    labels: String,
    heard: Heard,
}

impl CounterFn for Count {
    fn increment(&self, by: u64) {
        if by > 0 {
            self.heard.0.lock().unwrap().push(self.labels.clone());
        }
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Heard {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() != "courier_auth_shared_cache_operations_total" {
            return Counter::noop();
        }
        let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
        Counter::from_arc(Arc::new(Count {
            labels: labels.join(" "),
            heard: self.clone(),
        }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if key.name() == "courier_auth_shared_cache_bypassed" {
            self.0.lock().unwrap().push("gauge".into());
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
    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
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
    assert!(heard.last("write ok") < heard.last("gauge"));
    assert!(!world.store_status().circuit_open);
}

/// It was counted as a token that was not written.
#[tokio::test(start_paused = true)]
async fn what_is_not_removed_is_counted_as_that() {
    let (first, store) = World::with_store(HOUR);
    first.get("alice").await.unwrap();
    settle().await;
    let name = &store.names(":t")[0];
    store.put(name, b"garbage".to_vec());
    let second = first.replica(&store);
    store.set_mood(StoreMood::Late(Duration::from_secs(1)));
    let users: Vec<_> = (0..256).map(|n| format!("user-{n}")).collect();
    join_all(users.iter().map(|user| second.get(user))).await;

    let heard = Heard::default();
    let _installed = set_default_local_recorder(&heard);
    second.get("alice").await.unwrap();
    assert!(heard.last("delete bypassed").is_some());
}
