//! Takes secrets out of what was seen, before it leaves.
//!
//! A target may send back what it was sent: its headers, its body, parts of them in another writing.
//! What was seen has been tamed and cut by then, so a secret is looked for in every writing it may
//! have, and its beginning where a text was cut off in it.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use pulse_core::models::evidence::Evidence;
use pulse_core::models::probe_spec::MASK;
use pulse_core::models::run::Observation;
use pulse_core::models::text::{tame, tame_line};

/// The beginning of a secret is one from so many bytes on; shorter ones are in any text. The same
/// holds of a writing that leaves little of a secret.
const LEAST_PART: usize = 4;

/// The secrets of one definition, in every writing. Not to be shown.
pub(crate) struct Scrub {
    writings: Vec<String>,
}

impl Scrub {
    /// What to look for, when these are to be kept.
    pub fn of(secrets: &[String]) -> Self {
        let mut writings: Vec<String> = secrets.iter().flat_map(|it| writings(it)).collect();
        writings.sort();
        writings.dedup();
        Self { writings }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.writings.iter().map(String::len).sum()
    }

    /// Puts a mask in the place of every secret.
    pub fn clean(&self, seen: &mut Observation) {
        if let Some(text) = &mut seen.error {
            self.clean_text(text);
        }
        if let Some(evidence) = &mut seen.evidence {
            self.clean_evidence(evidence);
        }
        for text in seen.traits.iter_mut().flat_map(|traits| traits.texts_mut()) {
            self.clean_text(text);
        }
    }

    /// The same in what a look kept.
    pub fn clean_evidence(&self, evidence: &mut Evidence) {
        for text in evidence.texts_mut() {
            self.clean_text(text);
        }
    }

    /// The same in one text.
    pub fn clean_text(&self, text: &mut String) {
        let mut found: Vec<Range<usize>> = Vec::new();
        for view in [View::plain(text), View::decoded(text, false), View::decoded(text, true)] {
            for writing in &self.writings {
                found.extend(view.find(writing.as_bytes()));
            }
        }
        if found.is_empty() {
            return;
        }
        found.sort_by_key(|it| it.start);
        let (mut clean, mut upto) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
            // Those that overlap are one.
            if upto == 0 || start > upto {
                clean.push_str(&text[upto..start]);
                clean.push_str(MASK);
            }
            upto = upto.max(end);
        }
        clean.push_str(&text[upto..]);
        *text = clean;
    }
}

/// A text as it is or as it is meant, and where each of its bytes stands.
struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// For each byte where it begins, and the end; `None` where it is its own place.
    places: Option<Vec<usize>>,
}

impl<'a> View<'a> {
    fn plain(text: &'a str) -> Self {
        Self { bytes: Cow::Borrowed(text.as_bytes()), places: None }
    }

    /// Percent-encoding undone, whatever of the text is encoded; as in forms, so is `+` for a space.
    fn decoded(text: &'a str, as_form: bool) -> Self {
        let raw = text.as_bytes();
        let is_encoded = raw.contains(&b'%') || (as_form && raw.contains(&b'+'));
        if !is_encoded {
            return Self { bytes: Cow::Borrowed(&[]), places: None };
        }
        let (mut bytes, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(byte) = raw.get(at) {
            let (decoded, length) = match (byte, escaped(&raw[at..])) {
                (b'%', Some(decoded)) => (decoded, 3),
                (b'+', _) if as_form => (b' ', 1),
                (byte, _) => (*byte, 1),
            };
            bytes.push(decoded);
            places.push(at);
            at += length;
        }
        places.push(at);
        Self { bytes: bytes.into(), places: Some(places) }
    }

    /// Where in the text this stands, and where it begins before a place at which texts are cut off.
    fn find(&self, writing: &[u8]) -> Vec<Range<usize>> {
        let whole = memmem::find_iter(&self.bytes, writing).map(|at| at..at + writing.len());
        let cut = self.ends().filter_map(|end| {
            let before = &self.bytes[..end];
            let longest = before.len().min(writing.len().saturating_sub(1));
            let part =
                (LEAST_PART..=longest).rev().find(|part| before.ends_with(&writing[..*part]))?;
            Some(end - part..end)
        });
        let place = |at: usize| self.places.as_ref().map_or(at, |places| places[at]);
        whole.chain(cut).map(|it| place(it.start)..place(it.end)).collect()
    }

    /// The end, before half a character and half an escape, and every quotation mark: a value told in a sentence
    /// is cut within its own.
    fn ends(&self) -> impl Iterator<Item = usize> {
        let half = "\u{fffd}".as_bytes();
        let mut end = self.bytes.len();
        while self.bytes[..end].ends_with(half) {
            end -= half.len();
        }
        let tail = &self.bytes[end.saturating_sub(2)..end];
        let escape = tail.iter().position(|byte| *byte == b'%');
        let before_escape = escape.map(|at| end - tail.len() + at);
        let quotes = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"');
        let quotes = quotes.map(|(at, _)| at);
        [Some(end), before_escape].into_iter().flatten().chain(quotes)
    }
}

/// The byte that `%41` stands for, at the beginning of `text`.
fn escaped(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(1)? * 16 + digit(2)?).ok()
}

/// A secret as it is and as others write it. Percent-encoding is undone instead: it has too many forms.
fn writings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let mut others = vec![
        in_ascii(&json),
        json.replace('/', "\\/"),
        json,
        secret.escape_debug().to_string(),
        html(secret, "&#39;", "&quot;"),
        html(secret, "&#x27;", "&#34;"),
    ];
    others.extend((0..3).flat_map(|offset| base64(secret, offset)));
    others.retain(|other| other.len() >= LEAST_PART);
    // Tamed, it is as long as before, and no easier to meet.
    let tamed = [tame(secret, secret.len()), tame_line(secret, secret.len())];
    others.into_iter().chain(tamed).chain([secret.to_owned()]).collect()
}

fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            ascii.extend(units.into_iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    ascii
}

fn html(secret: &str, apostrophe: &str, quote: &str) -> String {
    let mut told = String::with_capacity(secret.len());
    for c in secret.chars() {
        match c {
            '&' => told.push_str("&amp;"),
            '<' => told.push_str("&lt;"),
            '>' => told.push_str("&gt;"),
            '\'' => told.push_str(apostrophe),
            '"' => told.push_str(quote),
            c => told.push(c),
        }
    }
    told
}

/// What base64 makes of it behind `offset` other bytes, as far as those and what follows leave it alone:
/// the usual alphabet, and the one for URLs.
fn base64(secret: &str, offset: usize) -> [String; 2] {
    let bytes = [&[0; 3][..offset], secret.as_bytes()].concat();
    let encoded = STANDARD_NO_PAD.encode(&bytes);
    let begins = (offset * 8).div_ceil(6);
    let ends = bytes.len() * 8 / 6;
    let usual = encoded.get(begins..ends).unwrap_or_default().to_owned();
    let for_urls = usual.replace('+', "-").replace('/', "_");
    [usual, for_urls]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use pulse_core::models::traits::Traits;

    const SECRET: &str = "s3cr/et \"väl\" & <x>+'y";

    fn cleaned(text: &str) -> String {
        let mut text = text.to_owned();
        Scrub::of(&[SECRET.to_owned()]).clean_text(&mut text);
        text
    }

    #[test]
    fn a_secret_is_hidden_in_every_writing() {
        let percent = |keep: &str, lower: bool| {
            let one = |byte: u8| match char::from(byte) {
                c if c.is_ascii_alphanumeric() || keep.contains(c) => c.to_string(),
                _ if lower => format!("%{byte:02x}"),
                _ => format!("%{byte:02X}"),
            };
            SECRET.bytes().map(one).collect::<String>()
        };
        for told in [
            SECRET.to_owned(),
            serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned(),
            SECRET.escape_debug().to_string(),
            r#"s3cr\/et \"v\u00e4l\" & <x>+'y"#.to_owned(),
            "s3cr/et &quot;väl&quot; &amp; &lt;x&gt;+&#39;y".to_owned(),
            percent("", false),
            percent("/&<>+'", true),
            percent("-._~!*'()", false),
            percent("*-._", false).replace("%20", "+"),
        ] {
            let clean = cleaned(&format!("ab {told} cd"));
            assert!(clean.starts_with("ab ***") && clean.ends_with(" cd"), "{told}: {clean}");
            assert!(!clean.contains("cr"), "{told}: {clean}");
        }
    }

    #[test]
    fn a_secret_is_hidden_in_base64_wherever_it_stands() {
        for before in ["", "a", "ab", "user:"] {
            for after in ["", "b", "bc"] {
                let whole = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                    let clean = cleaned(&encoded);
                    assert!(clean.contains(MASK), "{whole}: {clean}");
                    assert!(clean.len() < before.len() * 2 + after.len() * 2 + 16, "{clean}");
                }
            }
        }
    }

    #[test]
    fn the_beginning_of_a_secret_is_hidden_where_a_text_was_cut_off_in_it() {
        for (told, clean) in [
            ("key: s3cr/e", "key: ***"),
            ("body \"it is s3cr/e\", expected \"x\"", "body \"it is ***\", expected \"x\""),
            ("key: s3cr/et \"v\u{fffd}", "key: ***\u{fffd}"),
            ("key=s3cr%2", "key=***%2"),
            ("key=s3cr%2Fe", "key=***"),
            ("key: s3c", "key: s3c"),
            ("s3cr/e and more", "s3cr/e and more"),
        ] {
            assert_eq!(cleaned(told), clean);
        }
    }

    #[test]
    fn secrets_that_overlap_are_hidden_together_and_what_is_none_stays() {
        let scrub = Scrub::of(&["abcd".to_owned(), "cdef".to_owned(), "é".to_owned()]);
        for (told, clean) in [
            ("xabcdefy", "x***y"),
            ("abcdabcd", "***"),
            ("zé%C3%A9", "z***"),
            ("", ""),
            ("nothing of it 100%", "nothing of it 100%"),
        ] {
            let mut text = told.to_owned();
            scrub.clean_text(&mut text);
            assert_eq!(text, clean);
        }
    }

    #[test]
    fn the_sentence_and_all_the_evidence_are_cleaned() {
        let tell = || format!("it said {SECRET}");
        let mut seen = Observation::begun(chrono::Utc::now());
        seen.error = Some(tell());
        seen.evidence = Some(Box::new(Evidence {
            reply: Some(tell()),
            location: Some(tell()),
            headers: vec![("x".into(), tell())],
            facts: vec![("y".into(), tell())],
            ..Evidence::default()
        }));

        seen.traits = Some(Box::new(Traits { redirect: Some(tell()), ..Traits::default() }));

        Scrub::of(&[SECRET.to_owned()]).clean(&mut seen);

        let told = serde_json::to_string(&seen).unwrap();
        assert_eq!(told.matches("it said ***").count(), 6, "{told}");
        assert!(!told.contains("s3cr"), "{told}");
    }
}
