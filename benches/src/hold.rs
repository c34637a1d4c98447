//! What caches weigh that hold many users, and what a look into them costs.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use courier_auth_tower::TokenRequest;
use futures_util::FutureExt;

use crate::{
    Result,
    rows::{Row, long_user_id, user_id},
};

/// Fills the row's cache, which has room for so many, and prints how many users it was asked for, the process's
/// memory in bytes and how many of them it holds: after the first few, and after each tenth of the users. Then, if there
/// was room for all, how many nanoseconds a look takes at users without a pattern.
pub async fn hold(row: &str, upstream: &str, room: &str, users: &str) -> Result<()> {
    let (room, users): (usize, usize) = (room.parse()?, users.parse()?);
    let id = match row {
        "ours-uuid" => long_user_id,
        _ => user_id,
    };
    let row = Row::cold(row, upstream, room).await?;
    // After these there is what is there but once, the client and its connections among it.
    row.fill(0..FEW, id).await?;
    println!("{FEW} {} {}", memory()?, row.held());
    let mut from = FEW;
    for tenth in 1..=10 {
        let to = (users * tenth / 10).max(from);
        row.fill(from..to, id).await?;
        println!("{to} {} {}", memory()?, row.held());
        from = to;
    }
    if users <= room {
        println!("{:.1}", look(&row, users, id).as_secs_f64() * 1e9);
    }
    Ok(())
}

fn look(row: &Row, users: usize, id: fn(usize) -> String) -> Duration {
    let requests: Vec<_> = (0..users)
        .map(|n| (n * 7919) % users)
        .map(|n| (id(n), TokenRequest::for_user(id(n))))
        .collect();
    let look: Box<dyn Fn(&(String, TokenRequest)) -> bool> = match row {
        Row::Ours(provider) => Box::new(|(_, request)| {
            let token = provider.token(request).now_or_never();
            matches!(black_box(token), Some(Ok(_)))
        }),
        Row::ByHand(by_hand) => Box::new(|(user, _)| by_hand.has(user)),
        _ => unreachable!("rows that hold nothing"),
    };
    let looks = LOOKS.max(users);
    let mut times: Vec<_> = (0..PASSES)
        .map(|_| {
            let start = Instant::now();
            let found = requests
                .iter()
                .cycle()
                .take(looks)
                .filter(|one| look(one))
                .count();
            let took = start.elapsed() / looks as u32;
            assert!(found > looks / 2, "{found} of {looks} users were there");
            took
        })
        .collect();
    times.sort_unstable();
    times[PASSES / 2]
}

/// What the process holds of the machine's memory.
fn memory() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse::<usize>()? * 1024)
}

const FEW: usize = 1000;
const LOOKS: usize = 1_000_000;
/// The median counts: other machines' work on the same processor comes and goes.
const PASSES: usize = 5;
