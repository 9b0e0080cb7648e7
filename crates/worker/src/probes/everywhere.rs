//! A look at every address of a host, each by itself, all at the same time.
//!
//! The name is resolved once, behind the same guard as ever; then each address has a look of its own
//! that goes there. All of them share the run's deadline. Which of them speaks for all, `judge` says.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;
use url::Host;

use super::trace::Trace;
use super::{Prepared, Probes, Sight, failures};
use crate::egress::Egress;
use crate::judge;

pub(super) async fn look(
    probes: &Probes,
    (egress, way): (&Egress, &Egress),
    (target, host): (&Prepared, &Host<String>),
    trace: Trace,
) -> Sight {
    let addresses = match timeout(trace.left(), way.resolve_all(host, trace.waiting())).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Sight::of(trace, Err(failures::resolve(&error))),
        Err(_late) => return Sight::cut_off(trace),
    };
    let mut looks: FuturesUnordered<_> = addresses
        .one_by_one()
        .enumerate()
        .map(|(number, address)| {
            let (way, mut trace) = (way.pinned(host, address), trace.fork());
            async move {
                let ended = probes.look_along((egress, &way), target, &mut trace).await;
                (number, Sight::of(trace, ended))
            }
        })
        .collect();
    let mut sights: Vec<_> = addresses.as_slice().iter().map(|address| (*address, None)).collect();
    while let Some((number, sight)) = looks.next().await {
        let is_enough = judge::is_enough(&sight, target.expectations());
        sights[number].1 = Some(sight);
        if is_enough {
            break;
        }
    }
    judge::speaking_for_all(sights, target.expectations()).unwrap_or_else(|| Sight::cut_off(trace))
}
