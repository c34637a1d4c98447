//! What operators are told when trouble is over.

use std::{
    cell::{Cell, RefCell},
    fmt::{self, Write as _},
    sync::{
        Once,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};
use tokio::{runtime::Builder, time::Instant};
use tracing::{
    Event, Level, Subscriber,
    field::Field,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::Context, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::{Mood, World, settle};
use crate::{
    cache::Wish, client::default_terms, error::ErrorKind, request::TokenRequest, scope::Scope,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

thread_local! {
    /// Events and spans at INFO and above of this thread, on which all tasks of a paused test run.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Whether the subscriber panics when it hears how a flight ended.
    static PANICS: Cell<bool> = const { Cell::new(false) };
    /// Whether it panics at every event.
    static ALWAYS_PANICS: Cell<bool> = const { Cell::new(false) };
    /// What the subscriber does at every event at INFO and above, but for those that come of it.
    static REACTION: Cell<Option<Box<dyn Fn()>>> = const { Cell::new(None) };
}

/// For the whole process: with one for each thread, events that another thread reaches first would
/// be off. And before the first of them is reached: one that is reached while a subscriber is being
/// installed may stay off.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::registry()
            .with(Listener.with_filter(LevelFilter::DEBUG))
            .init();
    });
}

/// From now on.
pub(super) fn listen() {
    install();
    said();
}

/// What was said since the last time, but for what single flights say above INFO.
pub(super) fn said() -> Vec<String> {
    let mut said = SAID.take();
    said.retain(|line| !is_of_a_flight(line));
    said
}

fn is_of_a_flight(line: &str) -> bool {
    line.contains(" courier_auth::flight no new token")
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        assert!(!ALWAYS_PANICS.get(), "the subscriber panics");
        let level = *event.metadata().level();
        if level > Level::INFO {
            return;
        }
        if let Some(react) = REACTION.take() {
            react();
            REACTION.set(Some(react));
        }
        let mut line = format!("{level} {}", event.metadata().target());
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if matches!(
                field.name(),
                "message" | "operation" | "refused" | "within_s"
            ) {
                let _ = write!(line, " {value:?}");
            }
        });
        SAID.with_borrow_mut(|said| said.push(line));
    }

    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        // In apps that log with `log` each is a line.
        if *span.metadata().level() <= Level::INFO {
            SAID.with_borrow_mut(|said| said.push(span.metadata().name().to_owned()));
        }
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        assert!(!PANICS.take(), "the subscriber panics");
    }
}

/// The token is there by then, and whoever waits for it gets it at once.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_keeps_nobody_waiting() {
    listen();
    let world = World::new(HOUR, 100);
    PANICS.set(true);
    let start = Instant::now();
    world.get("alice").await.unwrap();
    assert!(!PANICS.get(), "it has panicked");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(world.courier.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_always_panics_does_not_end_the_process() {
    listen();
    for mood in [Mood::Ok, Mood::Status(503, None), Mood::Status(401, None)] {
        let world = World::new(HOUR, 100);
        world.courier.set_mood(mood.clone());
        ALWAYS_PANICS.set(true);
        let (cache, grant) = (world.cache.clone(), world.grant("alice"));
        let caller = tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
        assert!(caller.await.is_err(), "{mood:?}");
        ALWAYS_PANICS.set(false);
        world.courier.set_mood(Mood::Ok);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.get("alice").await.unwrap();
        assert_eq!(world.cache.status().calls_in_flight, 0);
        assert_eq!(world.courier.reconnections(), 0, "its runtime goes on");
    }
}

/// On a thread of its own, for it would wait for a lock that this very thread holds.
fn reacting<F>(test: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(test());
        REACTION.set(None);
        done.send(()).unwrap();
    });
    let patience = Duration::from_secs(60);
    let hangs = is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
    assert!(!hangs, "it waits for ever");
    thread.join().unwrap();
}

/// It heard that there are too many while the slot of the one that was too many was locked.
#[test]
fn a_subscriber_may_ask_for_a_token() {
    reacting(async || {
        let world = World::new(HOUR, 1000);
        let (cache, grant) = (world.cache.clone(), world.grant("one-too-many"));
        REACTION.set(Some(Box::new(move || {
            let _ready = cache.get(&grant, Wish::Any).now_or_never();
        })));
        world
            .courier
            .set_mood(Mood::Slow(Duration::from_millis(1900)));
        let mut users: Vec<_> = (0..16 + 256).map(|user| format!("u{user}")).collect();
        users.push("one-too-many".to_owned());
        join_all(users.iter().map(|user| world.get(user))).await;
    });
}

/// It heard that the key is refused while what is known of the key was locked.
#[test]
fn a_subscriber_may_change_the_api_key() {
    reacting(async || {
        let world = World::new(HOUR, 1000);
        let cache = world.cache.clone();
        REACTION.set(Some(Box::new(move || {
            cache.set_api_key("another".into()).unwrap();
        })));
        world
            .courier
            .set_mood(Mood::WantsKey("another", Duration::ZERO));
        world.get("alice").await.unwrap_err();
        world.get("bob").await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn of_a_token_that_is_issued_nothing_is_said() {
    listen();
    let world = World::new(HOUR, 100);
    world.get("alice").await.unwrap();
    assert!(said().is_empty());
}

/// Courier issues the token, and the Inbox stays empty without an error.
#[tokio::test(start_paused = true)]
async fn a_scope_that_courier_does_not_document_is_told_once() {
    listen();
    let world = World::new(HOUR, 100);
    let get = async |user: &str, scopes: &[&str]| {
        let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let request = TokenRequest::for_user(user).scopes(scopes);
        let grant = request.grant(&default_terms().unwrap()).unwrap();
        world.cache.get(&grant, Wish::Any).await.unwrap();
    };
    for user in ["alice", "bob"] {
        get(user, &["inbox:read:message", "read:preference"]).await;
    }
    assert_eq!(
        said(),
        ["WARN courier_auth::request Courier documents no such scope, and issues tokens with it all the same";
            2]
    );
    let documented = [
        Scope::FULL,
        &[
            Scope::READ_MESSAGES,
            Scope::READ_USER_TOKENS,
            Scope::WRITE_BRANDS,
            Scope::TENANTS_READ,
            Scope::TENANTS_BRAND_READ,
            Scope::TENANTS_NOTIFICATIONS_READ,
            Scope::TENANTS_NOTIFICATIONS_WRITE,
            Scope::read_brand("b").unwrap(),
            Scope::write_brand("b").unwrap(),
            Scope::tenant_read("t").unwrap(),
            Scope::tenant_notification_read("t").unwrap(),
            Scope::tenant_notification_write("t").unwrap(),
            Scope::tenant_brand_read("t").unwrap(),
            Scope::tenant_brand_write("t").unwrap(),
        ],
    ];
    for scope in documented.concat() {
        get("carol", &[scope.as_str()]).await;
        assert!(said().is_empty(), "{scope}");
    }
    // Where each request has others it is not told without end.
    for n in 0..100 {
        get("dave", &[&format!("tenant:{n}:everything")]).await;
    }
    assert!(said().len() < 32);
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

/// The new key was tried at once, and nothing ever said that the trouble was over.
#[tokio::test(start_paused = true)]
async fn that_another_api_key_is_in_use_and_is_accepted_is_told() {
    listen();
    let world = World::new(HOUR, 100);
    world
        .courier
        .set_mood(Mood::WantsKey("another", Duration::ZERO));
    world.get("alice").await.unwrap_err();
    assert_eq!(said().len(), 1);
    world.cache.set_api_key("another".into()).unwrap();
    assert_eq!(
        said(),
        ["INFO courier_auth::courier another API key is in use"]
    );
    for user in ["alice", "bob"] {
        world.get(user).await.unwrap();
    }
    assert_eq!(
        said(),
        ["INFO courier_auth::courier Courier accepts the API key again"]
    );
    world.cache.set_api_key("a third".into()).unwrap();
    world.courier.set_mood(Mood::Ok);
    world.get("carol").await.unwrap();
    assert_eq!(said().len(), 1, "none was refused");
}

/// Who has a token goes without a refresh for now: nobody gets none.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_there_is_no_room_for_is_not_told() {
    listen();
    let world = World::new(HOUR, 1000);
    let token = world.get("alice").await.unwrap();
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    world.courier.set_mood(Mood::Slow(Duration::from_secs(1)));
    for n in 0..16 {
        let cache = world.cache.clone();
        let scope = Scope::tenant_read(&n.to_string()).unwrap();
        let request = TokenRequest::for_user("alice").scopes([scope]);
        let grant = request.grant(&default_terms().unwrap()).unwrap();
        tokio::spawn(async move { cache.get(&grant, Wish::Any).await });
    }
    settle().await;
    assert_eq!(world.cache.status().calls_in_flight, 16);
    assert_eq!(world.get("alice").await.unwrap().id(), token.id());
    assert!(said().is_empty());
}

/// What a flight is refused in the queue has been said already, by whatever the refusal is for.
#[tokio::test(start_paused = true)]
async fn who_waits_in_the_queue_when_courier_fails_says_nothing() {
    listen();
    for (down, most) in [
        (Mood::Hang, 16 + 4),
        (Mood::WantsKey("another", Duration::from_secs(1)), 16),
    ] {
        // Jitter decides how many fail in the same moment.
        fastrand::seed(7);
        let world = World::new(HOUR, 1000);
        world.courier.set_mood(down.clone());
        crowd(&world, "u", 200).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let said = SAID.take();
        let of_flights = said.iter().filter(|line| is_of_a_flight(line)).count();
        assert!((1..=most).contains(&of_flights), "{down:?}: {of_flights}");
        assert_eq!(said.len() - of_flights, 1, "{down:?}");
        // It is the trouble itself that a health page shows.
        let kind = world.cache.status().last_error.unwrap().kind();
        assert!(
            matches!(kind, ErrorKind::Timeout | ErrorKind::ApiKeyRefused),
            "{down:?}: {kind:?}"
        );
    }
}

/// No breaker says so, because Courier answers.
#[tokio::test(start_paused = true)]
async fn too_many_users_for_courier_are_told_once_a_minute() {
    listen();
    let world = World::new(HOUR, 1000);
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(1900)));
    crowd(&world, "first", 300).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let told =
        "WARN courier_auth::courier more tokens are wanted than Courier is asked for at once";
    let said = SAID.take();
    assert_eq!(said, [told], "how many is not known yet");

    tokio::time::sleep(Duration::from_secs(60)).await;
    crowd(&world, "second", 300).await;
    let said = SAID.take();
    assert_eq!(said.len(), 1, "{said:?}");
    let numbers = said[0].strip_prefix(told).unwrap().split_whitespace();
    let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
    let [refused, within_s] = numbers[..] else {
        panic!("{said:?}");
    };
    assert!(refused > 100, "those of before: {refused}");
    assert!((80..90).contains(&within_s), "{within_s}");
}

/// Whoever holds a token that ends soon waits for the next one, and has the old one meanwhile.
#[tokio::test(start_paused = true)]
async fn that_there_are_too_many_is_not_told_as_if_users_had_no_token() {
    listen();
    let world = World::new(HOUR, 1000);
    let users: Vec<_> = (0..300).map(|user| format!("u{user}")).collect();
    for user in &users {
        world.get(user).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(56 * 60)).await;
    said();
    world
        .courier
        .set_mood(Mood::Slow(Duration::from_millis(1900)));
    let outcomes = join_all(users.iter().map(|user| world.get(user))).await;
    assert!(outcomes.iter().all(Result::is_ok), "everybody has a token");
    assert!(
        said()
            .iter()
            .all(|line| line.contains("more tokens are wanted"))
    );
}

/// New users who come at once, and wait as long as they may.
async fn crowd(world: &World, name: &str, users: usize) {
    let users: Vec<_> = (0..users).map(|user| format!("{name}{user}")).collect();
    let outcomes = join_all(users.iter().map(|user| world.get(user))).await;
    assert!(
        outcomes.iter().any(Result::is_err),
        "not all of them get a token"
    );
}
