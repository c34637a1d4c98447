//! The metrics of very many users, of a provider that was there before the recorder.
//!
//! One test, because a process has one recorder.

#![expect(clippy::unwrap_used, reason = "tests")]

mod scrape;

use allocation_counter::measure;
use courier_auth_core::{
    ErrorKind, TokenProvider, TokenRequest,
    emulator::{Emulator, Fault},
};
use courier_auth_examples::metrics;
use futures_util::{FutureExt, StreamExt, stream};

use self::scrape::Scrape;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_do_not_grow_with_users() {
    let courier = Emulator::start().await.unwrap();
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .max_users(2 * USERS)
        .build()
        .unwrap();
    issue(&provider, 0..3).await;
    assert!(metrics::scrape().is_none());
    metrics::install().unwrap();

    // From now on it is counted, and what goes up and down is right at once.
    provider.status();
    let scrape = scraped();
    assert_eq!(scrape.value("users"), 3.0);
    assert_eq!(scrape.value(WAITED), 0.0);
    for gauge in [
        "calls_in_flight",
        "queued",
        "circuit_open",
        "api_key_refused",
    ] {
        assert_eq!(scrape.value(gauge), 0.0, "{gauge}");
    }
    let counters = scrape.types.values().filter(|kind| *kind == "counter");
    assert_eq!(counters.count(), 11, "all are there from the beginning");

    issue(&provider, 3..100).await;
    issue(&provider, 0..10).await;
    let few = scraped();
    a_fresh_token_is_counted_at_once(&provider);
    issue(&provider, 100..USERS).await;
    issue(&provider, 0..USERS).await;
    let many = scraped();
    let names = |scrape: &Scrape| scrape.series.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&few), names(&many));
    // An instance of Prometheus that keeps millions does not notice.
    assert!(many.series.len() < 250, "{}", many.series.len());

    let new = (USERS - 3) as f64;
    assert_eq!(many.value(WAITED), new);
    assert_eq!(
        many.value(r#"requests_total{zone="fresh",outcome="cached"}"#),
        (10 + 1 + USERS) as f64
    );
    assert_eq!(
        many.value(r#"flights_total{urgency="foreground",outcome="issued"}"#),
        new
    );
    assert_eq!(
        many.value(r#"courier_requests_total{try="1",outcome="issued"}"#),
        new
    );
    assert_eq!(many.value("courier_request_seconds_count"), new);
    assert_eq!(
        many.value(r#"flight_seconds_bucket{outcome="issued",le="+Inf"}"#),
        new
    );
    assert_eq!(many.value("users"), USERS as f64);
    for gauge in ["calls_in_flight", "queued", "waiting"] {
        assert_eq!(many.value(gauge), 0.0, "{gauge}");
    }
    assert!(many.value("clock_skew_seconds").abs() < 60.0);
    // What was not to be had here: tokens that age, and a shared cache.
    let missing = many.check_against_the_guide();
    assert_eq!(
        missing.into_iter().collect::<Vec<_>>(),
        [
            "courier_auth_shared_cache_operation_seconds",
            "courier_auth_token_remaining_seconds"
        ]
    );

    // Two providers add up, and one that goes takes its part away.
    let second = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap();
    issue(&second, 0..5).await;
    assert_eq!(scraped().value("users"), (USERS + 5) as f64);
    drop(provider);
    assert_eq!(scraped().value("users"), 5.0);

    // What operators are alerted by: Courier answers, with a token that is of no use.
    courier.fail_next(1, Fault::WrongUser("mallory".into()));
    let refused = second.token(&TokenRequest::for_user("user-7")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidResponse);
    let bad = r#"courier_requests_total{try="1",outcome="invalid_response"}"#;
    assert_eq!(scraped().value(bad), 1.0);
}

fn a_fresh_token_is_counted_at_once(provider: &TokenProvider) {
    let request = TokenRequest::for_user("user-0");
    let allocated = measure(|| {
        let token = provider.token(&request).now_or_never();
        assert!(token.is_some_and(|token| token.is_ok()));
    });
    // The exporter makes a handle; nothing of ours allocates.
    assert!(allocated.count_total <= 1, "{}", allocated.count_total);
}

async fn issue(provider: &TokenProvider, users: std::ops::Range<usize>) {
    stream::iter(users)
        .for_each_concurrent(64, async |user| {
            let request = TokenRequest::for_user(format!("user-{user}"));
            provider.token(&request).await.unwrap();
        })
        .await;
}

fn scraped() -> Scrape {
    Scrape::new(metrics::scrape().unwrap())
}

const USERS: usize = 10_000;
const WAITED: &str = r#"requests_total{zone="fresh",outcome="waited"}"#;
