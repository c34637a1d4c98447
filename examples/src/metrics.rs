//! Metrics for Prometheus. An app of your own would have them on a port that the world does not
//! reach.

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Installs the recorder, at the start of the process. Nothing that happened before is counted. It needs
/// a Tokio runtime.
///
/// # Errors
///
/// When there is a recorder already.
pub fn install() -> Result<(), BuildError> {
    let remaining = Matcher::Full("courier_auth_token_remaining_seconds".into());
    let handle = PrometheusBuilder::new()
        // Without buckets they would be summaries, which cannot be added up across replicas.
        .set_buckets_for_metric(Matcher::Prefix("courier_auth_".into()), SHORT)?
        .set_buckets_for_metric(remaining, LONG)?
        .install_recorder()?;
    let upkeep = handle.clone();
    // Or samples would pile up for as long as nobody scrapes.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    // It cannot be installed twice.
    let _ = HANDLE.set(handle);
    Ok(())
}

/// What Prometheus reads.
pub fn scrape() -> Option<String> {
    HANDLE.get().map(PrometheusHandle::render)
}

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// As the exporter's own server has it.
const UPKEEP: Duration = Duration::from_secs(5);
/// Calls to Courier and to Redis, in seconds.
const SHORT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0,
];
/// What is left of tokens, in seconds.
const LONG: &[f64] = &[
    30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0,
];
