//! Regular expressions of users: linear in what is searched, and bounded in what they cost to keep.

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of the compiled program, and again of its cache.
const MOST_COMPILED: usize = 256 * 1024;

/// Compiles `pattern` to be found anywhere in bytes, which need not be UTF-8.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let built =
        RegexBuilder::new(pattern).size_limit(MOST_COMPILED).dfa_size_limit(MOST_COMPILED).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "is a regular expression that is too large".to_owned(),
        error => format!("is not a regular expression: {}", last_line(&error.to_string())),
    })
}

/// The parser draws the pattern and an arrow; what it means is in the last line.
fn last_line(told: &str) -> &str {
    let line = told.lines().last().unwrap_or(told).trim();
    line.strip_prefix("error: ").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_anywhere_in_any_bytes() {
        let found = |pattern: &str, bytes: &[u8]| compile(pattern).unwrap().is_match(bytes);

        assert!(found("^2[0-9]{2} ", b"220 mail.example"));
        assert!(found("(?i)PONG", b"\xff+pong\r\n"));
        assert!(!found("^PONG", b"+PONG"));
    }

    #[test]
    fn what_is_none_or_too_large_says_so() {
        assert_eq!(compile("(").unwrap_err(), "is not a regular expression: unclosed group");
        assert!(compile(r"(?:\w{1000}){1000}").unwrap_err().contains("too large"));
    }
}
