//! What an app's recorder of metrics hears.

use std::sync::{Arc, Mutex};

use ::metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The counters that were increased and the gauges that were set, in this order, each with the values of
/// its labels. Not to what: all tests share the gauges.
#[derive(Default)]
pub(super) struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    panics_at: Mutex<Option<&'static str>>,
}

impl Heard {
    /// When something that begins so was heard last.
    #[cfg(feature = "shared-cache")]
    pub(super) fn last(&self, what: &str) -> Option<usize> {
        let lines = self.lines.lock().unwrap();
        lines.iter().rposition(|line| line.starts_with(what))
    }

    /// How often something that begins so was heard since this was asked last.
    pub(super) fn take(&self, what: &str) -> usize {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.iter().filter(|line| line.starts_with(what)).count()
    }

    /// Has it panic at a counter, or no more.
    pub(super) fn panic_at(&self, name: Option<&'static str>) {
        *self.panics_at.lock().unwrap() = name;
    }
}

impl Recorder for Heard {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let panics_at = *self.panics_at.lock().unwrap();
        assert_ne!(panics_at, Some(key.name()), "the recorder panics");
        Counter::from_arc(Arc::new(Count {
            line: line(key),
            lines: Arc::clone(&self.lines),
        }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.lines.lock().unwrap().push(line(key));
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

struct Count {
    line: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl CounterFn for Count {
    fn increment(&self, by: u64) {
        if by > 0 {
            self.lines.lock().unwrap().push(self.line.clone());
        }
    }

    fn absolute(&self, _: u64) {}
}

fn line(key: &Key) -> String {
    let values = key.labels().map(|label| label.value());
    let words: Vec<_> = std::iter::once(key.name()).chain(values).collect();
    words.join(" ")
}
