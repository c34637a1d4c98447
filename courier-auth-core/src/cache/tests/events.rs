//! What operators are told when trouble is over.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    sync::Once,
    time::Duration,
};

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::Context, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::{Mood, World};

const HOUR: Duration = Duration::from_secs(3600);

thread_local! {
    /// Events at INFO and above of this thread, on which all tasks of a paused test run.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// For the whole process: with one for each thread, events that another thread reaches first would
/// be off.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::registry()
            .with(Listener.with_filter(LevelFilter::INFO))
            .init();
    });
    said();
}

/// What was said since the last time, by whom it was said before.
fn said() -> Vec<String> {
    SAID.take()
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level == Level::INFO || event.metadata().target() != "courier_auth::flight" {
            let mut line = format!("{level} {}", event.metadata().target());
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                if matches!(field.name(), "message" | "operation") {
                    let _ = write!(line, " {value:?}");
                }
            });
            SAID.with_borrow_mut(|said| said.push(line));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_and_its_end_are_told_once() {
    listen();
    let world = World::new(HOUR, 100);
    world.courier.set_mood(Mood::Status(400, None));
    world.get("refused").await.unwrap_err();
    world.courier.set_mood(Mood::Ok);
    world.get("well").await.unwrap();
    assert!(said().is_empty(), "there was no outage");

    world.courier.set_mood(Mood::Status(503, None));
    for user in 0..5 {
        world.get(&format!("u{user}")).await.unwrap_err();
    }
    assert_eq!(
        said(),
        ["WARN courier_auth::courier Courier fails for several users and is left alone"]
    );
    world.courier.set_mood(Mood::Ok);
    tokio::time::sleep(Duration::from_secs(7)).await;
    for user in 0..5 {
        world.get(&format!("u{user}")).await.unwrap();
    }
    assert_eq!(said(), ["INFO courier_auth::courier Courier answers again"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_key_that_is_refused_and_accepted_again_is_told_once() {
    listen();
    let world = World::new(HOUR, 100);
    world.courier.set_mood(Mood::Status(401, None));
    for user in 0..3 {
        world.get(&format!("u{user}")).await.unwrap_err();
    }
    assert_eq!(
        said(),
        [
            "WARN courier_auth::courier Courier refuses the API key and is not asked until it is \
             tried again"
        ]
    );
    world.courier.set_mood(Mood::Ok);
    tokio::time::sleep(Duration::from_secs(13)).await;
    for user in 0..3 {
        world.get(&format!("u{user}")).await.unwrap();
    }
    assert_eq!(
        said(),
        ["INFO courier_auth::courier Courier accepts the API key again"]
    );
}

#[cfg(feature = "shared-cache")]
#[tokio::test(start_paused = true)]
async fn a_store_that_works_again_is_told_once() {
    use super::{settle, store::StoreMood};

    listen();
    let (world, store) = World::with_store(HOUR);
    store.set_mood(StoreMood::Down);
    for user in 0..10 {
        world.get(&format!("down-{user}")).await.unwrap();
        settle().await;
    }
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("WARN courier_auth::shared_cache the shared cache is in trouble"),
        "{told:?}"
    );
    store.set_mood(StoreMood::Ok);
    tokio::time::sleep(Duration::from_secs(2)).await;
    for user in 0..10 {
        world.get(&format!("up-{user}")).await.unwrap();
        settle().await;
    }
    let told = said();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("INFO courier_auth::shared_cache"),
        "{told:?}"
    );
    assert!(told[0].contains("the shared cache works again"), "{told:?}");
}
