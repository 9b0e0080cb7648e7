//! Durations as people write them: whatever is read is shown so that it is read the same again.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pulse_fuzz::duration::{parse, rough, show};

fuzz_target!(|input: &[u8]| {
    let Some(text) = pulse_fuzz::text(input) else { return };
    match parse(text) {
        Err(sentence) => assert!(!sentence.ends_with('.'), "{sentence}"),
        Ok(read) => {
            assert!(text.is_ascii() && text.len() >= 2, "{text:?}");
            let ms = u64::try_from(read.as_millis()).expect("it is read as a u64");
            assert_eq!(Duration::from_millis(ms), read, "nothing below a millisecond");
            let shown = show(ms);
            assert_eq!(parse(&shown), Ok(read), "{shown}");
            assert!(!rough(ms).is_empty());
        }
    }
});
