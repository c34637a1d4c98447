//! The picture: calls to Courier over the day, and what jitter does to the refreshes after the
//! broadcast.
//!
//! It becomes part of an HTML page whose background may be light or dark, so that text and axes take
//! the page's colour.

use std::{fmt::Write, ops::Range};

use crate::{
    report::OUTAGE,
    runs::{ALONE, ALONE_STICKY, Kind, Run, SHARED, SHARED_NO_JITTER},
    setup::{HOUR, MINUTE, SECOND, Time, at},
    stats::mean,
};

pub(crate) fn svg(runs: &[Run]) -> String {
    let day = Panel {
        title: "Calls to Courier per second, minute by minute",
        top: 40.0,
        height: 300.0,
        times: at(0)..at(24),
        bin: MINUTE,
        tick: 2 * HOUR,
        lines: &[
            (&ALONE, RED, "without a shared cache"),
            (&ALONE_STICKY, BLUE, "without, sticky sessions"),
            (&SHARED, GREEN, "with a shared cache"),
        ],
        marks: &[
            (at(8)..at(8) + MINUTE, "broadcast"),
            (at(11)..at(11) + 10 * MINUTE, "deploy"),
            (OUTAGE, "outage"),
            (at(17)..at(17) + 10 * MINUTE, "deploy"),
        ],
    };
    let refreshes = Panel {
        title: "The same when those are refreshed who came with the broadcast, ten seconds by ten seconds",
        top: 420.0,
        height: 160.0,
        times: at(8) + 30 * MINUTE..at(9) + 15 * MINUTE,
        bin: 10 * SECOND,
        tick: 5 * MINUTE,
        lines: &[
            (
                &SHARED_NO_JITTER,
                RED,
                "with a shared cache, without jitter",
            ),
            (&SHARED, GREEN, "with a shared cache"),
        ],
        marks: &[],
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 620\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"currentColor\" role=\"img\" \
         aria-label=\"Calls to Courier over a day, with and without a shared cache\">\n"
    );
    day.draw(runs, &mut svg);
    refreshes.draw(runs, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

struct Panel<'a> {
    title: &'a str,
    top: f64,
    height: f64,
    times: Range<Time>,
    /// Drawn is the mean of each.
    bin: Time,
    tick: Time,
    lines: &'a [(&'a Kind, &'a str, &'a str)],
    marks: &'a [(Range<Time>, &'a str)],
}

impl Panel<'_> {
    fn draw(&self, runs: &[Run], svg: &mut String) {
        let lines: Vec<_> = self
            .lines
            .iter()
            .filter_map(|(kind, color, name)| {
                let run = runs.iter().find(|run| run.kind == *kind)?;
                let seconds = run.stats.calls.between(self.times.clone());
                let bins = seconds.chunks((self.bin / SECOND) as usize).map(mean);
                Some((bins.collect::<Vec<f64>>(), *color, *name))
            })
            .collect();
        let values = lines.iter().flat_map(|(bins, ..)| bins.iter().copied());
        let step = step(values.fold(0.0, f64::max));
        let values = lines.iter().flat_map(|(bins, ..)| bins.iter().copied());
        let top = (values.fold(0.0, f64::max) / step).ceil() * step;

        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            self.top - 22.0,
            self.title
        );
        self.axes(step, top, svg);
        for (times, name) in self.marks {
            self.mark(times, name, svg);
        }
        for (place, (bins, color, name)) in lines.iter().enumerate() {
            let points: String = bins
                .iter()
                .enumerate()
                .map(|(bin, value)| {
                    let time = self.times.start + bin as Time * self.bin;
                    format!("{:.1},{:.1} ", self.x(time), self.y(*value, top))
                })
                .collect();
            let y = self.top + 18.0 + 18.0 * place as f64;
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>\n\
                 <path d=\"M{x} {}h22\" stroke=\"{color}\" stroke-width=\"3\"/>\
                 <text x=\"{}\" y=\"{y}\">{name}</text>",
                points.trim_end(),
                y - 4.0,
                LEFT + 42.0,
                x = LEFT + 12.0,
            );
        }
    }

    fn axes(&self, step: f64, top: f64, svg: &mut String) {
        let bottom = self.top + self.height;
        for line in 0..=(top / step).round() as u32 {
            let value = f64::from(line) * step;
            let y = self.y(value, top);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"currentColor\" opacity=\"0.2\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        let mut time = self.times.start;
        while time <= self.times.end {
            let minutes = (time - at(0)) / MINUTE;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}:{:02}</text>",
                self.x(time),
                bottom + 20.0,
                minutes / 60,
                minutes % 60
            );
            time += self.tick;
        }
    }

    fn mark(&self, times: &Range<Time>, name: &str, svg: &mut String) {
        let x = self.x(times.start);
        let width = (self.x(times.end) - x).max(2.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" opacity=\"0.2\"/>\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"12\">{name}</text>",
            self.top,
            self.height,
            x + width / 2.0,
            self.top - 5.0
        );
    }

    fn x(&self, time: Time) -> f64 {
        let share = (time - self.times.start) as f64 / (self.times.end - self.times.start) as f64;
        LEFT + share * (RIGHT - LEFT)
    }

    fn y(&self, value: f64, top: f64) -> f64 {
        self.top + self.height * (1.0 - value / top)
    }
}

/// A round number, of which three to seven reach this high.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high.max(1.0) / 2.0).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|digit| digit * power / 2.0);
    let fits = |step: &f64| high / step <= 7.0;
    steps.into_iter().find(fits).unwrap_or(10.0 * power / 2.0)
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 880.0;
const RED: &str = "#d1495b";
const BLUE: &str = "#4a86c5";
const GREEN: &str = "#2a9d6f";
