//! Servers to measure, one row of the table each, and the herd that some of them meet. `run` beside
//! this package starts them.
//!
//! ```text
//! courier-auth-benches upstream LATENCY_MS
//! courier-auth-benches serve axum|actix ROW UPSTREAM USERS
//! courier-auth-benches herd URL REQUESTS USERS
//! courier-auth-benches hold ROW UPSTREAM ROOM USERS
//! ```

mod actix_rows;
mod axum_rows;
mod courier;
mod handwritten;
mod herd;
mod hold;
mod rows;

use std::{
    io::{self, Read as _},
    net::TcpListener,
    process::exit,
    thread,
    time::Duration,
};

use actix_web::rt::System;
use courier_auth_tower::emulator::{Emulator, Fault};
use tokio::runtime::{Builder, Runtime};

use crate::rows::Row;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", "axum", row, upstream, users] => tokio()?.block_on(async {
            let (row, listener) = start(row, upstream, users).await?;
            axum_rows::serve(row, listener).await
        }),
        ["serve", "actix", row, upstream, users] => System::new().block_on(async {
            let (row, listener) = start(row, upstream, users).await?;
            Ok(actix_rows::serve(row, listener).await?)
        }),
        ["upstream", latency] => tokio()?.block_on(upstream(latency)),
        ["herd", url, requests, users] => tokio()?.block_on(herd::herd(url, requests, users)),
        ["hold", row, upstream, room, users] => {
            tokio()?.block_on(hold::hold(row, upstream, room, users))
        }
        _ => Err("see the top of main.rs for what can be asked for".into()),
    }
}

/// One core serves, so there is one thread.
fn tokio() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Fills the row's cache and prints where it can be asked from now on.
async fn start(row: &str, upstream: &str, users: &str) -> Result<(Row, TcpListener)> {
    exit_with_parent();
    let row = Row::warm(row, upstream, users.parse()?).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    println!("http://{}", listener.local_addr()?);
    Ok((row, listener))
}

/// Nothing stays behind when `run` is interrupted: the pipe at the other end of stdin closes.
fn exit_with_parent() {
    thread::spawn(|| {
        let _closed = io::stdin().read_to_end(&mut Vec::new());
        exit(0);
    });
}

/// The emulator of Courier. It prints how often it was asked, whenever it reads a line.
async fn upstream(latency: &str) -> Result<()> {
    let courier = Emulator::start().await?;
    let latency = Duration::from_millis(latency.parse()?);
    if !latency.is_zero() {
        courier.fail(Fault::Latency(latency));
    }
    println!("{}", courier.url());
    let emulator = courier.emulator().clone();
    let asked = tokio::task::spawn_blocking(move || {
        for _line in io::stdin().lines() {
            println!("{}", emulator.token_requests());
        }
    });
    Ok(asked.await?)
}
