use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::table::{ALL, Kind, Metric};
use crate::error::ErrorKind;

/// The table in the guide is this one.
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
        ErrorKind::InvalidResponse,
        ErrorKind::Runtime,
    ];
    let failures = ALL
        .iter()
        .find(|metric| metric.name == "courier_auth_failures_total");
    let (_, known) = failures.expect("it is there").labels[0];
    assert_eq!(kinds.map(ErrorKind::as_str).as_slice(), known);
}

/// What operators import names nothing that does not exist, and forgets nothing.
#[test]
fn the_dashboard_shows_all_and_no_more() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().map(Vec::as_slice);
        targets.unwrap_or_default()
    });
    let queries: Vec<&str> = targets
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(queries.len() > 20);
    let shown: BTreeSet<_> = queries.iter().flat_map(|query| metrics_in(query)).collect();
    let there_is: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(shown, there_is);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    // Its variables and descriptions too.
    metrics_in(DASHBOARD);
}

#[test]
fn alerts_name_what_there_is() {
    let alerts = include_str!("../../ops/alerts.yml");
    assert!(metrics_in(alerts).len() > 8);
}

/// The metrics that a query names, each of which exists and has the labels it is selected by.
fn metrics_in(text: &str) -> BTreeSet<&'static str> {
    // As it is in JSON.
    let text = text.replace("\\\"", "\"");
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("courier_auth_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let named = |metric: &&&Metric| {
            let histogram = metric.kind == Kind::Histogram;
            let base = name.strip_suffix("_bucket").filter(|_| histogram);
            base.unwrap_or(name) == metric.name
        };
        let metric = ALL.iter().find(named);
        let metric = metric.unwrap_or_else(|| panic!("{name} does not exist"));
        found.insert(metric.name);
        let Some(selector) = rest.strip_prefix('{') else {
            continue;
        };
        let (selector, _) = selector.split_once('}').expect("a closed selector");
        for matcher in selector.split(',') {
            let (label, values) = matcher.trim().split_once(['=', '!']).expect("a matcher");
            if matches!(label, "job" | "instance") {
                continue;
            }
            let known = metric.labels.iter().find(|(known, _)| *known == label);
            let (_, known) = known.unwrap_or_else(|| panic!("{name} has no {label}"));
            let values = values.trim_matches(['=', '~', '"']);
            for value in values.split('|') {
                assert!(known.contains(&value), "{name} has no {label} {value}");
            }
        }
    }
    found
}

const DASHBOARD: &str = include_str!("../../ops/grafana-dashboard.json");
