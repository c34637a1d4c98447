//! The crate's events, compared to the table in the guide for operating.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// One kind of event: level, target, message, names of fields.
type Kind = (String, String, String, BTreeSet<String>);

/// Notes every kind of event and span of ours.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<BTreeSet<Kind>>>);

impl Events {
    /// Those that happened are in the guide as they were. Returns the messages of the guide that
    /// were not seen.
    pub(crate) fn check_against_the_guide(&self) -> Vec<String> {
        let mut rows = guide();
        let seen = self.0.lock().unwrap();
        assert!(!seen.is_empty());
        for (level, target, message, fields) in &*seen {
            let row = rows.iter_mut().find(|row| {
                row.levels.contains(level)
                    && row.target == *target
                    && row.fields == *fields
                    && row.is(message)
            });
            let row = row.unwrap_or_else(|| {
                panic!("the guide has no {level} {target} {message:?} {fields:?}")
            });
            row.seen = true;
        }
        let unseen = rows.into_iter().filter(|row| !row.seen);
        unseen.map(|row| row.message).collect()
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with("courier_auth::") {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let names = metadata.fields().iter().map(|field| field.name());
        let kind = (
            metadata.level().to_string(),
            metadata.target().to_owned(),
            message.0,
            names
                .filter(|name| *name != "message")
                .map(str::to_owned)
                .collect(),
        );
        self.0.lock().unwrap().insert(kind);
    }
}

#[derive(Default)]
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

struct Row {
    levels: Vec<String>,
    target: String,
    message: String,
    fields: BTreeSet<String>,
    seen: bool,
}

impl Row {
    fn is(&self, message: &str) -> bool {
        match self.message.strip_suffix('…') {
            Some(begin) => message.starts_with(begin),
            // Whatever the adapter says.
            None if self.message == "what has to be added to the app" => true,
            None => message == self.message,
        }
    }
}

fn guide() -> Vec<Row> {
    let guide = include_str!("../../src/guides/operating.md");
    let rows: Vec<_> = guide
        .lines()
        .filter(|line| line.contains("| `courier_auth::"))
        .map(|line| {
            let line = line.trim_matches('|').replace('`', "");
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let list = |text: &str| {
                let items = text.split(", ").filter(|item| !item.is_empty());
                items.map(str::to_owned).collect::<Vec<_>>()
            };
            Row {
                levels: list(cells[0]),
                target: cells[1].to_owned(),
                message: cells[2].to_owned(),
                fields: list(cells[3]).into_iter().collect(),
                seen: false,
            }
        })
        .collect();
    assert!(rows.len() > 10, "the guide was read");
    rows
}
