//! What the tests say to a server themselves.

use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{sleep, timeout},
};

use crate::server::{LIMIT, Server};

impl Server {
    /// Sends one command on a connection of its own.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = self.connect().await;
        self::ask(&mut connection, command).await
    }

    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).unwrap();
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        let connection = client.get_multiplexed_async_connection_with_config(&patient);
        connection.await.unwrap()
    }

    /// What it holds, sorted.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        keys.sort();
        keys
    }

    pub(crate) async fn value(&self, key: &str) -> Vec<u8> {
        self.ask(&["GET", key]).await
    }

    /// Waits until a line of `INFO` is there.
    pub(crate) async fn wait_for(&self, line: &str) {
        eventually(async || {
            let info: String = self.ask(&["INFO", "everything"]).await;
            info.lines().any(|found| found == line)
        })
        .await;
    }
}

pub(crate) async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &[&str],
) -> T {
    let (name, arguments) = command.split_first().unwrap();
    let mut command = ::redis::cmd(name);
    command.arg(arguments);
    command.query_async(connection).await.unwrap()
}

/// Waits until something is so.
pub(crate) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, wait).await.expect("it never came");
}

/// `redis-cli MONITOR`: the commands that a server carries out, as they come.
pub(crate) struct Monitor {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _write: OwnedWriteHalf,
    control: MultiplexedConnection,
    marks: usize,
}

impl Monitor {
    pub(crate) async fn of(server: &Server) -> Self {
        let control = server.connect().await;
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let (read, mut write) = stream.into_split();
        write.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(read).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "+OK");
        Self {
            lines,
            _write: write,
            control,
            marks: 0,
        }
    }

    /// What the caches under test have sent since the last time.
    pub(crate) async fn commands(&mut self) -> Vec<Vec<String>> {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        let _echo: String = ask(&mut self.control, &["ECHO", &mark]).await;
        let mut commands = Vec::new();
        loop {
            let line = timeout(LIMIT, self.lines.next_line()).await;
            let command = parse(&line.unwrap().unwrap().unwrap());
            if command.get(1) == Some(&mark) {
                return commands;
            }
            commands.push(command);
        }
    }
}

/// `+1700000000.1 [0 127.0.0.1:1] "GET" "key"`. What is not ASCII is escaped, quotes are too.
fn parse(line: &str) -> Vec<String> {
    let (_, command) = line.split_once("] ").unwrap();
    command
        .trim_matches('"')
        .split("\" \"")
        .map(str::to_owned)
        .collect()
}
