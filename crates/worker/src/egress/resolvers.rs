//! Name servers that checks choose for themselves.
//!
//! Setting one up costs more than asking it, so each is kept while it is used, and remembers answers
//! for a minute at most, as for everybody else. Checks that name the same server share it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::names::{Names, ResolveError};

/// So many servers are kept; one that is named again later is set up anew.
const MOST: u64 = 64;
const IDLE: Duration = Duration::from_mins(10);

/// See the module.
pub(super) struct Resolvers(Cache<SocketAddr, Arc<Names>>);

impl Default for Resolvers {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build())
    }
}

impl Resolvers {
    /// What `server` knows. Whether it may be asked is the caller's to say.
    pub(super) fn at(&self, server: SocketAddr) -> Result<Arc<Names>, ResolveError> {
        let made = || Names::asking_alone(server).map(Arc::new);
        self.0.try_get_with(server, made).map_err(|error| ResolveError::CannotAsk((*error).clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_set_up_once_and_no_more_are_kept_than_may_be() {
        let resolvers = Resolvers::default();
        let at = |last: u16| SocketAddr::from(([192, 0, 2, 1], last));

        let (first, again) = (resolvers.at(at(53)).unwrap(), resolvers.at(at(53)).unwrap());
        for port in 1000..1500 {
            resolvers.at(at(port)).unwrap();
        }
        resolvers.0.run_pending_tasks();

        assert!(Arc::ptr_eq(&first, &again));
        assert!(resolvers.0.entry_count() <= MOST, "{}", resolvers.0.entry_count());
    }
}
