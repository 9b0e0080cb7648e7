//! What `pulse doctor` is told of the secrets in a state, whichever it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulse_core::models::ids::ProjectId;
use pulse_core::models::secret::SecretName;
use pulse_core::ports::clock::Clock;
use pulse_core::ports::secrets::SealedSecret;
use pulse_core::ports::survey::{Finding, Standing};
use pulse_core::runtime::sealing::SecretKeys;
use pulse_core::stores::survey::survey;
use pulse_core::testing::{Profile, TestStores, stores_on};

fn keys(byte: u8) -> SecretKeys {
    SecretKeys::parse(&STANDARD.encode([byte; 32])).unwrap()
}

async fn put(t: &TestStores, name: &str, keys: &SecretKeys) {
    let (project, name) = (ProjectId::DEFAULT, SecretName::parse(name).unwrap());
    let sealed = keys.seal(project, &name, "hush").unwrap();
    let secret = SealedSecret { project, name, sealed };
    t.stores.secrets.put(&secret, t.clock.now()).await.unwrap();
}

async fn of_secrets(t: &TestStores, keys: SecretKeys) -> Vec<Finding> {
    let mut config = t.config.clone();
    config.secret_keys = keys;
    let parts = survey(&config).await;
    parts.into_iter().find(|(part, _)| *part == "secrets").unwrap().1
}

#[tokio::test]
async fn stored_secrets_are_tried_with_the_keys_that_are_set() {
    for profile in [Profile::Embedded, Profile::Scaled] {
        let t = stores_on(profile).await;
        let none = of_secrets(&t, keys(1)).await;
        put(&t, "a", &keys(1)).await;
        put(&t, "b", &keys(2)).await;
        put(&t, "c", &keys(1)).await;

        let some = of_secrets(&t, keys(2)).await;
        let without = of_secrets(&t, SecretKeys::default()).await;

        assert_eq!(none, [Finding::well("PULSE_SECRET_KEY is set, and no secret is stored")]);
        let says = "2 of 3 secrets do not open: a is sealed with a key that is not in PULSE_SECRET_KEY here";
        assert_eq!((some[0].standing, some[0].says.as_str()), (Standing::Ill, says), "{profile:?}");
        assert_eq!((some.len(), without[0].standing), (1, Standing::Ill));
    }
}
