//! The simulation against what can be worked out by hand, and against what must hold.

use crate::{
    redis::SharedCache,
    runs::{ALONE, ALONE_STICKY, Kind, SHARED},
    setup::{Balancing, Broadcast, HOUR, MINUTE, SECOND, Setup, Traffic, at},
    stats::{Stats, mean, peak, sum},
    world::World,
};

/// Nothing happens on it.
fn quiet_day(users: u32) -> Setup {
    Setup {
        deploys: Vec::new(),
        outage: None,
        broadcast: None,
        ..Setup::day(users)
    }
}

/// A user comes so seldom that no token of an earlier visit is left.
const STRANGERS: Traffic = Traffic {
    visits: 0.01,
    views: 8.0,
    gap: 20 * SECOND,
    linger: MINUTE,
    tabs: 0.0,
    tab: HOUR,
};

fn calls_per_visit(setup: Setup) -> f64 {
    let total = World::new(setup).run().stats.total;
    assert!(total.visits > 2500, "too few to tell");
    total.calls as f64 / total.visits as f64
}

#[track_caller]
fn assert_near(value: f64, expected: f64, tolerance: f64) {
    let error = (value / expected - 1.0).abs();
    assert!(error < tolerance, "{value} instead of {expected}");
}

/// A visit of `n` page views on `R` replicas touches `R (1 - (1 - 1/R)^n)` of them on the mean, and
/// each of those asks Courier. For geometric `n`, `E[q^n] = p q / (1 - (1 - p) q)`.
#[test]
fn without_a_shared_cache_each_replica_asks() {
    for replicas in [2, 10, 200] {
        let setup = Setup {
            replicas,
            shared: false,
            traffic: STRANGERS,
            ..quiet_day(300_000)
        };
        let p = 1.0 / STRANGERS.views;
        let q = 1.0 - 1.0 / f64::from(replicas);
        let touched = f64::from(replicas) * (1.0 - p * q / (1.0 - (1.0 - p) * q));
        assert_near(calls_per_visit(setup), touched, 0.04);
    }
}

#[test]
fn with_a_shared_cache_or_sticky_sessions_one_asks() {
    let setup = Setup {
        traffic: STRANGERS,
        ..quiet_day(300_000)
    };
    assert_near(calls_per_visit(setup.clone()), 1.0, 0.01);
    let sticky = Setup {
        shared: false,
        balancing: Balancing::Sticky,
        ..setup
    };
    assert_near(calls_per_visit(sticky), 1.0, 0.01);
}

/// A tab that stays open asks every 48 to 54 minutes. If it does so for an exponentially distributed
/// time of mean `1/m`, it asks `f / (1 - f)` times, with `f = E[exp(-m t)]` the share of tabs that are
/// still open after a period.
#[test]
fn an_open_tab_asks_once_in_a_period() {
    let tabs = Traffic {
        views: 1.0,
        tabs: 1.0,
        ..STRANGERS
    };
    let m = MINUTE as f64 / tabs.tab as f64;
    let f = ((-48.0 * m).exp() - (-54.0 * m).exp()) / (6.0 * m);
    for shared in [false, true] {
        let setup = Setup {
            shared,
            traffic: tabs,
            ..quiet_day(300_000)
        };
        assert_near(calls_per_visit(setup), 1.0 + f / (1.0 - f), 0.03);
    }
}

/// As many entries are in Redis as come in the 59½ minutes that each is kept for.
#[test]
fn entries_in_redis_are_those_of_an_hour() {
    let traffic = Traffic {
        views: 1.0,
        ..STRANGERS
    };
    let setup = Setup {
        traffic,
        ..quiet_day(1_000_000)
    };
    let per_second = setup.visits_per_second();
    let stats = World::new(setup).run().stats;
    let entries = mean(stats.entries_by_second().day());
    assert_near(entries, per_second * 59.5 * 60.0, 0.03);
    // A look that finds nothing, of three commands, and a write.
    let commands = mean(stats.redis_commands.day());
    assert_near(commands, per_second * 4.0, 0.03);
}

/// So that a day of ten million can be told from one of a million.
#[test]
fn everything_grows_with_the_users() {
    for shared in [false, true] {
        let day = |users| {
            let setup = Setup {
                shared,
                max_users: 10_000,
                ..quiet_day(users)
            };
            World::new(setup).run().stats
        };
        let (few, many) = (day(2_000), day(16_000));
        let ratio = |sum: fn(&Stats) -> u64| sum(&many) as f64 / sum(&few) as f64;
        assert_near(ratio(|stats| sum(stats.calls.day())), 8.0, 0.03);
        if shared {
            assert_near(ratio(|stats| sum(stats.redis_bytes.day())), 8.0, 0.03);
            assert_near(
                ratio(|stats| sum(stats.entries_by_second().day())),
                8.0,
                0.03,
            );
        }
    }
}

fn eventful_day() -> Setup {
    Setup {
        replicas: 20,
        deploys: vec![at(11)],
        outage: Some((at(14), at(14) + 10 * MINUTE)),
        broadcast: Some(Broadcast {
            at: at(8),
            share: 0.1,
        }),
        ..quiet_day(10_000)
    }
}

fn run(kind: &'static Kind) -> Stats {
    kind.run(&eventful_day()).stats
}

#[test]
fn every_request_is_answered_and_every_call_ends() {
    for shared in [false, true] {
        let setup = Setup {
            shared,
            ..eventful_day()
        };
        let world = World::new(setup).run();
        let total = world.stats.total;
        assert_eq!(total.requests, total.served + total.refused);
        assert_eq!(total.calls, total.issued + total.timed_out);
        let landed = total.issued + total.failed + total.adopted + total.put_off;
        assert_eq!(total.flights, landed);
        assert!(world.flights.is_empty());
        assert!(world.replicas.iter().all(|replica| replica.gate.is_idle()));
        assert!(
            total.timed_out > 0 && total.refused > 0,
            "the outage is felt"
        );
        assert_eq!(total.adopted > 0, shared);
    }
}

#[test]
fn a_shared_cache_spares_courier_in_every_hour() {
    let (alone, shared) = (run(&ALONE), run(&SHARED));
    for hour in (0..24).filter(|hour| *hour != 14) {
        let calls = |stats: &Stats| sum(stats.calls.between(at(hour)..at(hour + 1)));
        let (alone, shared) = (calls(&alone), calls(&shared));
        assert!(2 * shared < alone, "{hour} h: {shared} instead of {alone}");
    }
}

#[test]
fn a_deploy_is_not_noticed_with_a_shared_cache() {
    let deploy = |stats: &Stats| {
        let before = mean(stats.calls.between(at(10)..at(11)));
        mean(stats.calls.between(at(11)..at(11) + 15 * MINUTE)) / before
    };
    assert!(deploy(&run(&SHARED)) < 1.25);
    assert!(deploy(&run(&ALONE_STICKY)) > 1.4, "is felt");
}

/// 16 calls under way, four more until the fifth has failed, then one for each pause; each with three
/// tries.
#[test]
fn an_outage_costs_courier_little() {
    for shared in [false, true] {
        let setup = Setup {
            shared,
            ..eventful_day()
        };
        let replicas = World::new(setup).run().replicas;
        let most = replicas.iter().map(|replica| replica.outage_calls).max();
        let bound = 3.0 * (20.0 + 5.0 + 600.0 / 48.0);
        assert!((1..=bound as u32).contains(&most.unwrap_or_default()));
    }
}

#[test]
fn an_outage_is_noticed_less_with_a_shared_cache() {
    let tokenless = |stats: &Stats| {
        let times = at(14) + MINUTE..at(14) + 10 * MINUTE;
        let tokenless = sum(stats.tokenless.between(times.clone())) as f64;
        tokenless / sum(stats.views.between(times)) as f64
    };
    let shared = run(&SHARED);
    assert!(tokenless(&shared) < 0.5 * tokenless(&run(&ALONE)));
    let after = at(14) + 12 * MINUTE..at(15);
    assert_eq!(sum(shared.tokenless.between(after)), 0, "nothing is final");
}

/// Those who come within a minute come back within six minutes if refreshes are spread, and within
/// that minute if they are not.
#[test]
fn jitter_spreads_the_refreshes() {
    let busiest = |jitter| {
        let setup = Setup {
            jitter,
            traffic: Traffic {
                visits: 0.1,
                tabs: 1.0,
                ..Traffic::USUAL
            },
            ..eventful_day()
        };
        let stats = World::new(setup).run().stats;
        let seconds = stats
            .calls
            .between(at(8) + 30 * MINUTE..at(9) + 30 * MINUTE);
        let minutes: Vec<u32> = seconds
            .chunks(60)
            .map(|minute| minute.iter().sum())
            .collect();
        peak(&minutes)
    };
    assert!(busiest(false) > 2 * busiest(true));
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let calls = |seed| {
        let setup = Setup {
            seed,
            ..eventful_day()
        };
        World::new(setup).run().stats.total
    };
    assert_eq!(calls(7), calls(7));
    assert_ne!(calls(7), calls(8));
}

#[test]
fn a_lock_is_given_back_by_its_owner_or_lapses() {
    let mut redis = SharedCache::new(1);
    assert!(redis.lock(0, 1, 0));
    assert!(!redis.lock(0, 2, 0));
    redis.unlock(0, 2);
    assert!(!redis.lock(0, 2, 12 * SECOND - 1));
    assert!(redis.lock(0, 2, 12 * SECOND));
    redis.unlock(0, 1);
    assert!(!redis.lock(0, 3, 12 * SECOND));
    redis.unlock(0, 2);
    assert!(redis.lock(0, 3, 12 * SECOND));
}
