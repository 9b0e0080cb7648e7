//! Whether the secrets that are stored open with the keys that are set.

use std::sync::Arc;

use crate::models::secret::SecretName;
use crate::ports::secrets::SealedSecret;
use crate::ports::survey::{Finding, SecretSurvey};
use crate::runtime::sealing::{SecretKeys, Unopenable};

/// Why a secret stays shut, and what to do about it.
const SHUT: [(Unopenable, &str); 3] = [
    (
        Unopenable::NoKey,
        "add the key that sealed them to PULSE_SECRET_KEY, behind the first and a comma; \
         if it is lost, set them again: `pulse secret set NAME`",
    ),
    (Unopenable::Broken, "set them again: `pulse secret set NAME`"),
    (Unopenable::Strange, "update this host's Pulse, or set them again: `pulse secret set NAME`"),
];

pub(super) async fn look(state: Option<Arc<dyn SecretSurvey>>, keys: &SecretKeys) -> Vec<Finding> {
    let mut tally = Tally::of(keys);
    let read = match state {
        Some(state) => state.each_secret(&mut |secret| tally.add(&secret)).await.is_ok(),
        None => false,
    };
    if !read {
        let says = "whether the stored secrets open is not known: the state cannot be read";
        return vec![Finding::odd(says, "mend the state first")];
    }
    tally.findings()
}

/// How many there are, and how many open.
struct Tally<'a> {
    keys: &'a SecretKeys,
    all: u64,
    /// Of those that open.
    sealed_with_older: u64,
    /// For each of [`SHUT`] how many, and the first of them.
    shut: [(u64, Option<SecretName>); SHUT.len()],
}

impl<'a> Tally<'a> {
    fn of(keys: &'a SecretKeys) -> Self {
        Self { keys, all: 0, sealed_with_older: 0, shut: Default::default() }
    }

    fn add(&mut self, SealedSecret { project, name, sealed }: &SealedSecret) {
        self.all += 1;
        match self.keys.open(*project, name, sealed) {
            Ok(_value) => {
                let newest = self.keys.newest();
                let is_newest = newest.is_some_and(|key| sealed.get(1..5) == Some(&key));
                self.sealed_with_older += u64::from(!is_newest);
            }
            Err(why) => {
                let shut = self.shut.iter_mut().zip(SHUT).find(|(_, (reason, _))| *reason == why);
                if let Some(((count, first), _)) = shut {
                    *count += 1;
                    first.get_or_insert_with(|| name.clone());
                }
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let all = self.all;
        match (self.keys.newest(), all) {
            (None, 0) => {
                return vec![Finding::well("PULSE_SECRET_KEY is not set, and no secret is stored")];
            }
            (None, _) => return vec![self.without_a_key()],
            (Some(_), 0) => {
                return vec![Finding::well("PULSE_SECRET_KEY is set, and no secret is stored")];
            }
            (Some(_), _) => {}
        }
        let mut found: Vec<_> =
            self.shut.iter().zip(SHUT).filter_map(|(it, why)| self.ill(it, why)).collect();
        if found.is_empty() {
            found
                .push(Finding::well(format!("PULSE_SECRET_KEY opens every stored secret ({all})")));
        }
        if self.sealed_with_older > 0 {
            let says =
                format!("an older key has sealed {} of {all} secrets", self.sealed_with_older);
            let mend = "keep it in PULSE_SECRET_KEY until a server has sealed them anew";
            found.push(Finding::odd(says, mend));
        }
        found
    }

    fn without_a_key(&self) -> Finding {
        let says =
            format!("PULSE_SECRET_KEY is not set, and no stored secret opens ({})", self.all);
        let mend = "set it to the key that sealed them; if that is lost, to a new one \
                    (`openssl rand -base64 32`), and set the secrets again: `pulse secret set NAME`";
        Finding::ill(says, mend)
    }

    fn ill(
        &self,
        (count, first): &(u64, Option<SecretName>),
        (why, mend): (Unopenable, &str),
    ) -> Option<Finding> {
        let first = first.as_ref()?.as_str();
        let says = format!("{count} of {} secrets do not open: {first} {why}", self.all);
        Some(Finding::ill(says, mend))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::models::ids::ProjectId;
    use crate::ports::survey::Standing;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    fn keys(text: &str) -> SecretKeys {
        SecretKeys::parse(text).unwrap()
    }

    fn sealed(name: &str, byte: u8) -> SealedSecret {
        let (project, name) = (ProjectId::DEFAULT, SecretName::parse(name).unwrap());
        let sealed = keys(&key(byte)).seal(project, &name, "hush").unwrap();
        SealedSecret { project, name, sealed }
    }

    fn found(keys: &SecretKeys, secrets: &[SealedSecret]) -> Vec<(Standing, String)> {
        let mut tally = Tally::of(keys);
        for secret in secrets {
            tally.add(secret);
        }
        let found = tally.findings();
        assert!(found.iter().all(|it| it.mend.is_some() == (it.standing != Standing::Well)));
        found.into_iter().map(|it| (it.standing, it.says)).collect()
    }

    #[test]
    fn secrets_that_open_are_well_and_those_of_an_older_key_are_told() {
        let told = |standing, says: &str| (standing, says.to_owned());
        let (new, both) = (keys(&key(2)), keys(&format!("{},{}", key(2), key(1))));

        assert_eq!(
            found(&new, &[sealed("a", 2), sealed("b", 2)]),
            [told(Standing::Well, "PULSE_SECRET_KEY opens every stored secret (2)")]
        );
        assert_eq!(
            found(&both, &[sealed("a", 1), sealed("b", 2)]),
            [
                told(Standing::Well, "PULSE_SECRET_KEY opens every stored secret (2)"),
                told(Standing::Odd, "an older key has sealed 1 of 2 secrets"),
            ]
        );
        assert_eq!(
            found(&new, &[]),
            [told(Standing::Well, "PULSE_SECRET_KEY is set, and no secret is stored")]
        );
    }

    #[test]
    fn secrets_that_stay_shut_are_ill_by_why() {
        let mut passed_off = sealed("a", 2);
        passed_off.name = SecretName::parse("passed-off").unwrap();
        let mut newer = sealed("newer", 2);
        newer.sealed[0] = 9;
        let all = [sealed("a", 1), sealed("b", 2), sealed("c", 1), passed_off, newer];

        let told = found(&keys(&key(2)), &all);

        let says: Vec<_> = told.iter().map(|(_, says)| says.as_str()).collect();
        assert_eq!(
            says,
            [
                "2 of 5 secrets do not open: a is sealed with a key that is not in PULSE_SECRET_KEY here",
                "1 of 5 secrets do not open: passed-off is not what was sealed under its name",
                "1 of 5 secrets do not open: newer is sealed in a way that is not known here",
            ]
        );
        assert!(told.iter().all(|(standing, _)| *standing == Standing::Ill));
    }

    #[test]
    fn without_a_key_it_matters_whether_anything_is_stored() {
        let none = SecretKeys::default();

        let [(standing, says)] = &found(&none, &[sealed("a", 1)])[..] else { panic!() };
        assert_eq!(*standing, Standing::Ill);
        assert_eq!(says, "PULSE_SECRET_KEY is not set, and no stored secret opens (1)");
        assert_eq!(found(&none, &[])[0].0, Standing::Well);
    }
}
