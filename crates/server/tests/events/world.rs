//! Servers with nothing but live events to do, and a publisher that tells them what happens.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use pulse_core::metrics::Metrics;
use pulse_core::models::check::{Check, Status};
use pulse_core::models::event::{Event, What};
use pulse_core::models::ids::CheckId;
use pulse_core::ports::clock::Clock;
use pulse_core::runtime::events::Publisher;
use pulse_core::runtime::loops::Loops;
use pulse_core::runtime::lost_pings::LostPings;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::Stores;
use pulse_core::testing::{CheckBuilder, Profile, TestStores, stores_on};
use pulse_server::api::{Api, router};
use pulse_server::door;
use pulse_server::live::{Live, LiveOptions};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Enough for anything here, and short enough to be waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub t: TestStores,
    pub servers: Vec<Server>,
    publishing: JoinHandle<()>,
}

pub struct Server {
    pub address: SocketAddr,
    pub metrics: Metrics,
    pub stop: CancellationToken,
    pub served: JoinHandle<()>,
}

impl World {
    /// One server that has everything in its process.
    pub async fn alone() -> Self {
        Self::with(LiveOptions::default()).await
    }

    pub async fn with(options: LiveOptions) -> Self {
        let t = stores_on(Profile::Embedded).await;
        let server = Server::start(&t.stores, options);
        Self::of(t, vec![server])
    }

    /// Two servers that know of each other through Redis alone, and a publisher apart from both.
    pub async fn of_two() -> Self {
        let t = stores_on(Profile::Scaled).await;
        let mut servers = Vec::new();
        for name in ["one", "other"] {
            let stores = Stores::connect(&t.config, name).await.unwrap();
            servers.push(Server::start(&stores, LiveOptions::default()));
        }
        Self::of(t, servers)
    }

    fn of(t: TestStores, servers: Vec<Server>) -> Self {
        let publisher = Publisher::new(&t.stores, "a publisher", Metrics::new());
        let publishing = tokio::spawn(async move {
            loop {
                publisher.round().await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { t, servers, publishing }
    }

    pub fn address(&self) -> SocketAddr {
        self.servers[0].address
    }

    pub async fn a_check(&self, check: CheckBuilder) -> Check {
        let check = check.build();
        self.t.stores.checks.create(check.clone(), None, self.t.clock.now()).await.unwrap();
        check
    }

    /// Says that a check went from `pending` to `to`, as whoever commits does.
    pub fn happens(&self, check: &Check, to: Status) {
        self.happen(vec![an_event(check.id, to)]);
    }

    pub fn happen(&self, events: Vec<Event>) {
        self.t.stores.event_queue.push(events, Vec::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.publishing.abort();
        for server in &self.servers {
            server.stop.cancel();
        }
    }
}

pub fn an_event(check: CheckId, to: Status) -> Event {
    Event {
        project: pulse_core::models::ids::ProjectId::DEFAULT,
        check,
        at: pulse_core::models::schedule::Slot(1_790_000_000_000),
        what: What::StatusChanged { from: Status::Pending, to },
    }
}

impl Server {
    pub fn start(stores: &Stores, options: LiveOptions) -> Self {
        let metrics = Metrics::new();
        let live = Live::new(stores.events.clone(), options, metrics.clone());
        let api = Api {
            checks: stores.checks.clone(),
            heartbeats: stores.heartbeats.clone(),
            secrets: stores.secrets.clone(),
            settings: stores.settings.clone(),
            secret_keys: SecretKeys::default(),
            incidents: stores.incidents.clone(),
            labels: stores.labels.clone(),
            alerts: stores.alerts.clone(),
            changes: stores.changes.clone(),
            history: stores.history.clone(),
            clock: stores.clock.clone(),
            dispatch: stores.dispatch.clone(),
            dry_runs: stores.dry_runs.clone(),
            state: stores.state_ping.clone(),
            metrics: metrics.clone(),
            lost_pings: LostPings::default(),
            live: live.clone(),
        };
        let stop = CancellationToken::new();
        let (reader, loops, stopped) = (live.clone(), Loops::default(), stop.clone());
        tokio::spawn(async move { reader.run(&loops, &stopped).await });
        // Little room on the way, so that what is not taken is noticed soon.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let app = router(api, Router::new());
        let serving = door::serve(listener, app, live, TaskTracker::new(), stop.clone());
        let served = tokio::spawn(serving);
        Self { address, metrics, stop, served }
    }

    #[expect(clippy::cast_possible_truncation, reason = "tests count little")]
    pub fn counted(&self, sample: &str) -> i64 {
        let samples = self.metrics.samples();
        samples.get(sample).and_then(serde_json::Value::as_f64).unwrap_or_default() as i64
    }
}
