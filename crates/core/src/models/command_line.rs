//! A command as people type it, taken apart into its words: blanks part them, quotation marks keep
//! them together.
//!
//! The quoting is that of the command line that Redis brings: between double quotation marks a
//! backslash stands before `n r t b a`, two hexadecimal digits after `x`, or a character meant as it
//! is; between single ones it stands before a single one only.

use std::iter::Peekable;
use std::str::Bytes;

const OPEN: &str = "must end every quotation mark that it begins";
const GLUED: &str = "must have a blank after a closing quotation mark";
const EMPTY: &str = "must have a command";

/// The words of `line`, one at least.
///
/// # Errors
/// What is wrong with it, for the person who wrote it.
pub fn split(line: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let (mut words, mut rest) = (Vec::new(), line.bytes().peekable());
    loop {
        while rest.next_if(u8::is_ascii_whitespace).is_some() {}
        if rest.peek().is_none() {
            return if words.is_empty() { Err(EMPTY) } else { Ok(words) };
        }
        words.push(word(&mut rest)?);
    }
}

fn word(rest: &mut Peekable<Bytes<'_>>) -> Result<Vec<u8>, &'static str> {
    let mut word = Vec::new();
    while let Some(byte) = rest.next_if(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'"' => doubly_quoted(rest, &mut word)?,
            b'\'' => singly_quoted(rest, &mut word)?,
            byte => {
                word.push(byte);
                continue;
            }
        }
        if rest.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err(GLUED);
        }
    }
    Ok(word)
}

fn doubly_quoted(rest: &mut Peekable<Bytes<'_>>, word: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match rest.next().ok_or(OPEN)? {
            b'"' => return Ok(()),
            b'\\' => {
                let byte = rest.next().ok_or(OPEN)?;
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    b'x' => hexadecimal(rest).unwrap_or(b'x'),
                    byte => byte,
                });
            }
            byte => word.push(byte),
        }
    }
}

/// Two digits, or none is taken.
fn hexadecimal(rest: &mut Peekable<Bytes<'_>>) -> Option<u8> {
    let mut ahead = rest.clone();
    let mut digit = || char::from(ahead.next()?).to_digit(16);
    let value = digit()? * 16 + digit()?;
    *rest = ahead;
    u8::try_from(value).ok()
}

fn singly_quoted(rest: &mut Peekable<Bytes<'_>>, word: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match rest.next().ok_or(OPEN)? {
            b'\'' => return Ok(()),
            b'\\' if rest.next_if_eq(&b'\'').is_some() => word.push(b'\''),
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_part_words_and_quotation_marks_keep_them() {
        for (line, words) in [
            ("PING", &["PING"] as &[&str]),
            ("  GET\t key ", &["GET", "key"]),
            (r#"SET "a key" 'it'"#, &["SET", "a key", "it"]),
            (r#"ECHO "a\tb\x41\"\q\xzz""#, &["ECHO", "a\tbA\"qxzz"]),
            (r"ECHO 'it\'s \n'", &["ECHO", r"it's \n"]),
            (r#"ECHO """#, &["ECHO", ""]),
            (r#"ECHO a"b c" d"#, &["ECHO", "ab c", "d"]),
            ("ECHO häh", &["ECHO", "häh"]),
        ] {
            let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(split(line), Ok(words), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_says_why() {
        for (line, reason) in [
            ("", EMPTY),
            (" \n", EMPTY),
            (r#"GET "a"#, OPEN),
            (r#"GET "a\"#, OPEN),
            ("GET 'a", OPEN),
            (r#"GET "a"b"#, GLUED),
            ("GET 'a'b", GLUED),
        ] {
            assert_eq!(split(line), Err(reason), "{line}");
        }
    }
}
