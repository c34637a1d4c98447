//! A cluster of three masters with a replica each.

use courier_auth_core::{RedisCache, TokenProvider, emulator::EmulatorServer};
use futures_util::future::join_all;
use tokio::time::{Duration, sleep};

use crate::{
    cluster::Cluster,
    control::eventually,
    for_each_server,
    replica::{counts, courier, finds, sharing, token, users},
    server::Kind,
};

for_each_server!(
    tokens_are_shared_on_a_cluster,
    slots_move_under_way,
    a_master_dies_and_its_replica_takes_over,
    a_master_hangs_and_its_replica_takes_over,
    a_cluster_that_is_away_is_endured,
);

async fn tokens_are_shared_on_a_cluster(kind: Kind) {
    let (courier, cluster) = (courier().await, Cluster::start(kind).await);
    let one = on(&courier, &cluster);
    let users = users("user", 60);
    all(&courier, &one, &users).await;
    eventually(async || cluster.keys().await.len() == users.len()).await;
    // Everywhere.
    for master in 0..3 {
        assert!(cluster.keys().await.iter().any(|(at, _)| *at == master));
    }
    let new = || on(&courier, &cluster);
    finds(&courier, new, &users).await;

    one.invalidate("user-0");
    eventually(async || cluster.keys().await.len() == users.len() + 1).await;
    token(&courier, &new(), "user-0").await;
    assert_eq!(courier.token_requests(), users.len() + 1);
}

async fn slots_move_under_way(kind: Kind) {
    let (courier, cluster) = (courier().await, Cluster::start(kind).await);
    let one = on(&courier, &cluster);
    let users = users("user", 60);
    all(&courier, &one, &users).await;
    eventually(async || cluster.keys().await.len() == users.len()).await;
    let before = on(&courier, &cluster);
    token(&courier, &before, "user-0").await;

    let mut moved = Vec::new();
    for (master, key) in cluster.keys().await {
        let slot: u16 = cluster.nodes[master]
            .ask(&["CLUSTER", "KEYSLOT", &key])
            .await;
        moved.push((slot, master, (master + 1) % 3));
        cluster.begin_move(slot, master, (master + 1) % 3).await;
    }
    // Many at once may find nothing: the client sends `ASKING` and the command apart, so that others
    // come between. Users get their tokens all the same, by a call to Courier each at most.
    all(&courier, &before, &users).await;
    assert!(courier.token_requests() <= 2 * users.len());
    // One after the other finds all.
    finds(&courier, || on(&courier, &cluster), &users).await;
    for (slot, from, to) in moved {
        cluster.end_move(slot, from, to).await;
    }
    finds(&courier, || on(&courier, &cluster), &users).await;
    let new = self::users("new", 60);
    all(&courier, &one, &new).await;
    eventually(async || cluster.keys().await.len() == 120).await;
    finds(&courier, || on(&courier, &cluster), &new).await;
}

async fn a_master_dies_and_its_replica_takes_over(kind: Kind) {
    let (courier, mut cluster) = (courier().await, Cluster::start(kind).await);
    let one = on(&courier, &cluster);
    all(&courier, &one, &users("before", 60)).await;
    eventually(async || cluster.keys().await.len() == 60).await;

    cluster.nodes[0].kill();
    all(&courier, &one, &users("during", 60)).await;
    assert_eq!(courier.token_requests(), 120);
    cluster.wait_for_failover(0).await;
    let mut round = 0;
    eventually(async || {
        round += 1;
        let users = users(&format!("after-{round}"), 12);
        all(&courier, &one, &users).await;
        sleep(Duration::from_millis(100)).await;
        let two = on(&courier, &cluster);
        all(&courier, &two, &users).await;
        counts(&two).hits == 12
    })
    .await;
    // Nor are those lost that were written before.
    finds(&courier, || on(&courier, &cluster), &users("before", 60)).await;
}

/// Nothing closed the connections to it, the other nodes went on answering, and so the client never
/// asked who stands in for it.
async fn a_master_hangs_and_its_replica_takes_over(kind: Kind) {
    let (courier, cluster) = (courier().await, Cluster::start(kind).await);
    let one = on(&courier, &cluster);
    all(&courier, &one, &users("before", 60)).await;
    cluster.nodes[0].freeze();
    cluster.wait_for_failover(0).await;
    let mut round = 0;
    eventually(async || {
        round += 1;
        let before = counts(&one);
        let users = users(&format!("after-{round}"), 40);
        let steadily = users.iter().zip(1..).map(async |(user, nth)| {
            sleep(Duration::from_millis(25) * nth).await;
            token(&courier, &one, user).await
        });
        join_all(steadily).await;
        let after = counts(&one);
        let looks = after.misses - before.misses;
        (looks, after.errors, after.bypassed) == (40, before.errors, before.bypassed)
    })
    .await;
    cluster.nodes[0].thaw();
}

async fn a_cluster_that_is_away_is_endured(kind: Kind) {
    let (courier, mut cluster) = (courier().await, Cluster::start(kind).await);
    let one = on(&courier, &cluster);
    token(&courier, &one, "first").await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    crate::faults::is_endured(&courier, &one).await;
    crate::faults::is_endured(&courier, &on(&courier, &cluster)).await;
}

fn on(courier: &EmulatorServer, cluster: &Cluster) -> TokenProvider {
    sharing(courier, RedisCache::cluster(cluster.urls()).unwrap())
}

async fn all(courier: &EmulatorServer, replica: &TokenProvider, users: &[String]) {
    // A few at a time: this is not about how many commands can be under way.
    for users in users.chunks(10) {
        join_all(users.iter().map(|user| token(courier, replica, user))).await;
    }
}
