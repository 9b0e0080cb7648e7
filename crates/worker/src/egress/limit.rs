//! How much may be under way at once to one address.
//!
//! A worker looks at what it is told to look at; without a limit, whoever may make checks could have
//! it flood a host. Counted are connections and sockets for datagrams, by the address their packets
//! go to, whatever the port: it is the host that is spared. What comes beyond waits for its turn, in
//! the order in which it came, for as long as its own deadline lets it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use pulse_core::models::address::destination;
use tokio::sync::oneshot;

/// Threads that come at the same moment seldom come to the same shard.
const SHARDS: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Limit {
    most: usize,
    waits: IntCounter,
    shards: [Mutex<HashMap<IpAddr, Crowd>>; SHARDS],
}

/// Who is at one address. It is forgotten with the last who leaves.
#[derive(Debug, Default)]
struct Crowd {
    under_way: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl Limit {
    /// At most so many at once, and one of them at least; `waits` counts those that had to wait.
    pub(super) fn new(most: usize, waits: IntCounter) -> Self {
        Self { most: most.max(1), waits, shards: Default::default() }
    }

    /// A place at `address`, at once or in its turn. While it waits, `waiting` knows.
    pub(super) async fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        waiting: &Waiting,
    ) -> OwnedAdmission {
        let address = destination(address);
        if let Some(mut turn) = self.enter(address) {
            self.waits.inc();
            waiting.0.fetch_add(1, Ordering::Relaxed);
            // Whoever hands over is gone only when everything is.
            let _came = (&mut turn.came).await;
            waiting.0.fetch_sub(1, Ordering::Relaxed);
        }
        OwnedAdmission { limit: Arc::clone(self), address }
    }

    /// Takes a place, or queues for one.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let mut shard = self.shard(address);
        let crowd = shard.entry(address).or_default();
        if crowd.under_way < self.most {
            crowd.under_way += 1;
            return None;
        }
        let (hand_over, came) = oneshot::channel();
        crowd.waiting.push_back(hand_over);
        Some(Turn { limit: Arc::clone(self), address, came })
    }

    /// Hands a place on to who has waited longest, or gives it up.
    fn leave(&self, address: IpAddr) {
        let mut shard = self.shard(address);
        let Entry::Occupied(mut entry) = shard.entry(address) else {
            return;
        };
        let crowd = entry.get_mut();
        while let Some(next) = crowd.waiting.pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
        crowd.under_way -= 1;
        if crowd.under_way == 0 {
            entry.remove();
        }
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, Crowd>> {
        let mixed = match address {
            IpAddr::V4(v4) => mix(&v4.octets()),
            IpAddr::V6(v6) => mix(&v6.octets()),
        };
        self.shards[mixed % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mix(octets: &[u8]) -> usize {
    octets.iter().fold(0, |mixed: usize, byte| mixed.wrapping_mul(31).wrapping_add((*byte).into()))
}

/// A turn that is waited for. Whoever stops waiting has no place, and keeps none from others.
struct Turn {
    limit: Arc<Limit>,
    address: IpAddr,
    came: oneshot::Receiver<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.came.close();
        if self.came.try_recv().is_ok() {
            // It came, and nobody took it.
            return self.limit.leave(self.address);
        }
        if let Some(crowd) = self.limit.shard(self.address).get_mut(&self.address) {
            crowd.waiting.retain(|other| !other.is_closed());
        }
    }
}

/// A place at an address, given back when it is dropped.
#[derive(Debug)]
pub(super) struct OwnedAdmission {
    limit: Arc<Limit>,
    address: IpAddr,
}

impl Drop for OwnedAdmission {
    fn drop(&mut self) {
        self.limit.leave(self.address);
    }
}

/// Leave to be at an address, for as long as it is kept. Without a limit there is always leave.
#[derive(Debug)]
pub struct Admission {
    _place: Option<OwnedAdmission>,
}

/// Leave to be at `address`, at once or in its turn, of which `waiting` knows.
pub(super) async fn admit(
    limit: Option<&Arc<Limit>>,
    address: IpAddr,
    waiting: &Waiting,
) -> Admission {
    let place = match limit {
        Some(limit) => Some(limit.admit(address, waiting).await),
        None => None,
    };
    Admission { _place: place }
}

/// How many attempts of one run wait for their turn at an address.
#[derive(Debug, Default)]
pub struct Waiting(AtomicUsize);

impl Waiting {
    /// Whether any does, or did when the run was cut off.
    pub fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn limit(most: usize) -> Arc<Limit> {
        Arc::new(Limit::new(most, IntCounter::new("waits", "Waits.").unwrap()))
    }

    /// What is had without waiting.
    fn at_once(limit: &Arc<Limit>, address: IpAddr) -> Option<OwnedAdmission> {
        limit.admit(address, &Waiting::default()).now_or_never()
    }

    fn is_empty(limit: &Limit) -> bool {
        limit.shards.iter().all(|shard| shard.lock().unwrap().is_empty())
    }

    #[test]
    fn so_many_are_let_in_and_nothing_is_kept_of_those_who_left() {
        let limit = limit(2);

        let both = [at_once(&limit, HOST).unwrap(), at_once(&limit, HOST).unwrap()];
        assert!(at_once(&limit, HOST).is_none());
        let [first, second] = both;
        drop(first);
        let third = at_once(&limit, HOST).unwrap();

        drop((second, third));
        assert!(is_empty(&limit));
    }

    #[test]
    fn an_address_is_full_in_either_form_and_no_other_is() {
        let limit = limit(1);

        let _one = at_once(&limit, HOST).unwrap();

        assert!(at_once(&limit, "::ffff:192.0.2.1".parse().unwrap()).is_none());
        assert!(at_once(&limit, "64:ff9b::192.0.2.1".parse().unwrap()).is_none());
        assert!(at_once(&limit, "192.0.2.2".parse().unwrap()).is_some());
        assert!(at_once(&limit, "2001:db8::1".parse().unwrap()).is_some());
    }

    #[tokio::test]
    async fn turns_come_in_order_and_are_told_of_while_they_are_waited_for() {
        let limit = limit(1);
        let first = at_once(&limit, HOST).unwrap();
        let (one, two) = (Waiting::default(), Waiting::default());
        let mut second = Box::pin(limit.admit(HOST, &one));
        let mut third = Box::pin(limit.admit(HOST, &two));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!(one.is_any() && two.is_any());

        drop(first);

        assert!((&mut third).now_or_never().is_none());
        let second = timeout(Duration::from_secs(5), second).await.unwrap();
        assert!(!one.is_any() && two.is_any());
        drop(second);
        timeout(Duration::from_secs(5), third).await.unwrap();
        assert!(is_empty(&limit));
        assert_eq!(limit.waits.get(), 2);
    }

    #[test]
    fn who_stops_waiting_holds_nobody_up() {
        let limit = limit(1);
        let first = at_once(&limit, HOST).unwrap();
        let waiting = Waiting::default();
        let mut before_its_turn = Box::pin(limit.admit(HOST, &waiting));
        let mut after_its_turn = Box::pin(limit.admit(HOST, &waiting));
        assert!((&mut before_its_turn).now_or_never().is_none());
        assert!((&mut after_its_turn).now_or_never().is_none());

        drop(before_its_turn);
        drop(first);
        drop(after_its_turn);

        assert!(waiting.is_any(), "what was cut off is still known to have waited");
        assert!(is_empty(&limit));
        assert!(at_once(&limit, HOST).is_some());
    }
}
