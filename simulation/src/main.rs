//! A day of many users and replicas, simulated: what Courier, Redis and the replicas have to bear,
//! with and without a shared cache.
//!
//! `cargo run --release -p courier-auth-simulation` prints a table for a million users;
//! `-- --users 10000000 --only "a shared cache"` for ten million, of the runs whose name has that in
//! it; `-- --out courier-auth-core/src/guides` writes table and picture for the guide
//! `courier_auth_core::guides::replicas`, which also says what is modelled and assumed.
//!
//! What decides is the crate's own `policy`. The rest of its cache is bound to a runtime and real
//! calls, and is modelled: `gate` is its `upstream` and `breaker`, `replica` its `slot` in the same
//! `quick_cache`, `flight` its `flight`, `look` and the part of `mod` that decides. `world` has the
//! users, their browsers and the load balancer.

mod flight;
mod gate;
mod plot;
#[path = "../../courier-auth-core/src/cache/policy.rs"]
#[expect(dead_code, reason = "nobody's token is refused here")]
mod policy;
mod queue;
mod random;
mod redis;
mod replica;
mod report;
mod runs;
mod setup;
mod stats;
#[cfg(test)]
mod tests;
mod world;

use std::{error::Error, fs, io::Write, path::Path, thread};

use self::{runs::Run, setup::Setup};

fn main() -> Result<(), Box<dyn Error>> {
    let mut users = 1_000_000;
    let mut only = String::new();
    let mut out = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("each option needs a value")?;
        match name.as_str() {
            "--users" => users = value.parse()?,
            "--only" => only = value,
            "--out" => out = Some(value),
            _ => return Err(format!("there is no option {name}: --users, --only, --out").into()),
        }
    }

    let day = Setup::day(users);
    let kinds = runs::ALL.iter().filter(|kind| kind.name.contains(&only));
    let runs: Result<Vec<Run>, _> = thread::scope(|scope| {
        let threads: Vec<_> = kinds.map(|kind| scope.spawn(|| kind.run(&day))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let runs = runs.map_err(|_panic| "a run panicked")?;
    let table = report::table(&runs);
    std::io::stdout().write_all(table.as_bytes())?;
    if let Some(out) = out {
        let out = Path::new(&out);
        fs::write(out.join("replicas-day.md"), table)?;
        fs::write(out.join("replicas-day.svg"), plot::svg(&runs))?;
    }
    Ok(())
}
