//! The pure rules: what a check is, when it is due, what a run means and whom it concerns.
//!
//! Nothing here waits, reads a clock or knows a store. Adapters load these types, call their
//! methods and write what comes back, so every store obeys the same rules.

/// An enum whose variants are the words used in columns, routes, metrics and log fields.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What that word means; `None` for any other.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub mod address;
pub mod alert;
pub mod assertion;
pub mod backoff;
pub mod breaker;
pub mod calendar;
pub mod channel;
pub mod check;
pub mod check_region;
pub mod command_line;
pub mod curl;
pub mod event;
pub mod evidence;
pub mod expected_status;
pub mod health;
pub mod heartbeat;
pub mod histogram;
pub mod http_version;
pub mod ids;
pub mod incident;
pub mod installation;
pub mod job;
pub mod ledger;
pub mod maintenance;
mod matching;
pub mod oauth2;
pub mod outage;
pub mod particulars;
pub mod pattern;
pub mod probe_spec;
pub mod proxy;
pub mod question;
pub mod request_body;
pub mod retry;
pub mod routing;
pub mod run;
pub mod schedule;
pub mod scheme;
pub mod secret;
pub mod setting;
pub mod silence;
pub mod target;
pub mod telling;
pub mod text;
pub mod traits;
pub mod way;
