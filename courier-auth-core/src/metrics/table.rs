//! Names, labels and help texts, all in one place. The guide for operating has the same table, and
//! a test compares them.
//!
//! Names end with their unit, and counters with `_total`, because some exporters leave them as
//! they are. Those that add suffixes add none that is there.

/// One metric. Every label has a small set of values: nothing that a user sends becomes one.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [(&'static str, &'static [&'static str])],
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// In seconds.
    Histogram,
}

pub(super) const REQUESTS: Metric = Metric {
    name: "courier_auth_requests_total",
    kind: Kind::Counter,
    labels: &[
        ("zone", &["fresh", "aging", "expiring", "none"]),
        ("outcome", &["cached", "waited", "failed"]),
    ],
    help: "Tokens asked for: how far into its life the token is that was handed out, and whether \
           the caller had to wait for it.",
};
pub(super) const FAILURES: Metric = Metric {
    name: "courier_auth_failures_total",
    kind: Kind::Counter,
    labels: &[("kind", ERROR_KINDS)],
    help: "Requests that got no token, by what went wrong.",
};
pub(super) const REMAINING: Metric = Metric {
    name: "courier_auth_token_remaining_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "What was left of a token that was handed out when it was no longer fresh.",
};
pub(super) const REJECTED: Metric = Metric {
    name: "courier_auth_rejected_tokens_total",
    kind: Kind::Counter,
    labels: &[("outcome", &["replaced", "kept"])],
    help: "Tokens that a caller said Courier had refused: whether Courier was asked for another.",
};
pub(super) const REPLIES: Metric = Metric {
    name: "courier_auth_replies_total",
    kind: Kind::Counter,
    labels: &[(
        "status",
        &["200", "304", "401", "403", "405", "500", "502", "503"],
    )],
    help: "Answers of the token's route, and of extractors that had no token; not the errors of the app's own hook.",
};
pub(super) const FLIGHTS: Metric = Metric {
    name: "courier_auth_flights_total",
    kind: Kind::Counter,
    labels: &[("urgency", URGENCIES), ("outcome", FLIGHT_OUTCOMES)],
    help: "Attempts to get a new token for a user, all tries together.",
};
pub(super) const FLIGHT_SECONDS: Metric = Metric {
    name: "courier_auth_flight_seconds",
    kind: Kind::Histogram,
    labels: &[("outcome", FLIGHT_OUTCOMES)],
    help: "How long these took, the wait for a free call and the pauses between tries included.",
};
pub(super) const TRIES: Metric = Metric {
    name: "courier_auth_courier_requests_total",
    kind: Kind::Counter,
    labels: &[("try", &["1", "2", "3"]), ("outcome", TRY_OUTCOMES)],
    help: "HTTP requests to Courier for a token, by which try it was and what came of it.",
};
pub(super) const TRY_SECONDS: Metric = Metric {
    name: "courier_auth_courier_request_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "How long Courier took to answer one of these, or until it was given up.",
};
pub(super) const SKIPPED: Metric = Metric {
    name: "courier_auth_skipped_total",
    kind: Kind::Counter,
    labels: &[("reason", &["circuit_open", "api_key_refused", "overloaded"])],
    help: "Times that Courier was not asked although a token was due.",
};
pub(super) const EVICTIONS: Metric = Metric {
    name: "courier_auth_evictions_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Users who left the cache because it was full, with a token that was still good.",
};
pub(super) const CLOCK_SKEW: Metric = Metric {
    name: "courier_auth_clock_skew_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "By how much this machine's clock is ahead of Courier's, as of its last answer; good \
           to a second.",
};
pub(super) const WAITING: Metric = gauge(
    "courier_auth_waiting",
    "Callers who wait for a token that is on its way.",
);
pub(super) const USERS: Metric = gauge("courier_auth_users", "Users in the cache.");
pub(super) const IN_FLIGHT: Metric = gauge(
    "courier_auth_calls_in_flight",
    "Calls to Courier under way, at most 16 for each provider.",
);
pub(super) const QUEUED: Metric = gauge(
    "courier_auth_queued",
    "Users who wait for a call to become free, at most 256 for each provider.",
);
pub(super) const CIRCUIT_OPEN: Metric = gauge(
    "courier_auth_circuit_open",
    "1 while Courier is left alone because it failed for several users.",
);
pub(super) const KEY_REFUSED: Metric = gauge(
    "courier_auth_api_key_refused",
    "1 while Courier refuses the API key.",
);
#[cfg(feature = "shared-cache")]
pub(super) const SHARED_BYPASSED: Metric = gauge(
    "courier_auth_shared_cache_bypassed",
    "1 while the shared cache is left alone because it failed.",
);
#[cfg(feature = "shared-cache")]
pub(super) const SHARED_OPERATIONS: Metric = Metric {
    name: "courier_auth_shared_cache_operations_total",
    kind: Kind::Counter,
    labels: &[
        ("operation", OPERATIONS),
        ("outcome", &["ok", "error", "timeout", "bypassed"]),
    ],
    help: "Operations of the shared cache.",
};
#[cfg(feature = "shared-cache")]
pub(super) const SHARED_SECONDS: Metric = Metric {
    name: "courier_auth_shared_cache_operation_seconds",
    kind: Kind::Histogram,
    labels: &[("operation", OPERATIONS)],
    help: "How long these took, without those that were bypassed.",
};
#[cfg(feature = "shared-cache")]
pub(super) const SHARED_LOOKUPS: Metric = Metric {
    name: "courier_auth_shared_cache_lookups_total",
    kind: Kind::Counter,
    labels: &[("outcome", &["hit", "miss"])],
    help: "Whether another replica's token spared a call to Courier.",
};
#[cfg(feature = "shared-cache")]
pub(super) const SHARED_POISONED: Metric = Metric {
    name: "courier_auth_shared_cache_poisoned_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Values of the shared cache that were thrown away because they are not what they should \
           be.",
};

/// Everything there is, in the order of the guide.
#[cfg(feature = "metrics")]
pub(super) const ALL: &[&Metric] = &[
    &REQUESTS,
    &FAILURES,
    &REMAINING,
    &REJECTED,
    &REPLIES,
    &FLIGHTS,
    &FLIGHT_SECONDS,
    &TRIES,
    &TRY_SECONDS,
    &SKIPPED,
    &EVICTIONS,
    &CLOCK_SKEW,
    &WAITING,
    &USERS,
    &IN_FLIGHT,
    &QUEUED,
    &CIRCUIT_OPEN,
    &KEY_REFUSED,
    #[cfg(feature = "shared-cache")]
    &SHARED_BYPASSED,
    #[cfg(feature = "shared-cache")]
    &SHARED_OPERATIONS,
    #[cfg(feature = "shared-cache")]
    &SHARED_SECONDS,
    #[cfg(feature = "shared-cache")]
    &SHARED_LOOKUPS,
    #[cfg(feature = "shared-cache")]
    &SHARED_POISONED,
];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels: &[],
        help,
    }
}

/// The names of [`ErrorKind`](crate::ErrorKind).
const ERROR_KINDS: &[&str] = &[
    "invalid_input",
    "configuration",
    "api_key_refused",
    "request_refused",
    "rate_limited",
    "unavailable",
    "timeout",
    "circuit_open",
    "overloaded",
    "invalid_response",
    "runtime",
];
const TRY_OUTCOMES: &[&str] = &[
    "issued",
    "api_key_refused",
    "request_refused",
    "rate_limited",
    "unavailable",
    "timeout",
    "invalid_response",
];
const URGENCIES: &[&str] = &["foreground", "background"];
const FLIGHT_OUTCOMES: &[&str] = &[
    "issued",
    "found",
    "yielded",
    "put_off",
    "failed",
    "abandoned",
];
#[cfg(feature = "shared-cache")]
const OPERATIONS: &[&str] = &["read", "write", "lock", "unlock", "delete", "invalidate"];
