//! What was asked for on the command line: `--name value`, or `--name` alone for `--name yes`.
//!
//! Whoever plays takes what it knows, with what holds when nobody says otherwise. What was never
//! taken, or could not be read, is told afterwards by `wrong`.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub struct Options {
    given: BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl Options {
    /// Reads the words behind the name of a show.
    pub fn read(words: impl IntoIterator<Item = String>) -> Self {
        let mut options = Self::default();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
                options.wrong.push(format!("{word:?} is no option"));
                continue;
            };
            let value = words.next_if(|next| !next.starts_with("--"));
            let value = value.unwrap_or_else(|| "yes".to_owned());
            if options.given.insert(name.to_owned(), value).is_some() {
                options.wrong.push(format!("--{name} is given twice"));
            }
        }
        options
    }

    /// A value, or what holds when none is given.
    pub fn take<T: FromStr>(&mut self, name: &str, otherwise: T) -> T {
        self.given(name).unwrap_or(otherwise)
    }

    /// A value, if one is given.
    pub fn given<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.given.remove(name)?;
        let read = value.parse().ok();
        if read.is_none() {
            self.wrong.push(format!("--{name} cannot be {value:?}"));
        }
        read
    }

    /// A time in whole seconds.
    pub fn seconds(&mut self, name: &str, otherwise: u64) -> Duration {
        Duration::from_secs(self.take(name, otherwise))
    }

    /// Whether something is wanted that is not the rule.
    pub fn yes(&mut self, name: &str) -> bool {
        self.take(name, "no".to_owned()) == "yes"
    }

    /// What decides all that is drawn; drawn itself when none is given, short enough to be typed.
    pub fn seed(&mut self) -> u64 {
        self.given("seed").unwrap_or_else(|| rand::random::<u32>().into())
    }

    /// What is wrong with the options, once everything known was taken.
    #[must_use]
    pub fn wrong(self) -> Vec<String> {
        let unknown = self.given.into_keys().map(|name| format!("--{name} is not known here"));
        self.wrong.into_iter().chain(unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Options {
        Options::read(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_given_is_taken_and_the_rest_is_as_ever() {
        let mut options = read("--alone --checks 7 --keep yes");

        assert!(options.yes("alone") && options.yes("keep") && !options.yes("other"));
        assert_eq!(options.take("checks", 100), 7);
        assert_eq!(options.seconds("for", 30), Duration::from_secs(30));
        assert!(options.wrong().is_empty());
    }

    #[test]
    fn whatever_cannot_be_meant_is_told() {
        let mut options = read("stray --checks many --seed 1 --seed 2 --chekcs 3");

        assert_eq!(options.take("checks", 100), 100);
        assert_eq!(options.seed(), 2);
        let wrong = options.wrong();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
    }
}
