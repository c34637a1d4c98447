//! The runs of the guide.

use crate::{
    setup::{Balancing, Setup},
    stats::Stats,
    world::World,
};

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) kind: &'static Kind,
    pub(crate) stats: Stats,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    shared: bool,
    balancing: Balancing,
    jitter: bool,
}

impl Kind {
    pub(crate) fn run(&'static self, day: &Setup) -> Run {
        let setup = Setup {
            shared: self.shared,
            balancing: self.balancing,
            jitter: self.jitter,
            ..day.clone()
        };
        Run {
            kind: self,
            stats: World::new(setup).run().stats,
        }
    }
}

/// With and without the shared cache, by how the load is balanced, with and without jitter.
pub(crate) const ALL: [Kind; 6] = [
    ALONE,
    Kind {
        name: "without, no jitter",
        jitter: false,
        ..ALONE
    },
    ALONE_STICKY,
    SHARED,
    SHARED_NO_JITTER,
    Kind {
        name: "with, sticky",
        balancing: Balancing::Sticky,
        ..SHARED
    },
];
pub(crate) const ALONE: Kind = Kind {
    name: "without a shared cache",
    shared: false,
    balancing: Balancing::Any,
    jitter: true,
};
pub(crate) const ALONE_STICKY: Kind = Kind {
    name: "without, sticky",
    balancing: Balancing::Sticky,
    ..ALONE
};
pub(crate) const SHARED: Kind = Kind {
    name: "with a shared cache",
    shared: true,
    ..ALONE
};
pub(crate) const SHARED_NO_JITTER: Kind = Kind {
    name: "with, no jitter",
    jitter: false,
    ..SHARED
};
