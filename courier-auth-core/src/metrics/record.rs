//! Speaks to the recorder that is installed when something happens: it may be installed before a
//! provider is built or after, and nothing is remembered of the time before.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use ::metrics::{Key, Label, Level, Metadata, Recorder, Unit, with_recorder};

use super::table::{ALL, Kind, Metric, REPLIES, REQUESTS};

pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A caller got a fresh token at once, as nearly all do.
pub(crate) fn cached() {
    static LABELS: [Label; 2] = [
        Label::from_static_parts("zone", "fresh"),
        Label::from_static_parts("outcome", "cached"),
    ];
    static KEY: Key = Key::from_static_parts(REQUESTS.name, &LABELS);
    increment(&KEY);
}

/// The token's route has answered.
pub(crate) fn replied(status: u16) {
    match status {
        // Nearly all, and without an allocation.
        200 => {
            static LABELS: [Label; 1] = [Label::from_static_parts("status", "200")];
            static KEY: Key = Key::from_static_parts(REPLIES.name, &LABELS);
            increment(&KEY);
        }
        304 => {
            static LABELS: [Label; 1] = [Label::from_static_parts("status", "304")];
            static KEY: Key = Key::from_static_parts(REPLIES.name, &LABELS);
            increment(&KEY);
        }
        401 => count(&REPLIES, [("status", "401")]),
        403 => count(&REPLIES, [("status", "403")]),
        405 => count(&REPLIES, [("status", "405")]),
        502 => count(&REPLIES, [("status", "502")]),
        503 => count(&REPLIES, [("status", "503")]),
        _ => count(&REPLIES, [("status", "500")]),
    }
}

/// Tells the recorder what there will be, once for each that is installed.
pub(super) fn describe() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    with_recorder(|recorder| {
        let address = std::ptr::from_ref(recorder).addr();
        if TOLD.swap(address, Ordering::Relaxed) == address {
            return;
        }
        for metric in ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => {
                    recorder.describe_counter(name, Some(Unit::Count), help);
                    begin_at_zero(recorder, metric);
                }
                Kind::Gauge => recorder.describe_gauge(name, metric.unit(), help),
                Kind::Histogram => recorder.describe_histogram(name, metric.unit(), help),
            }
        }
    });
}

/// All series of a counter, so that the first event is seen as an increase.
fn begin_at_zero(recorder: &dyn Recorder, metric: &Metric) {
    let mut series = vec![Vec::new()];
    for (name, values) in metric.labels {
        let extend = |labels: &Vec<Label>, value| {
            let label = Label::from_static_parts(name, value);
            labels.iter().cloned().chain([label]).collect()
        };
        series = series
            .iter()
            .flat_map(|labels| values.iter().map(move |value| extend(labels, value)))
            .collect();
    }
    for labels in series {
        let key = Key::from_parts(metric.name, labels);
        recorder.register_counter(&key, &METADATA).increment(0);
    }
}

impl Metric {
    fn unit(&self) -> Option<Unit> {
        if self.name.ends_with("_seconds") {
            Some(Unit::Seconds)
        } else {
            Some(Unit::Count)
        }
    }

    fn key<const N: usize>(&self, labels: Labels<N>) -> Key {
        debug_assert!(
            self.labels.len() == N
                && self
                    .labels
                    .iter()
                    .zip(labels)
                    .all(|((name, values), (label, value))| *name == label
                        && values.contains(&value)),
            "the table knows no {labels:?} of {}",
            self.name
        );
        let labels: Vec<Label> = labels.iter().map(Label::from).collect();
        Key::from_parts(self.name, labels)
    }
}

pub(super) fn count<const N: usize>(metric: &Metric, labels: Labels<N>) {
    increment(&metric.key(labels));
}

pub(super) fn observe<const N: usize>(metric: &Metric, labels: Labels<N>, value: Duration) {
    let key = metric.key(labels);
    with_recorder(|recorder| recorder.register_histogram(&key, &METADATA)).record(value);
}

pub(super) fn set(metric: &Metric, value: f64) {
    let key = metric.key([]);
    with_recorder(|recorder| recorder.register_gauge(&key, &METADATA)).set(value);
}

fn increment(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(1);
}

static METADATA: Metadata<'static> = Metadata::new("courier_auth", Level::INFO, None);
