//! What is simulated: the numbers that describe the users, the servers, Courier and the day.

use std::time::Duration;

/// Microseconds since the simulation began.
pub(crate) type Time = u64;

pub(crate) const SECOND: Time = 1_000_000;
pub(crate) const MINUTE: Time = 60 * SECOND;
pub(crate) const HOUR: Time = 60 * MINUTE;
pub(crate) const DAY: Time = 24 * HOUR;

/// The day that is measured begins here: until then caches fill and tabs are opened.
pub(crate) const WARM_UP: Time = 4 * HOUR;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) users: u32,
    pub(crate) traffic: Traffic,
    pub(crate) replicas: u16,
    pub(crate) balancing: Balancing,
    /// Whether the replicas share a cache.
    pub(crate) shared: bool,
    /// Whether `j` of the aging zone and `refresh_in` are spread. Nothing else is switched off.
    pub(crate) jitter: bool,
    /// `max_users` of each replica's own cache.
    pub(crate) max_users: usize,
    /// When deploys begin: rolling, all replicas restarted in turn.
    pub(crate) deploys: Vec<Time>,
    /// When Courier stops answering and answers again.
    pub(crate) outage: Option<(Time, Time)>,
    /// A message to everybody.
    pub(crate) broadcast: Option<Broadcast>,
    pub(crate) seed: u64,
}

/// A message at whose arrival some users open the app, within a minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broadcast {
    pub(crate) at: Time,
    /// The share of the users who come because of it.
    pub(crate) share: f64,
}

impl Setup {
    /// The day of the guide.
    pub(crate) fn day(users: u32) -> Self {
        Self {
            users,
            traffic: Traffic::USUAL,
            replicas: 200,
            balancing: Balancing::Any,
            shared: true,
            jitter: true,
            max_users: 10_000.max(users as usize / 100),
            deploys: vec![at(11), at(17)],
            outage: Some((at(14), at(14) + 10 * MINUTE)),
            broadcast: Some(Broadcast {
                at: at(8),
                share: 0.02,
            }),
            seed: 1,
        }
    }

    pub(crate) fn is_down(&self, now: Time) -> bool {
        self.outage
            .is_some_and(|(begin, end)| (begin..end).contains(&now))
    }

    /// Visits that begin per second, on the mean of the day.
    pub(crate) fn visits_per_second(&self) -> f64 {
        f64::from(self.users) * self.traffic.visits / 86_400.0
    }
}

/// An hour of the day.
pub(crate) const fn at(hour: u64) -> Time {
    WARM_UP + hour * HOUR
}

/// Which replica a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balancing {
    /// Any that is up.
    Any,
    /// The one that the visit began on, as long as it is up.
    Sticky,
}

/// How busy the app is at a time of day, 1 on the mean: quietest at 2:00, busiest at 14:00.
pub(crate) fn curve(now: Time) -> f64 {
    let hour = now as f64 / HOUR as f64 - (WARM_UP / HOUR) as f64;
    1.0 + SWING * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos()
}

pub(crate) const SWING: f64 = 0.8;

/// What the users do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Per user and day.
    pub(crate) visits: f64,
    /// Page views per visit, geometrically distributed, each of which asks for the token.
    pub(crate) views: f64,
    /// Between two page views, exponentially distributed.
    pub(crate) gap: Time,
    /// How long the last page stays open: for most a short while ...
    pub(crate) linger: Time,
    /// ... and for this share, who leave the tab open, ...
    pub(crate) tabs: f64,
    /// ... this long. Both exponentially distributed.
    pub(crate) tab: Time,
}

impl Traffic {
    pub(crate) const USUAL: Self = Self {
        visits: 3.0,
        views: 8.0,
        gap: 2 * MINUTE,
        linger: 5 * MINUTE,
        tabs: 0.2,
        tab: 3 * HOUR,
    };
}

// The servers.

/// The lifetime of a token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
/// A rolling restart takes this many replicas at a time ...
pub(crate) const DEPLOY_BATCHES: u16 = 20;
/// ... with this in between ...
pub(crate) const DEPLOY_STEP: Time = 30 * SECOND;
/// ... and each is away for so long. Longer than any call, so that each drains first.
pub(crate) const DEPLOY_AWAY: Time = 25 * SECOND;

// Courier: answers after 80 ms and an exponentially distributed 70 ms. When it is down it hangs.

pub(crate) const LATENCY: Time = 80_000;
pub(crate) const LATENCY_TAIL: Time = 70_000;
