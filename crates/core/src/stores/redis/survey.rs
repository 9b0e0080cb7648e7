//! What an operator should know of Redis.

use std::time::Instant;

use async_trait::async_trait;
use chrono::Utc;

use super::{Redis, error};
use crate::models::schedule::Slot;
use crate::ports::StoreResult;
use crate::ports::survey::{Finding, Survey};
use crate::runtime::telemetry::chain;

/// The oldest major version that is supported, of Redis and of Valkey alike.
const OLDEST: u32 = 7;

#[async_trait]
impl Survey for Redis {
    async fn survey(&self) -> Vec<Finding> {
        self.look().await.unwrap_or_else(|error| {
            let mend = "start Redis or Valkey, or set REDIS_URL to where it is";
            vec![Finding::ill(format!("Redis cannot be used: {}", chain(&error)), mend)]
        })
    }
}

impl Redis {
    async fn look(&self) -> StoreResult<Vec<Finding>> {
        let mut connection = self.connections.to_a_node().await.map_err(error)?;
        let asked = Instant::now();
        let (seconds, us): (i64, i64) =
            redis::cmd("TIME").query_async(&mut connection).await.map_err(error)?;
        let took = asked.elapsed();
        let host =
            Slot::from(Utc::now()).0 - i64::try_from(took.as_millis() / 2).unwrap_or_default();
        let info: String = redis::cmd("INFO").query_async(&mut connection).await.map_err(error)?;
        let mut findings = vec![
            version(&info, took.as_secs_f64() * 1000.0),
            Finding::clock("Redis", seconds * 1000 + us / 1000 - host),
            eviction(&info),
        ];
        if field(&info, "cluster_enabled") == Some("1") {
            let mut ask = redis::cmd("CLUSTER");
            let about: String =
                ask.arg("INFO").query_async(&mut connection).await.map_err(error)?;
            findings.push(cluster(&about, self.options.cluster));
        } else if self.options.cluster {
            findings.push(no_cluster());
        }
        Ok(findings)
    }
}

fn version(info: &str, ms: f64) -> Finding {
    let (name, version) = match field(info, "valkey_version") {
        Some(version) => ("Valkey", version),
        None => ("Redis", field(info, "redis_version").unwrap_or("of an unknown version")),
    };
    let says = format!("{name} {version} answers within {ms:.1} ms");
    let major: u32 = version.split('.').next().and_then(|it| it.parse().ok()).unwrap_or_default();
    if major >= OLDEST {
        Finding::well(says)
    } else {
        Finding::ill(says, format!("move to Redis or Valkey {OLDEST} or newer"))
    }
}

/// A queue must not be thinned out to make room.
fn eviction(info: &str) -> Finding {
    match field(info, "maxmemory_policy") {
        Some("noeviction") | None => Finding::well("it never drops keys to make room"),
        Some(policy) => Finding::ill(
            format!("it drops keys when memory is short (maxmemory-policy {policy})"),
            "set maxmemory-policy to noeviction",
        ),
    }
}

/// `about` is what a node says of its cluster; `is_followed` whether Pulse goes where nodes send it.
fn cluster(about: &str, is_followed: bool) -> Finding {
    let number = |name| field(about, name).and_then(|it| it.parse().ok()).unwrap_or(0_u32);
    let (primaries, served) = (number("cluster_size"), number("cluster_slots_ok"));
    if field(about, "cluster_state") != Some("ok") {
        return Finding::ill(
            format!("the cluster serves {served} of 16384 hash slots, and takes no commands"),
            "bring back the nodes that are gone, or give their slots to others",
        );
    }
    match (primaries, is_followed) {
        (0 | 1, _) => Finding::well("it is a cluster of one primary"),
        (_, true) => Finding::well(format!("it is a cluster of {primaries} primaries")),
        (_, false) => Finding::ill(
            format!("it is a cluster of {primaries} primaries, and only one of them is asked"),
            "set REDIS_CLUSTER=true on every server and worker",
        ),
    }
}

fn no_cluster() -> Finding {
    Finding::ill(
        "REDIS_CLUSTER is true, and this server is no node of a cluster",
        "leave REDIS_CLUSTER out, or set REDIS_URL to nodes of the cluster",
    )
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::survey::Standing;

    #[test]
    fn versions_and_policies_are_told() {
        let standing = |info: &str| (version(info, 0.1).standing, eviction(info).standing);

        assert_eq!(
            standing("redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n"),
            (Standing::Well, Standing::Well)
        );
        assert_eq!(
            standing("redis_version:6.2.1\r\nmaxmemory_policy:allkeys-lru\r\n"),
            (Standing::Ill, Standing::Ill)
        );
        assert_eq!(
            version("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n", 1.0).says,
            "Valkey 8.1.0 answers within 1.0 ms"
        );
    }

    #[test]
    fn a_cluster_of_several_primaries_must_be_followed() {
        let about = |state: &str, size: u32, ok: u32| {
            format!("cluster_state:{state}\r\ncluster_slots_ok:{ok}\r\ncluster_size:{size}\r\n")
        };
        let standing = |state: &str, size: u32, followed: bool| {
            cluster(&about(state, size, 16_384), followed).standing
        };

        assert_eq!(standing("ok", 1, false), Standing::Well);
        assert_eq!(standing("ok", 1, true), Standing::Well);
        assert_eq!(standing("ok", 3, true), Standing::Well);
        assert_eq!(standing("ok", 3, false), Standing::Ill);
        assert_eq!(standing("fail", 3, true), Standing::Ill);
        assert_eq!(
            cluster(&about("fail", 2, 10_923), true).says,
            "the cluster serves 10923 of 16384 hash slots, and takes no commands"
        );
    }
}
