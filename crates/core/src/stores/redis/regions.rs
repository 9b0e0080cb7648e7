//! Which regions have a queue. Asked and told once a second at most, not with every call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Connection, Redis, error};
use crate::models::ids::Region;
use crate::ports::StoreResult;

/// What is known is good for so long; after Redis was emptied it is told anew.
const GOOD_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Regions {
    told: Mutex<HashMap<Region, Instant>>,
    known: Mutex<Option<(Instant, Vec<Region>)>>,
}

impl Redis {
    /// Makes recorders look for results of this region.
    pub(super) async fn announce(
        &self,
        connection: &mut Connection,
        region: &Region,
    ) -> StoreResult<()> {
        let fresh = |at: &Instant| at.elapsed() < GOOD_FOR;
        let told = || self.regions.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told().get(region).is_some_and(fresh) {
            return Ok(());
        }
        let () = redis::cmd("SADD")
            .arg(self.shared_key("regions"))
            .arg(region.as_str())
            .query_async(connection)
            .await
            .map_err(error)?;
        told().insert(region.clone(), Instant::now());
        Ok(())
    }

    /// All regions that were announced.
    pub(super) async fn regions(&self, connection: &mut Connection) -> StoreResult<Vec<Region>> {
        let known = || self.regions.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, regions)) = &*known()
            && at.elapsed() < GOOD_FOR
        {
            return Ok(regions.clone());
        }
        let names: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.shared_key("regions"))
            .query_async(connection)
            .await
            .map_err(error)?;
        let regions: Vec<Region> = names.iter().filter_map(|name| Region::parse(name)).collect();
        if !regions.is_empty() {
            *known() = Some((Instant::now(), regions.clone()));
        }
        Ok(regions)
    }
}
