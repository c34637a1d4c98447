//! When Courier was asked for whom, and how often that was within one refresh period.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use courier_auth_core::emulator::Emulator;
use tokio::{task::JoinHandle, time::sleep};

use crate::driver::now;

/// Reads the emulator's log of calls before the emulator forgets them.
pub(crate) struct Recorder {
    record: Arc<Record>,
    task: JoinHandle<()>,
}

impl Recorder {
    pub(crate) fn begin(courier: &Emulator) -> Self {
        let record = Arc::new(Record {
            courier: courier.clone(),
            calls: Mutex::default(),
        });
        let reader = Arc::clone(&record);
        let task = tokio::spawn(async move {
            loop {
                reader.read();
                sleep(Duration::from_millis(250)).await;
            }
        });
        Self { record, task }
    }

    /// All calls, in the users' refresh periods.
    ///
    /// With one cache for all no token is refreshed before two thirds of its life, so what is
    /// issued sooner after another is one too many.
    pub(crate) fn periods(&self) -> Vec<Period> {
        self.record.read();
        let mut last: HashMap<String, Period> = HashMap::new();
        let mut ended = Vec::new();
        for (at, user) in self.record.calls.lock().unwrap().iter() {
            match last.get_mut(user) {
                Some(period) if *at < period.begin + PERIOD => period.calls += 1,
                _ => {
                    let new = Period {
                        begin: *at,
                        calls: 1,
                    };
                    ended.extend(last.insert(user.clone(), new));
                }
            }
        }
        ended.extend(last.into_values());
        ended
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Record {
    courier: Emulator,
    calls: Mutex<Vec<(i64, String)>>,
}

impl Record {
    fn read(&self) {
        let mut record = self.calls.lock().unwrap();
        let (calls, count) = loop {
            let before = self.courier.token_requests();
            let calls = self.courier.calls();
            if self.courier.token_requests() == before {
                break (calls, before);
            }
        };
        let new = count - record.len();
        let at = now();
        let new = calls[calls.len() - new..].iter();
        record.extend(new.map(|call| (at, call.user_ids.concat())));
    }
}

/// A user's time with one token, if there were one cache for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    /// In Unix seconds.
    pub(crate) begin: i64,
    /// To Courier.
    calls: usize,
}

/// Calls to Courier, and the refresh periods in which they were made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    calls: usize,
    periods: usize,
}

impl Calls {
    pub(crate) fn of<'a>(periods: impl IntoIterator<Item = &'a Period>) -> Self {
        let mut sum = Self {
            calls: 0,
            periods: 0,
        };
        for period in periods {
            sum.calls += period.calls;
            sum.periods += 1;
        }
        sum
    }

    pub(crate) fn per_period(self) -> f64 {
        self.calls as f64 / self.periods as f64
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, periods } = self;
        let each = self.per_period();
        write!(f, "{calls} calls in {periods} periods, {each:.3} each")
    }
}

/// In seconds: two thirds of a token's life, and a bit, because times are rounded.
pub(crate) const PERIOD: i64 = 13 - 2;
