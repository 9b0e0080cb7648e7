//! For tests: real stores of one's own, a clock that moves when told, fixtures that speak, and the
//! contract every adapter of a port must keep.

mod clock;
pub mod contracts;
mod fixtures;
mod redis_cluster;
mod script_watch;
mod servers;

use std::time::{Duration, Instant};

pub use clock::ManualClock;
pub use fixtures::{CheckBuilder, ResultBuilder, a_check, a_result};
pub use redis_cluster::{RedisCluster, connect_to_redis};
pub use script_watch::{ScriptWatch, Watched};
pub use servers::{Profile, TestStores, scaled, stores, stores_on};

/// Waits until `look` finds something, looking every few milliseconds; a minute at most.
///
/// # Panics
/// When it does not come.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited a minute in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
