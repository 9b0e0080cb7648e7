//! Watches what scripts touch on a Redis server, and finds keys that their callers did not declare.
//!
//! A cluster sends a script to the node of the keys that are declared; a server behind a proxy may
//! refuse any other. Redis itself does not tell, but its `MONITOR` shows each call and what it does.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use redis::{Client, RedisResult};
use tokio::task::JoinHandle;

use super::connect_to_redis;

const LAST_WORD: &str = "that is all";

/// Watches until [`ScriptWatch::end`].
pub struct ScriptWatch {
    url: String,
    watching: JoinHandle<Watched>,
}

/// What was seen of scripts.
#[derive(Debug, Default)]
pub struct Watched {
    /// Their digests.
    pub scripts: BTreeSet<String>,
    /// Commands of scripts with a key that was not declared.
    pub undeclared: BTreeSet<String>,
    declared: BTreeSet<String>,
}

impl ScriptWatch {
    /// Watches the server at `url`.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn begin(url: &str) -> RedisResult<Self> {
        let mut lines = Client::open(url)?.get_async_monitor().await?.into_on_message::<String>();
        let watching = tokio::spawn(async move {
            let mut watched = Watched::default();
            while let Some(line) = lines.next().await {
                if line.contains(LAST_WORD) {
                    break;
                }
                watched.see(&line);
            }
            watched
        });
        Ok(Self { url: url.to_owned(), watching })
    }

    /// What was seen of all that was asked until now.
    ///
    /// # Errors
    /// When the server cannot be reached any more.
    pub async fn end(self) -> RedisResult<Watched> {
        let mut connection = connect_to_redis(&self.url).await?;
        let () = redis::cmd("ECHO").arg(LAST_WORD).query_async(&mut connection).await?;
        Ok(self.watching.await.unwrap_or_default())
    }
}

impl Watched {
    /// `time [database address] "COMMAND" "argument" ...`; what a script does has `lua` for an address,
    /// and follows its call.
    fn see(&mut self, line: &str) {
        let Some((whence, command)) = line.split_once("] \"") else { return };
        let words: Vec<&str> = command.trim_end_matches('"').split("\" \"").collect();
        match words[..] {
            [call, digest, count, ref rest @ ..] if call.eq_ignore_ascii_case("EVALSHA") => {
                let keys = rest.iter().take(count.parse().unwrap_or_default());
                self.declared = keys.map(|key| (*key).to_owned()).collect();
                self.scripts.insert(digest.to_owned());
            }
            [command, key, ..]
                if whence.ends_with(" lua")
                    && takes_a_key(command)
                    && !self.declared.contains(key) =>
            {
                self.undeclared.insert(format!("{command} {key}"));
            }
            _ => {}
        }
    }
}

/// A channel is no key, and the time has none.
fn takes_a_key(command: &str) -> bool {
    !["PUBLISH", "TIME"].iter().any(|it| it.eq_ignore_ascii_case(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_not_declared_is_found() {
        let mut watched = Watched::default();
        for line in [
            r#"1.5 [0 127.0.0.1:5] "evalsha" "digest" "1" "a" "an argument""#,
            r#"1.5 [0 lua] "TIME""#,
            r#"1.5 [0 lua] "HSET" "a" "f" "v""#,
            r#"1.5 [0 lua] "EXPIRE" "an argument" "5""#,
            r#"1.5 [0 lua] "PUBLISH" "bell" """#,
            r#"1.6 [0 127.0.0.1:5] "GET" "of no script""#,
        ] {
            watched.see(line);
        }

        assert_eq!(watched.undeclared, BTreeSet::from(["EXPIRE an argument".to_owned()]));
        assert_eq!(watched.scripts, BTreeSet::from(["digest".to_owned()]));
    }
}
