//! A check's address: whatever is read has a host that is what it says, and no address passes for a name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_fuzz::models::target::Target;
use url::Host;

fuzz_target!(|input: &[u8]| {
    let Some(text) = pulse_fuzz::text(input) else { return };
    match Target::parse(text) {
        Err(sentence) => assert!(!sentence.is_empty() && !sentence.ends_with('.'), "{sentence}"),
        Ok(target) => {
            if let Some(Host::Domain(name)) = &target.host {
                assert!(name.is_ascii() && !name.is_empty(), "{name:?}");
                assert_eq!(*name, name.to_ascii_lowercase());
                // As the web ends names: one that ends in a number is an address or nothing.
                let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
                let is_number = last.bytes().all(|it| it.is_ascii_digit())
                    || last
                        .strip_prefix("0x")
                        .is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
                assert!(last.is_empty() || !is_number, "{name:?} is no name");
            }
            assert!(!target.path.contains('\0'), "{:?}", target.path);
            assert_eq!(Target::parse(text).as_ref(), Ok(&target), "read twice");
        }
    }
});
