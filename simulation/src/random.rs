//! Random numbers, and a hash that is the same in every run.

use std::hash::{BuildHasherDefault, Hasher};

use crate::setup::Time;

pub(crate) fn exponential(rng: &mut fastrand::Rng, mean: Time) -> Time {
    (-(1.0 - rng.f64()).ln() * mean as f64) as Time
}

/// At least 1, with this mean.
pub(crate) fn geometric(rng: &mut fastrand::Rng, mean: f64) -> u32 {
    let stays = 1.0 - 1.0 / mean;
    1 + ((1.0 - rng.f64()).ln() / stays.ln()) as u32
}

/// Decorrelates numbers that count up.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// For maps whose keys are users. std's own is seeded anew in every process.
pub(crate) type Hash = BuildHasherDefault<UserHasher>;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserHasher(u64);

impl Hasher for UserHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = mix(self.0 ^ (u64::from(number) + 1));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means() {
        let rng = &mut fastrand::Rng::with_seed(1);
        let n = 100_000_u32;
        let sum: f64 = (0..n).map(|_| exponential(rng, 1000) as f64).sum();
        assert!((990.0..1010.0).contains(&(sum / f64::from(n))));
        let sum: f64 = (0..n).map(|_| f64::from(geometric(rng, 8.0))).sum();
        assert!((7.9..8.1).contains(&(sum / f64::from(n))));
    }
}
