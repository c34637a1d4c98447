//! What is counted, second by second.

use std::ops::Range;

use crate::{
    redis::Operation,
    setup::{DAY, SECOND, Time, WARM_UP},
};

#[derive(Debug)]
pub(crate) struct Stats {
    /// Calls to Courier, repeated ones too.
    pub(crate) calls: Series,
    pub(crate) requests: Series,
    pub(crate) views: Series,
    /// Page views that got no token.
    pub(crate) tokenless: Series,
    pub(crate) redis_commands: Series,
    pub(crate) redis_bytes: Series,
    /// Entries in Redis that came into being, less those that expired.
    pub(crate) entries: Vec<i32>,
    /// The most users that one replica's cache has held.
    pub(crate) users_in_memory: usize,
    pub(crate) total: Total,
}

/// Of the whole run, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) visits: u64,
    pub(crate) requests: u64,
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) calls: u64,
    pub(crate) issued: u64,
    pub(crate) timed_out: u64,
    pub(crate) flights: u64,
    pub(crate) adopted: u64,
    pub(crate) yielded: u64,
    pub(crate) failed: u64,
    pub(crate) put_off: u64,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            calls: Series::new(),
            requests: Series::new(),
            views: Series::new(),
            tokenless: Series::new(),
            redis_commands: Series::new(),
            redis_bytes: Series::new(),
            entries: vec![0; SECONDS],
            users_in_memory: 0,
            total: Total::default(),
        }
    }

    pub(crate) fn command(&mut self, now: Time, operation: Operation) {
        self.redis_commands.add(now, operation.commands);
        self.redis_bytes.add(now, operation.bytes);
    }

    /// An entry lives in Redis from now until then, where one lived until `before`.
    pub(crate) fn entry_lives(&mut self, now: Time, until: Time, before: Option<Time>) {
        self.change_entries(before.unwrap_or(now), 1);
        self.change_entries(until, -1);
    }

    fn change_entries(&mut self, at: Time, by: i32) {
        if let Some(second) = self.entries.get_mut((at / SECOND) as usize) {
            *second += by;
        }
    }

    /// How many entries there were in each second.
    pub(crate) fn entries_by_second(&self) -> Series {
        let mut there = 0;
        let counts = self.entries.iter().map(|change| {
            there += change;
            there as u32
        });
        Series(counts.collect())
    }
}

/// A number for each second of the warm-up and the day.
#[derive(Clone, Debug)]
pub(crate) struct Series(Vec<u32>);

const SECONDS: usize = ((WARM_UP + DAY) / SECOND) as usize;

impl Series {
    fn new() -> Self {
        Self(vec![0; SECONDS])
    }

    /// What comes after the day, while the last visits end, is not counted.
    pub(crate) fn add(&mut self, now: Time, number: u32) {
        if let Some(second) = self.0.get_mut((now / SECOND) as usize) {
            *second += number;
        }
    }

    pub(crate) fn day(&self) -> &[u32] {
        self.between(WARM_UP..WARM_UP + DAY)
    }

    pub(crate) fn between(&self, times: Range<Time>) -> &[u32] {
        &self.0[(times.start / SECOND) as usize..(times.end / SECOND) as usize]
    }
}

pub(crate) fn sum(seconds: &[u32]) -> u64 {
    seconds.iter().copied().map(u64::from).sum()
}

pub(crate) fn mean(seconds: &[u32]) -> f64 {
    sum(seconds) as f64 / seconds.len() as f64
}

pub(crate) fn peak(seconds: &[u32]) -> u32 {
    seconds.iter().copied().max().unwrap_or_default()
}
