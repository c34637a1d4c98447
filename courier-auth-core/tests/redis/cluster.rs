//! Three masters with a replica each.

use crate::{
    control::eventually,
    server::{Kind, Server, free_port},
};

/// The first three nodes are the masters, the other three their replicas, in this order.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) async fn start(kind: Kind) -> Self {
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..2 * MASTERS {
            let bus = free_port().to_string();
            let settings = [
                ["--cluster-enabled", "yes"],
                ["--cluster-port", &bus],
                ["--cluster-node-timeout", "1000"],
                ["--repl-diskless-sync-delay", "0"],
            ];
            nodes.push(Server::start(kind, settings.as_flattened()).await);
            buses.push(bus);
        }
        let cluster = Self { nodes };
        cluster.join(&buses).await;
        cluster
    }

    async fn join(&self, buses: &[String]) {
        let share = SLOTS.div_ceil(MASTERS);
        for (number, master) in self.masters().iter().enumerate() {
            let first = number * share;
            let last = (first + share).min(SLOTS) - 1;
            let (first, last) = (first.to_string(), last.to_string());
            let _ok: String = master
                .ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await;
            let epoch = (number + 1).to_string();
            let _ok: String = master.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
        }
        for (node, bus) in self.nodes.iter().zip(buses).skip(1) {
            let port = node.port().to_string();
            let _ok: String = self.nodes[0]
                .ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
                .await;
        }
        for node in &self.nodes {
            let known = format!("cluster_known_nodes:{}", 2 * MASTERS);
            cluster_says(node, &known).await;
        }
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let id: String = master.ask(&["CLUSTER", "MYID"]).await;
            let _ok: String = replica.ask(&["CLUSTER", "REPLICATE", &id]).await;
        }
        for replica in &self.nodes[MASTERS..] {
            replica.wait_for("master_link_status:up").await;
        }
        for node in &self.nodes {
            cluster_says(node, "cluster_state:ok").await;
        }
    }

    pub(crate) fn masters(&self) -> &[Server] {
        &self.nodes[..MASTERS]
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// All keys, with the number of the master that holds each.
    pub(crate) async fn keys(&self) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        for (number, master) in self.masters().iter().enumerate() {
            for key in master.keys().await {
                all.push((number, key));
            }
        }
        all
    }

    /// Begins to move a slot: its keys are at the new master, and the old one says `ASK`.
    pub(crate) async fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let slot = slot.to_string();
        let source_id: String = source.ask(&["CLUSTER", "MYID"]).await;
        let target_id: String = target.ask(&["CLUSTER", "MYID"]).await;
        let _ok: String = target
            .ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id])
            .await;
        let _ok: String = source
            .ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id])
            .await;
        let keys: Vec<String> = source
            .ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"])
            .await;
        let port = target.port().to_string();
        for key in keys {
            let _ok: String = source
                .ask(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"])
                .await;
        }
    }

    /// Ends the move: from now on the old master says `MOVED`.
    pub(crate) async fn end_move(&self, slot: u16, from: usize, to: usize) {
        let target_id: String = self.nodes[to].ask(&["CLUSTER", "MYID"]).await;
        let slot = slot.to_string();
        for node in [to, from] {
            let _ok: String = self.nodes[node]
                .ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id])
                .await;
        }
    }

    /// Waits until the replica of this master has taken its place.
    pub(crate) async fn wait_for_failover(&self, master: usize) {
        let replica = &self.nodes[MASTERS + master];
        replica.wait_for("role:master").await;
        for (number, node) in self.nodes.iter().enumerate() {
            if number != master {
                cluster_says(node, "cluster_state:ok").await;
            }
        }
    }
}

async fn cluster_says(node: &Server, line: &str) {
    eventually(async || {
        let info: String = node.ask(&["CLUSTER", "INFO"]).await;
        info.lines().any(|found| found == line)
    })
    .await;
}

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
