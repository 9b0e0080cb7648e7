//! Which statuses mean ok: whatever is read is written so that it is read the same again, and holds a status.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::expected_status::ExpectedStatus;

fuzz_target!(|input: &[u8]| {
    let Some(text) = pulse_fuzz::text(input) else { return };
    let read = text.parse::<ExpectedStatus>();
    if let Ok(expected) = &read {
        let written = expected.to_string();
        assert_eq!(written.parse::<ExpectedStatus>().as_ref().ok(), Some(expected), "{written}");
        let held = || (0..=u16::MAX).filter(|status| expected.contains(*status));
        assert!(held().next().is_some_and(|least| least >= 100), "{written}");
        assert!(held().last().is_some_and(|most| most <= 599), "{written}");
        if let Some(only) = expected.only() {
            assert!(held().eq([only]), "{written}");
        }
        let json = serde_json::to_string(expected).expect("it is written as JSON");
        let again: ExpectedStatus = serde_json::from_str(&json).expect("and read again");
        assert_eq!(again, *expected, "{json}");
    }
    let as_json = serde_json::from_slice::<ExpectedStatus>(input);
    if let (Ok(read), Ok(expected)) = (as_json, text.trim().parse::<u16>()) {
        assert_eq!(read.only(), Some(expected));
    }
});
