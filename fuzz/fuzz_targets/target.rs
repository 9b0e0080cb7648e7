//! A check's address: whatever is read has a host that is what it says, and no address passes for a name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::target::Target;
use url::Host;

/// As the web has it: what ends in a number is an address or nothing.
fn ends_in_a_number(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit());
    let is_decimal = !last.is_empty() && last.bytes().all(|it| it.is_ascii_digit());
    is_decimal || last.strip_prefix("0x").is_some_and(is_hex)
}

fuzz_target!(|input: &[u8]| {
    let Some(text) = pulse_fuzz::text(input) else { return };
    match Target::parse(text) {
        Err(sentence) => assert!(!sentence.is_empty() && !sentence.ends_with('.'), "{sentence}"),
        Ok(target) => {
            if let Some(Host::Domain(name)) = &target.host {
                assert!(name.is_ascii() && !name.is_empty(), "{name:?}");
                assert_eq!(*name, name.to_ascii_lowercase());
                assert!(!ends_in_a_number(name), "{name:?} is no name");
            }
            assert!(!target.path.contains('\0'), "{:?}", target.path);
            assert_eq!(Target::parse(text).as_ref(), Ok(&target), "read twice");
        }
    }
});
