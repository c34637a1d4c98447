//! What Prometheus reads, compared to the table in the guide for operating.

use std::collections::{BTreeMap, BTreeSet};

/// The metrics of one scrape that are the crates'.
pub(crate) struct Scrape {
    pub(crate) text: String,
    pub(crate) types: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    /// By name and labels as they are written.
    pub(crate) series: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) fn new(text: String) -> Self {
        let mut scrape = Self {
            types: BTreeMap::new(),
            helps: BTreeMap::new(),
            series: BTreeMap::new(),
            text: String::new(),
        };
        for line in text.lines().filter(|line| line.contains(PREFIX)) {
            let pair = |text: &str| {
                let (name, rest) = text.split_once(' ').unwrap();
                (name.to_owned(), rest.to_owned())
            };
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                scrape.types.extend([pair(rest)]);
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                scrape.helps.extend([pair(rest)]);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(scrape.series.insert(series.to_owned(), value).is_none());
            }
        }
        scrape.text = text;
        scrape
    }

    /// The value of a series, e.g. `users` or `failures_total{kind="timeout"}`.
    pub(crate) fn value(&self, series: &str) -> f64 {
        let series = format!("{PREFIX}{series}");
        let value = self.series.get(&series);
        *value.unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// Names, types, help texts and labels are those of the guide, and nothing else is there.
    /// Returns the names that the guide has and the scrape has not.
    pub(crate) fn check_against_the_guide(&self) -> BTreeSet<String> {
        let guide = guide();
        for (name, kind) in &self.types {
            let listed = guide
                .get(name)
                .unwrap_or_else(|| panic!("{name} is not listed"));
            assert_eq!(kind, &listed.kind, "{name}");
            assert_eq!(self.helps.get(name), Some(&listed.help), "{name}");
        }
        for series in self.series.keys() {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let (listed, suffix) = self.listed(&guide, name);
            let labels = labels.strip_suffix('}').unwrap();
            let labels = labels.split(',').filter(|label| !label.is_empty());
            let mut names = Vec::new();
            for label in labels {
                let (label, value) = label.split_once('=').unwrap();
                if label == "le" && suffix == "_bucket" {
                    continue;
                }
                names.push(label);
                let values = &listed.labels[label];
                let value = value.trim_matches('"');
                assert!(values.iter().any(|known| known == value), "{series}");
            }
            assert_eq!(names.len(), listed.labels.len(), "{series}");
        }
        guide
            .into_keys()
            .filter(|name| !self.types.contains_key(name))
            .collect()
    }

    fn listed<'a>(
        &self,
        guide: &'a BTreeMap<String, Listed>,
        name: &str,
    ) -> (&'a Listed, &'static str) {
        ["", "_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| {
                let listed = guide.get(name.strip_suffix(suffix)?)?;
                (suffix.is_empty() || listed.kind == "histogram").then_some((listed, suffix))
            })
            .unwrap_or_else(|| panic!("{name} is not listed"))
    }
}

struct Listed {
    kind: String,
    labels: BTreeMap<String, Vec<String>>,
    help: String,
}

fn guide() -> BTreeMap<String, Listed> {
    let guide = include_str!("../../../courier-auth-core/src/guides/operating.md");
    let rows = guide
        .lines()
        .filter(|line| line.starts_with("| `courier_auth_"));
    let table: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let labels = cells[2].split(';').filter(|label| !label.is_empty());
            let labels = labels.map(|label| {
                let (name, values) = label.split_once(':').unwrap();
                let values = values.split(',').map(|value| value.trim().to_owned());
                (name.trim().trim_matches('`').to_owned(), values.collect())
            });
            let listed = Listed {
                kind: cells[1].to_owned(),
                labels: labels.collect(),
                help: cells[3].to_owned(),
            };
            (cells[0].trim_matches('`').to_owned(), listed)
        })
        .collect();
    assert!(table.len() > 20, "the guide was read");
    table
}

const PREFIX: &str = "courier_auth_";
