use std::time::SystemTime;

use courier_auth_core::Status;
use serde_json::{Value, json};

/// What a health page says about Courier: for people and dashboards, not for a load balancer.
///
/// An app that cannot reach Courier is not sick. It serves everything else and the tokens that it
/// has, so its health page answers 200 all the same.
pub fn health(status: &Status) -> Value {
    let degraded = status.circuit_open || status.api_key_refused;
    json!({
        "courier": if degraded { "degraded" } else { "ok" },
        "circuit_open": status.circuit_open,
        "api_key_refused": status.api_key_refused,
        "users": status.users,
        "calls_in_flight": status.calls_in_flight,
        "queued": status.queued,
        "last_success_s": seconds_since(status.last_success_at),
        // The kind and no more: its text is for the log, and anybody may read this.
        "last_error": status.last_error.as_ref().map(|error| error.kind().as_str()),
        "last_error_s": seconds_since(status.last_error_at),
    })
}

fn seconds_since(time: Option<SystemTime>) -> Option<u64> {
    // A clock that was set back makes it now.
    time.map(|time| time.elapsed().unwrap_or_default().as_secs())
}
