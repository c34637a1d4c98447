use std::fmt::Write as _;

use super::table::{ALL, Metric};
use crate::error::ErrorKind;

/// The table in the guide is this one.
#[cfg(feature = "shared-cache")]
#[test]
fn the_guide_lists_what_there_is() {
    let guide = include_str!("../guides/operating.md");
    let listed: Vec<&str> = guide
        .lines()
        .filter(|line| line.starts_with("| `courier_auth_"))
        .collect();
    let there_is: Vec<String> = ALL.iter().map(|metric| row(metric)).collect();
    assert_eq!(
        listed,
        there_is,
        "the table should be:\n{}",
        there_is.join("\n")
    );
}

fn row(metric: &Metric) -> String {
    let mut labels = String::new();
    for (name, values) in metric.labels {
        if !labels.is_empty() {
            labels.push_str("; ");
        }
        let _ = write!(labels, "`{name}`: {}", values.join(", "));
    }
    let kind = format!("{:?}", metric.kind).to_lowercase();
    format!(
        "| `{}` | {kind} | {labels} | {} |",
        metric.name, metric.help
    )
}

#[test]
fn every_kind_of_error_is_a_label_that_the_table_knows() {
    let kinds = [
        ErrorKind::InvalidInput,
        ErrorKind::Configuration,
        ErrorKind::ApiKeyRefused,
        ErrorKind::RequestRefused,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::CircuitOpen,
        ErrorKind::Overloaded,
        ErrorKind::BadAnswer,
        ErrorKind::Runtime,
    ];
    let failures = ALL
        .iter()
        .find(|metric| metric.name == "courier_auth_failures_total");
    let (_, known) = failures.expect("it is there").labels[0];
    assert_eq!(kinds.map(ErrorKind::name).as_slice(), known);
}
