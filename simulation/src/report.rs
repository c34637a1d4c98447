//! The table.

use std::{fmt::Write, ops::Range};

use crate::{
    redis::ENTRY_BYTES,
    runs::Run,
    setup::{MINUTE, Time, at},
    stats::{Series, Stats, mean, peak, sum},
};

/// One row for each number, one column for each run.
pub(crate) fn table(runs: &[Run]) -> String {
    let cells = |cell: &dyn Fn(&Run) -> String| {
        let cells = runs.iter().map(|run| format!(" {} |", cell(run)));
        cells.collect::<String>()
    };
    let mut table = format!("| |{}\n", cells(&|run| run.kind.name.into()));
    let _ = writeln!(table, "|---|{}", cells(&|_| "---:".into()));
    for (name, value) in ROWS {
        let _ = writeln!(table, "| {name} |{}", cells(&|run| value(&run.stats)));
    }
    table
}

type Cell = fn(&Stats) -> String;

const ROWS: &[(&str, Cell)] = &[
    ("**Calls to Courier**, in the day", |stats| {
        grouped(sum(stats.calls.day()) as f64)
    }),
    ("per second, mean of the day", |stats| {
        number(mean(stats.calls.day()))
    }),
    ("busiest second of a usual hour, from 13:00", |stats| {
        most(&stats.calls, hour(13))
    }),
    ("... of the broadcast at 8:00", |stats| {
        most(&stats.calls, at(8)..at(8) + 2 * MINUTE)
    }),
    ("... when those who came are refreshed", |stats| {
        most(&stats.calls, at(8) + 38 * MINUTE..at(9) + 10 * MINUTE)
    }),
    ("... of the deploy at 11:00", |stats| {
        most(&stats.calls, at(11)..at(11) + 15 * MINUTE)
    }),
    ("per second while Courier is down, mean", |stats| {
        number(mean(stats.calls.between(OUTAGE)))
    }),
    ("busiest second of the five minutes after", |stats| {
        most(&stats.calls, OUTAGE.end..OUTAGE.end + 5 * MINUTE)
    }),
    ("... an hour after", |stats| {
        most(
            &stats.calls,
            OUTAGE.end + 38 * MINUTE..OUTAGE.end + 70 * MINUTE,
        )
    }),
    (
        "**Page views without a token** during the outage",
        |stats| {
            let tokenless = sum(stats.tokenless.between(OUTAGE)) as f64;
            let views = sum(stats.views.between(OUTAGE)) as f64;
            format!("{:.0} %", 100.0 * tokenless / views)
        },
    ),
    ("**Redis**, commands per second, mean", |stats| {
        number(mean(stats.redis_commands.day()))
    }),
    ("busiest second", |stats| {
        number(peak(stats.redis_commands.day()).into())
    }),
    ("kB per second, mean", |stats| {
        number(mean(stats.redis_bytes.day()) / 1e3)
    }),
    ("busiest second", |stats| {
        number(f64::from(peak(stats.redis_bytes.day())) / 1e3)
    }),
    ("entries, most", |stats| {
        grouped(peak(stats.entries_by_second().day()).into())
    }),
    ("MB, most", |stats| {
        let most = peak(stats.entries_by_second().day());
        number(f64::from(most) * ENTRY_BYTES / 1e6)
    }),
    ("**Users in one replica's memory**, most", |stats| {
        grouped(stats.users_in_memory as f64)
    }),
    ("MB", |stats| {
        number(stats.users_in_memory as f64 * USER_BYTES / 1e6)
    }),
];

pub(crate) const OUTAGE: Range<Time> = at(14)..at(14) + 10 * MINUTE;

const fn hour(begin: u64) -> Range<Time> {
    at(begin)..at(begin + 1)
}

fn most(series: &Series, times: Range<Time>) -> String {
    number(peak(series.between(times)).into())
}

fn number(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        value if value < 10.0 => format!("{value:.1}"),
        value => grouped(value),
    }
}

/// Thousands apart, by a space that does not break.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// What a user takes in a replica's memory, as docs/benchmarks.md has it.
const USER_BYTES: f64 = 700.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(9.94), "9.9");
        assert_eq!(number(10.4), "10");
        assert_eq!(number(1_234_567.0), "1\u{202f}234\u{202f}567");
        assert_eq!(number(123_456.0), "123\u{202f}456");
    }
}
