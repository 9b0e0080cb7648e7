//! Secrets: kept sealed, told by name alone, sent along with the definitions that refer to them, and
//! never changed behind a check's back.

use serde_json::json;

use super::{PROJECT, SECOND, page};
use crate::models::check::Check;
use crate::models::job::VersionedSpec;
use crate::models::secret::SecretName;
use crate::ports::Page;
use crate::ports::clock::Clock;
use crate::ports::secrets::{Removal, SealedSecret};
use crate::testing::{CheckBuilder, TestStores, a_check};

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

/// As a key of these bytes would have sealed it.
fn sealed(secret: &str, key: u8, value: &str) -> SealedSecret {
    let sealed = [&[1, key, key, key, key][..], value.as_bytes()].concat();
    SealedSecret { project: PROJECT, name: name(secret), sealed }
}

fn sending(secret: &str) -> CheckBuilder {
    a_check().with("headers", json!({ "x-key": format!("key {{{{secret.{secret}}}}}") }))
}

impl TestStores {
    async fn put(&self, secret: &SealedSecret) -> bool {
        self.stores.secrets.put(secret, self.clock.now()).await.unwrap()
    }

    async fn version(&self, check: &Check) -> i32 {
        self.stores.checks.get(PROJECT, check.id).await.unwrap().unwrap().check.version
    }

    /// What a scheduler hands out for the job of this check that is due.
    async fn definition(&self, check: &Check) -> (i32, VersionedSpec) {
        let now = self.clock.advance(120 * SECOND);
        let mut claim = self.stores.schedule.claim_due(now.into(), 10).await.unwrap();
        let version = claim.jobs().iter().find(|job| job.check_id == check.id).unwrap().version;
        let spec = claim.specs(&[check.id]).await.unwrap().remove(0);
        claim.commit().await.unwrap();
        (version, spec)
    }

    async fn remove_secret(&self, secret: &str) -> Removal {
        self.stores.secrets.remove(PROJECT, &name(secret), 2).await.unwrap()
    }
}

pub async fn a_secret_is_told_by_its_name_and_its_dates(t: TestStores) {
    let put_at = t.clock.now();
    assert!(t.put(&sealed("b", 1, "1")).await, "new");
    assert!(t.put(&sealed("A", 1, "2")).await, "new");
    let again_at = t.clock.advance(SECOND);
    assert!(!t.put(&sealed("b", 1, "3")).await, "over another value");

    let all = t.stores.secrets.list(PROJECT, page(10)).await.unwrap();
    let after = Page { after: Some(name("A")), ..page(10) };
    let rest = t.stores.secrets.list(PROJECT, after).await.unwrap();
    let got = t.stores.secrets.get(PROJECT, &[name("b"), name("c")]).await.unwrap();

    let told: Vec<_> =
        all.iter().map(|it| (it.name.as_str(), it.created_at, it.updated_at)).collect();
    assert_eq!(
        told,
        [("A", put_at.time(), put_at.time()), ("b", put_at.time(), again_at.time())],
        "in the order of their bytes"
    );
    assert_eq!(rest, all[1..]);
    assert!(got == [sealed("b", 1, "3")]);
}

pub async fn a_definition_leaves_with_the_secrets_it_refers_to_and_no_other(t: TestStores) {
    t.put(&sealed("a", 1, "1")).await;
    t.put(&sealed("b", 1, "2")).await;
    let check = t.add(sending("a")).await;
    let lacking = t.add(sending("c")).await;
    let plain = t.add(a_check()).await;

    let (_, spec) = t.definition(&check).await;
    let (_, lacks) = t.definition(&lacking).await;
    let (_, bare) = t.definition(&plain).await;

    let sent = spec.spec.sealed.clone().unwrap();
    assert_eq!(sent.project, PROJECT);
    assert_eq!(sent.get(&name("a")), Some(sealed("a", 1, "1").sealed));
    assert_eq!(sent.values.len(), 1);
    assert_eq!(lacks.spec.sealed.as_ref().unwrap().values.len(), 0);
    assert_eq!(bare.spec.sealed, None);
}

pub async fn definitions_that_leave_together_share_no_secrets(t: TestStores) {
    t.put(&sealed("a", 1, "1")).await;
    t.put(&sealed("b", 1, "2")).await;
    let checks = [t.add(sending("a")).await.id, t.add(sending("b")).await.id];

    let now = t.clock.advance(120 * SECOND);
    let mut claim = t.stores.schedule.claim_due(now.into(), 10).await.unwrap();
    let specs = claim.specs(&checks).await.unwrap();

    assert_eq!(specs.len(), 2);
    for spec in specs {
        let sealed = spec.spec.sealed.clone().unwrap();
        let own = if spec.check_id == checks[0] { "a" } else { "b" };
        assert_eq!(sealed.values.keys().map(SecretName::as_str).collect::<Vec<_>>(), [own]);
    }
}

pub async fn another_value_is_another_version_of_the_checks_that_refer_to_it(t: TestStores) {
    t.put(&sealed("a", 1, "1")).await;
    t.put(&sealed("ab", 1, "1")).await;
    let (check, other) = (t.add(sending("a")).await, t.add(sending("ab")).await);

    t.put(&sealed("a", 1, "2")).await;
    let (version, spec) = t.definition(&check).await;

    assert_eq!((t.version(&check).await, version, spec.version), (2, 2, 2));
    let sent = spec.spec.sealed.clone().unwrap().get(&name("a"));
    assert_eq!(sent, Some(sealed("a", 1, "2").sealed));
    assert_eq!(t.version(&other).await, 1, "a name that begins like another is another");
}

pub async fn a_secret_in_use_is_not_removed(t: TestStores) {
    t.put(&sealed("a", 1, "1")).await;
    let checks = [t.add(sending("a")).await, t.add(sending("a")).await, t.add(sending("a")).await];

    let Removal::InUse(told) = t.remove_secret("a").await else { panic!("it is in use") };
    for check in &checks {
        t.stores.checks.delete(PROJECT, check.id, t.clock.now()).await.unwrap();
    }

    assert_eq!(told.iter().map(|it| it.id).collect::<Vec<_>>(), [checks[0].id, checks[1].id]);
    assert_eq!(told[0].name, checks[0].config.name);
    assert_eq!(t.remove_secret("a").await, Removal::Done, "deleted checks refer to nothing");
    assert_eq!(t.remove_secret("a").await, Removal::NotFound);
    assert_eq!(t.stores.secrets.list(PROJECT, page(10)).await.unwrap(), []);
}

pub async fn what_is_sealed_with_a_key_is_told_page_by_page(t: TestStores) {
    let all = ["B", "a", "b", "c"].map(|name| sealed(name, 1, "1"));
    for secret in &all {
        t.put(secret).await;
    }
    let secrets = &t.stores.secrets;

    let first = secrets.sealed_with(&[[1; 4]], None, 3).await.unwrap();
    let rest = secrets.sealed_with(&[[1; 4]], first.last(), 3).await.unwrap();

    assert!(first == all[..3]);
    assert!(rest == all[3..]);
    assert!(secrets.sealed_with(&[[1; 4]], rest.last(), 3).await.unwrap().is_empty());
}

pub async fn what_is_sealed_with_an_older_key_is_found_and_sealed_anew_once(t: TestStores) {
    let (old, new) = (sealed("a", 1, "1"), sealed("b", 2, "1"));
    t.put(&old).await;
    t.put(&new).await;
    let check = t.add(sending("a")).await;
    let secrets = &t.stores.secrets;
    let anew = sealed("a", 2, "1").sealed;

    let found = secrets.sealed_with(&[[1; 4], [3; 4]], None, 10).await.unwrap();
    let (one, two) = tokio::join!(secrets.reseal(&old, &anew), secrets.reseal(&old, &anew));

    assert!(found == [old]);
    assert_eq!([one.unwrap(), two.unwrap()].iter().filter(|done| **done).count(), 1);
    assert!(secrets.sealed_with(&[[1; 4]], None, 10).await.unwrap().is_empty());
    let (version, spec) = t.definition(&check).await;
    assert_eq!((version, spec.spec.sealed.clone().unwrap().get(&name("a"))), (2, Some(anew)));
}
