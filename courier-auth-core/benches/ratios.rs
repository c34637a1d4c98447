//! What a cached token costs, as a multiple of what else an app could do. Side by side: every
//! round measures each subject once, and the medians of the rounds are compared. A round is shorter
//! than a time slice, so that a machine that is busy with other things does not show.
//!
//! `cargo bench -p courier-auth-core --bench ratios --features emulator`
//!
//! With `-- --calls N SUBJECT` it makes so many calls and prints nothing, for callgrind: see
//! README.md.

#![expect(clippy::print_stdout, reason = "a benchmark's report")]

mod subjects;

use std::{
    env,
    hint::black_box,
    thread,
    time::{Duration, Instant, SystemTime},
};

use self::subjects::{Asked, Subjects, shuffled};

type Look = fn(&Subjects, &Asked);

const SUBJECTS: [(&str, Look); 6] = [
    ("token", |all, asked| drop(black_box(all.token(asked)))),
    ("quick_cache", |all, asked| {
        drop(black_box(all.quick(asked)));
    }),
    ("moka", |all, asked| drop(black_box(all.moka(asked)))),
    ("reply", |all, asked| drop(black_box(all.reply(asked)))),
    ("instant", |_, _| {
        black_box(Instant::now());
    }),
    ("clocks", |_, _| {
        black_box((Instant::now(), SystemTime::now()));
    }),
];

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let all = Subjects::new();
    let users = shuffled();
    if let Some(at) = arguments.iter().position(|one| one == "--calls") {
        let calls = arguments[at + 1].parse().expect("a number of calls");
        let (_, look) = SUBJECTS
            .iter()
            .find(|(name, _)| *name == arguments[at + 2])
            .expect("a subject");
        measured_calls(&all, &users, *look, calls);
        return;
    }

    let mut times: Vec<Vec<f64>> = vec![Vec::new(); SUBJECTS.len()];
    let mut alone = times.clone();
    let mut pairs = times.clone();
    let parts: Vec<&[usize]> = users.chunks(ROUND).collect();
    for round in 0..ROUNDS {
        for (at, (_, look)) in SUBJECTS.iter().enumerate() {
            // Other users for each: one subject must not warm up another's.
            let part = parts[(round + at * APART) % parts.len()];
            times[at].push(one_thread(&all, part, *look));
        }
    }
    for _ in 0..PAIRED_ROUNDS {
        for (at, (_, look)) in SUBJECTS.iter().enumerate().take(3) {
            alone[at].push(threads(1, &all, &users, *look));
            pairs[at].push(threads(2, &all, &users, *look));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    println!(
        "medians of {ROUNDS} interleaved rounds over {} users",
        users.len()
    );
    println!(
        "{:<12} {:>8} {:>14} {:>8} {:>14}",
        "", "ns", "x quick_cache", "x moka", "two threads"
    );
    for (at, (name, _)) in SUBJECTS.iter().enumerate() {
        let two = match at {
            0..3 => format!(
                "{:.2} x",
                median(alone[at].clone()) / median(pairs[at].clone())
            ),
            _ => String::new(),
        };
        println!(
            "{name:<12} {:>8.1} {:>14.2} {:>8.2} {two:>14}",
            medians[at],
            medians[at] / medians[1],
            medians[at] / medians[2],
        );
    }
}

#[inline(never)]
fn measured_calls(all: &Subjects, users: &[usize], look: Look, calls: usize) {
    let all_asked = asked(all, users);
    for asked in all_asked.iter().cycle().take(calls) {
        look(all, asked);
    }
}

/// Nanoseconds per call.
fn one_thread(all: &Subjects, users: &[usize], look: Look) -> f64 {
    let all_asked = asked(all, users);
    let start = Instant::now();
    for asked in &all_asked {
        look(all, asked);
    }
    nanos(start.elapsed(), users.len())
}

fn asked(all: &Subjects, users: &[usize]) -> Vec<Asked> {
    users.iter().map(|user| all.asked(*user)).collect()
}

/// Nanoseconds per call of all together. Each has half of the users for its own, also if it is
/// alone, so that as much of them is in its core's cache.
fn threads(count: usize, all: &Subjects, users: &[usize], look: Look) -> f64 {
    let half = users.len() / 2;
    let all_asked = asked(all, users);
    let start = Instant::now();
    thread::scope(|scope| {
        for part in all_asked.chunks(half).take(count) {
            scope.spawn(move || {
                // Long enough for the start of a thread not to count.
                for asked in part.iter().cycle().take(PASSES * part.len()) {
                    look(all, asked);
                }
            });
        }
    });
    nanos(start.elapsed(), PASSES * half * count)
}

fn nanos(time: Duration, calls: usize) -> f64 {
    time.as_secs_f64() * 1e9 / calls as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: usize = 2001;
/// Users in one.
const ROUND: usize = 400;
/// Rounds between two subjects that meet the same users.
const APART: usize = 7;
const PAIRED_ROUNDS: usize = 21;
const PASSES: usize = 4;
