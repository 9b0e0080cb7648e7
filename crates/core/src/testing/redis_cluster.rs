//! A Redis Cluster of a test's own on this machine: primaries without replicas that share out the hash
//! slots, on ports from the kernel, in folders of their own, gone when dropped.
//!
//! One node is enough to refuse what spans hash slots; three also send a client on to each other.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::eventually;

const HASH_SLOTS: usize = 16_384;
const START: Duration = Duration::from_secs(20);
/// The library waits for half a second, which a server on a busy machine may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Somebody may take a port between the kernel's answer and the server's start.
const TRIES: usize = 5;

/// A connection for what a test itself asks of a server, and patient with its answers.
///
/// # Errors
/// When the server cannot be reached.
pub async fn connect_to_redis(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(Some(ANSWER));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// A cluster that serves all hash slots.
pub struct RedisCluster {
    nodes: Vec<Node>,
}

impl RedisCluster {
    /// Starts so many primaries, and waits until each knows of all. Takes some two seconds: so long a
    /// primary waits before it takes writes.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not come up.
    pub async fn start(primaries: usize) -> Self {
        let mut nodes = Vec::with_capacity(primaries);
        for _ in 0..primaries {
            nodes.push(Node::start().await);
        }
        let cluster = Self { nodes };
        cluster.share_out().await.expect("the nodes should take their hash slots");
        for node in &cluster.nodes {
            eventually("the cluster is whole", async || {
                node.knows(primaries).await.is_ok_and(|whole| whole).then_some(())
            })
            .await;
        }
        cluster
    }

    /// Where each node is: `redis://127.0.0.1:port`.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// Moves the hash slot of `key`, and what lies in it, to another node. The ports it left and went to.
    ///
    /// # Errors
    /// When a node refuses.
    ///
    /// # Panics
    /// When there is no other node.
    pub async fn move_slot_of(&self, key: &str) -> RedisResult<(u16, u16)> {
        let any = &mut self.nodes[0].connection().await?;
        let slot: usize = ask(any, &["CLUSTER", "KEYSLOT", key]).await?;
        let place = slot / self.share();
        let (from, to) = (&self.nodes[place], &self.nodes[(place + 1) % self.nodes.len()]);
        assert_ne!(from.port, to.port, "there is no other node");
        let (giver, taker) = (&mut from.connection().await?, &mut to.connection().await?);
        let giver_id: String = ask(giver, &["CLUSTER", "MYID"]).await?;
        let taker_id: String = ask(taker, &["CLUSTER", "MYID"]).await?;
        let slot = slot.to_string();
        let () = ask(taker, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver_id]).await?;
        let () = ask(giver, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker_id]).await?;
        let keys: Vec<String> = ask(giver, &["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).await?;
        for key in keys {
            let port = to.port.to_string();
            let () = ask(giver, &["MIGRATE", "127.0.0.1", &port, &key, "0", "2000"]).await?;
        }
        for node in [taker, giver] {
            let () = ask(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &taker_id]).await?;
        }
        Ok((from.port, to.port))
    }

    /// Most slots of one node; each but the last has as many.
    fn share(&self) -> usize {
        HASH_SLOTS.div_ceil(self.nodes.len())
    }

    async fn share_out(&self) -> RedisResult<()> {
        let share = self.share();
        for (place, node) in self.nodes.iter().enumerate() {
            let first = place * share;
            let last = (first + share).min(HASH_SLOTS) - 1;
            let mut connection = node.connection().await?;
            let (first, last) = (first.to_string(), last.to_string());
            let () = ask(&mut connection, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
            // Primaries with one epoch would have to agree on others first.
            let epoch = (place + 1).to_string();
            let () = ask(&mut connection, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
            for other in &self.nodes[..place] {
                let (port, bus) = (other.port.to_string(), other.bus.to_string());
                let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
                let () = ask(&mut connection, &meet).await?;
            }
        }
        Ok(())
    }
}

async fn ask<T: FromRedisValue>(
    node: &mut MultiplexedConnection,
    words: &[&str],
) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query_async(node).await
}

struct Node {
    server: Child,
    port: u16,
    /// Where nodes speak with each other.
    bus: u16,
    _folder: TempDir,
}

impl Node {
    async fn start() -> Self {
        for _ in 0..TRIES {
            let mut node = Self::launch();
            if node.comes_up().await {
                return node;
            }
        }
        panic!("redis-server came up on none of {TRIES} ports");
    }

    fn launch() -> Self {
        let folder = TempDir::new().expect("a folder of the node's own");
        let [port, bus] = free_ports();
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no"])
            .args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()])
            .args(["--cluster-announce-ip", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("redis-server cannot be started ({error}): run `make setup`")
            });
        Self { server, port, bus, _folder: folder }
    }

    /// Whether it answers; not when it ended, because somebody else has its port.
    async fn comes_up(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < START {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return false;
            }
            if self.connection().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server did not answer within {START:?}");
    }

    /// Whether it serves, and knows of so many primaries that serve.
    async fn knows(&self, primaries: usize) -> RedisResult<bool> {
        let mut connection = self.connection().await?;
        let about: String = ask(&mut connection, &["CLUSTER", "INFO"]).await?;
        let says = |line: &str| about.lines().any(|it| it.trim() == line);
        Ok(says("cluster_state:ok")
            && says(&format!("cluster_known_nodes:{primaries}"))
            && says(&format!("cluster_size:{primaries}")))
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        connect_to_redis(&self.url()).await
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It keeps nothing, so there is nothing to end in order.
        let _gone = self.server.kill();
        let _gone = self.server.wait();
    }
}

/// Two that nobody listens on right now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("the port of a listener").port())
}
