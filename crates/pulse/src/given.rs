//! What the command line is given besides words: files, and fields of the API.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::exit::Told;

/// No server takes more.
const MOST_BYTES: u64 = 1024 * 1024;

/// `NAME=JSON`. What is wrong is told without the value, which may be secret.
///
/// # Errors
/// What is no field, or a file that cannot be read.
pub fn field(given: &str) -> anyhow::Result<(String, Value)> {
    let wrong = || Told::wrong("a field is a name, an equals sign and a value: upside_down=true");
    let (name, value) =
        given.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let text = match value.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None => value.to_owned(),
    };
    Ok((name.to_owned(), serde_json::from_str(&text).unwrap_or_else(|_plain| text.into())))
}

/// The text of a file, or the standard input for `-`.
pub fn read(file: &Path) -> anyhow::Result<String> {
    let wrong = |why: &dyn std::fmt::Display| {
        Told::wrong(format!("{} cannot be read: {why}", file.display()))
    };
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| wrong(&error))?)
    };
    let mut text = String::new();
    let mut limited = input.take(MOST_BYTES + 1);
    limited.read_to_string(&mut text).map_err(|error| wrong(&error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(&"it is larger than 1 MiB").into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_json_or_else_text() {
        assert_eq!(field("upside_down=true").unwrap(), ("upside_down".to_owned(), json!(true)));
        assert_eq!(field("expect=a=b").unwrap(), ("expect".to_owned(), json!("a=b")));
        assert_eq!(field("retry=null").unwrap(), ("retry".to_owned(), Value::Null));

        for wrong in ["s3cret", "=s3cret"] {
            let error = field(wrong).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
