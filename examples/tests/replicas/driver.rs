//! Users who come again and again, each time to another replica, as a load balancer sends them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use courier_auth_core::emulator::Emulator;
use futures_util::{StreamExt, stream};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{AUTHORIZATION, COOKIE, HeaderName, SET_COOKIE},
};
use serde_json::Value;

use crate::server::LIMIT;

pub(crate) struct Driver {
    pub(crate) users: Vec<User>,
    balancer: Balancer,
}

impl Driver {
    pub(crate) fn new(courier: Emulator, replicas: Vec<String>, users: usize) -> Self {
        let user = |number| User {
            id: format!("user-{number}"),
            sessions: replicas.iter().map(|_| None).collect(),
            visits: number,
            tokens: Vec::new(),
        };
        Self {
            users: (0..users).map(user).collect(),
            balancer: Balancer {
                courier,
                replicas,
                client: Client::builder().no_proxy().timeout(LIMIT).build().unwrap(),
                answers: AtomicUsize::new(0),
                retries: AtomicUsize::new(0),
            },
        }
    }

    /// Each user comes as often as there are replicas, with a moment between.
    pub(crate) async fn round(&mut self) {
        let balancer = &self.balancer;
        for some in self.users.chunks_mut(TOGETHER) {
            for _ in &balancer.replicas {
                stream::iter(&mut *some)
                    .for_each_concurrent(AT_ONCE, |user| user.visit(balancer))
                    .await;
            }
        }
    }

    /// Rounds until each user has had to get a new token since now.
    pub(crate) async fn period(&mut self) {
        let start = now();
        while !self.users.iter().all(|user| user.refreshed_since(start)) {
            self.round().await;
        }
    }

    /// Rounds for so many seconds.
    pub(crate) async fn rounds_for(&mut self, seconds: i64) {
        let end = now() + seconds;
        while now() < end {
            self.round().await;
        }
    }

    pub(crate) fn answers(&self) -> usize {
        self.balancer.answers.load(Ordering::Relaxed)
    }

    /// Requests that found a replica gone and went to the next one.
    pub(crate) fn retries(&self) -> usize {
        self.balancer.retries.load(Ordering::Relaxed)
    }
}

pub(crate) struct User {
    id: String,
    /// Of the app's own, at each replica.
    sessions: Vec<Option<(HeaderName, String)>>,
    visits: usize,
    /// All tokens that were ever seen, and when they were issued.
    tokens: Vec<(String, i64)>,
}

impl User {
    /// Gets a token, from the next replica that is there, and checks whose it is.
    async fn visit(&mut self, balancer: &Balancer) {
        let answer: Value = loop {
            self.visits += 1;
            if let Ok(response) = self.ask(balancer).await {
                assert_eq!(response.status(), 200, "{}: {response:?}", self.id);
                break response.json().await.unwrap();
            }
            balancer.retries.fetch_add(1, Ordering::Relaxed);
            assert!(self.visits < MAX_VISITS, "no replica is there");
        };
        balancer.answers.fetch_add(1, Ordering::Relaxed);
        assert_eq!(answer["user_id"], *self.id);
        let token = answer["token"].as_str().unwrap();
        if !self.tokens.iter().any(|(seen, _)| seen == token) {
            let claims = balancer.courier.verify(token).unwrap();
            assert_eq!(claims.user_ids().collect::<Vec<_>>(), [&self.id]);
            self.tokens.push((token.to_owned(), claims.iat));
        }
    }

    /// An error is one of the connection: the replica is gone.
    async fn ask(&mut self, balancer: &Balancer) -> reqwest::Result<Response> {
        let replica = self.visits % balancer.replicas.len();
        let url = &balancer.replicas[replica];
        let session = &mut self.sessions[replica];
        let ask = |session: &Option<(HeaderName, String)>| {
            let request = balancer.client.get(format!("{url}/courier/token"));
            with(request, session).send()
        };
        let response = ask(session).await?;
        if response.status() != 401 {
            return Ok(response);
        }
        // New here, or a demo that restarted: its sessions are in its memory.
        *session = Some(sign_in(&balancer.client, url, &self.id).await?);
        ask(session).await
    }

    fn refreshed_since(&self, start: i64) -> bool {
        self.tokens.iter().any(|(_, issued)| *issued > start)
    }
}

struct Balancer {
    courier: Emulator,
    replicas: Vec<String>,
    client: Client,
    answers: AtomicUsize,
    retries: AtomicUsize,
}

async fn sign_in(client: &Client, url: &str, user: &str) -> reqwest::Result<(HeaderName, String)> {
    let request = client
        .post(format!("{url}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("user={user}"));
    let response = request.send().await?;
    assert!(response.status().is_success(), "{response:?}");
    if let Some(cookie) = response.headers().get(SET_COOKIE) {
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
        return Ok((COOKIE, cookie.to_owned()));
    }
    let body: Value = response.json().await?;
    let bearer = body["access_token"].as_str().unwrap();
    Ok((AUTHORIZATION, format!("Bearer {bearer}")))
}

fn with(request: RequestBuilder, session: &Option<(HeaderName, String)>) -> RequestBuilder {
    match session {
        Some((name, value)) => request.header(name, value),
        None => request,
    }
}

/// In Unix seconds.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().try_into().unwrap()
}

/// Short, so that periods pass while one watches.
pub(crate) const LIFETIME: Duration = Duration::from_secs(20);
/// Few: two cores carry the servers, this, and Courier's emulator, and a read of Redis that takes
/// 50 ms because they are busy counts as one that failed.
const AT_ONCE: usize = 8;
/// Who come one after the other before the first comes to the next replica.
const TOGETHER: usize = 200;
const MAX_VISITS: usize = 1_000_000;
