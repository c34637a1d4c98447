//! Many requests at one moment, each on a connection of its own.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{Result, rows::PATH};

/// Connects, sends all requests at once, and prints when the answers came: the p99 and the last, in
/// microseconds after the first request was sent.
pub async fn herd(url: &str, requests: &str, users: &str) -> Result<()> {
    let (requests, users) = (requests.parse::<usize>()?, users.parse::<usize>()?);
    let address = url.strip_prefix("http://").ok_or("an address is needed")?;
    let mut connections = Vec::with_capacity(requests);
    // Fewer at a time than a listener's backlog.
    while connections.len() < requests {
        let some = (requests - connections.len()).min(256);
        connections.extend(try_join_all((0..some).map(|_| TcpStream::connect(address))).await?);
    }
    // Until the server has accepted the last ones.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let begin = Instant::now();
    let mut answered = join_all(connections.into_iter().enumerate().map(|(n, stream)| {
        tokio::spawn(async move {
            timeout(PATIENCE, ask(stream, n % users)).await??;
            Result::Ok(begin.elapsed())
        })
    }))
    .await
    .into_iter()
    .map(|answered| answered?)
    .collect::<Result<Vec<Duration>>>()?;
    answered.sort_unstable();
    let p99 = answered[(answered.len() * 99).div_ceil(100) - 1];
    let last = answered[answered.len() - 1];
    println!("{} {}", p99.as_micros(), last.as_micros());
    Ok(())
}

async fn ask(mut stream: TcpStream, user: usize) -> Result<()> {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nx-user: herd-{user}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the connection was closed".into());
        }
        if let Some(complete) = complete(&answer) {
            return complete;
        }
    }
}

/// Whether the answer is there to its end, and a 200.
fn complete(answer: &[u8]) -> Option<Result<()>> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() >= length).then(|| match head.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(format!("{head}\n{body}").into()),
    })
}

const PATIENCE: Duration = Duration::from_secs(20);
