//! Secrets get the newest key, whatever lies between them.

use pulse_core::models::ids::ProjectId;
use pulse_core::models::secret::SecretName;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::secrets::SealedSecret;
use pulse_core::runtime::loops::Pace;
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::testing::{Profile, stores_on};
use pulse_server::resealing::Resealing;

const OLD: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NEW: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
/// More than are looked at in one round.
const BROKEN: usize = 120;

#[tokio::test]
async fn secrets_that_cannot_be_opened_do_not_keep_others_from_the_newest_key() {
    let t = stores_on(Profile::Embedded).await;
    let old = SecretKeys::parse(OLD).unwrap();
    let both = SecretKeys::parse(&format!("{NEW},{OLD}")).unwrap();
    let sealed = |name: &str, is_broken: bool| {
        let name = SecretName::parse(name).unwrap();
        let mut sealed = old.seal(ProjectId::DEFAULT, &name, "value").unwrap();
        if is_broken {
            *sealed.last_mut().unwrap() ^= 1;
        }
        SealedSecret { project: ProjectId::DEFAULT, name, sealed }
    };
    let broken = (0..BROKEN).map(|number| sealed(&format!("A{number}"), true));
    for secret in broken.chain([sealed("Z", false)]) {
        t.stores.secrets.put(&secret, t.clock.now()).await.unwrap();
    }
    let resealing = Resealing::new(&t.stores, both.clone());
    assert!(resealing.is_needed());

    let mut rounds = 0;
    while resealing.round().await.unwrap() == Pace::Again {
        rounds += 1;
        assert!(rounds <= BROKEN, "it comes to an end");
    }

    let left = t.stores.secrets.sealed_with(&both.older(), None, 1_000).await.unwrap();
    assert_eq!(left.len(), BROKEN);
    assert!(left.iter().all(|secret| secret.name.as_str() != "Z"));
}
