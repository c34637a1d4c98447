//! What will happen, in order.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::setup::{SECOND, Time};

/// A heap for the second that is now, and a heap's worth of unsorted events for each later one: with
/// a million of them that is several times as fast as one heap.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    second: usize,
    soon: BinaryHeap<Reverse<(Time, E)>>,
    later: Vec<Vec<Reverse<(Time, E)>>>,
}

impl<E: Ord> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            second: 0,
            soon: BinaryHeap::new(),
            later: Vec::new(),
        }
    }

    /// Must not lie before what was popped last.
    pub(crate) fn push(&mut self, time: Time, event: E) {
        let second = (time / SECOND) as usize;
        if second <= self.second {
            self.soon.push(Reverse((time, event)));
            return;
        }
        if second >= self.later.len() {
            self.later.resize_with(second + 1, Vec::new);
        }
        self.later[second].push(Reverse((time, event)));
    }

    /// Of events at the same time, the least.
    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        while self.soon.is_empty() {
            self.second += 1;
            let next = self.later.get_mut(self.second)?;
            self.soon = std::mem::take(next).into();
        }
        self.soon.pop().map(|Reverse(next)| next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_whenever_they_come() {
        let mut queue = Queue::new();
        let mut rng = fastrand::Rng::with_seed(1);
        for event in 0..1000 {
            queue.push(rng.u64(0..100 * SECOND), event);
        }
        let (mut last, mut popped) = (0, 0);
        while let Some((time, _)) = queue.pop() {
            assert!(time >= last);
            last = time;
            popped += 1;
            if popped <= 1000 {
                queue.push(time + rng.u64(0..3 * SECOND), popped);
            }
        }
        assert_eq!(popped, 2000);
    }
}
