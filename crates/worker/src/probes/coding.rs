//! What came back, as it was meant, where an answer says that it is encoded (RFC 9110, section 8.4).
//!
//! Pulse asks for no encoding: some servers do not listen, and checks may ask for one by a header of
//! their own. A body of a few bytes may be an endless one, so only so much is decoded as is wanted, and
//! nothing before somebody wants it.

use std::borrow::Cow;
use std::io::{self, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use pulse_core::models::assertion::Unread;

/// The decoder of brotli reads so much at once.
const PIECE: usize = 4 * 1024;

/// What an encoded body comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    /// As far as it could be decoded.
    pub(crate) body: Cow<'a, [u8]>,
    /// Whether there is more of it.
    pub(crate) is_cut_off: bool,
}

/// Decodes `raw`, `most` bytes of it at most. `is_cut_off` says that `raw` is not all that came.
///
/// # Errors
/// In an encoding that is not known, or broken.
pub(crate) fn decode<'a>(
    headers: Option<&HeaderMap>,
    raw: Cow<'a, [u8]>,
    is_cut_off: bool,
    most: usize,
) -> Result<Decoded<'a>, Unread> {
    let Some(coding) = headers.and_then(coding_of).filter(|_| !raw.is_empty()) else {
        return Ok(Decoded { body: raw, is_cut_off });
    };
    let (read, body) = match coding.as_str() {
        "gzip" | "x-gzip" => some(MultiGzDecoder::new(&raw[..]), most),
        // What the RFC means, and what some servers take it for.
        "deflate" => match some(ZlibDecoder::new(&raw[..]), most) {
            (Err(_no_zlib), body) if body.is_empty() => some(DeflateDecoder::new(&raw[..]), most),
            decoded => decoded,
        },
        "br" => {
            let mut decoder = Decompressor::new(&raw[..], PIECE);
            // Not in RFC 7932: windows of a gigabyte, which the decoder would make room for.
            decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
            some(decoder, most)
        }
        _ => return Err(Unread::Encoded),
    };
    let is_full = body.len() > most;
    // What was cut off ends without its end; what gives nothing was never in this encoding.
    let is_excused = is_full || (is_cut_off && !body.is_empty());
    if read.is_err() && !is_excused {
        return Err(Unread::Broken);
    }
    let mut body = body;
    body.truncate(most);
    Ok(Decoded { body: Cow::Owned(body), is_cut_off: is_cut_off || is_full })
}

/// The one encoding that it is in; `None` for none. Several in a row are one that is not known.
fn coding_of(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(CONTENT_ENCODING).iter();
    let words: Vec<String> = all
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|word| String::from_utf8_lossy(word).trim().to_ascii_lowercase())
        .filter(|word| !word.is_empty() && word != "identity")
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// One byte more than wanted, which says that there is more.
fn some(decoder: impl Read, most: usize) -> (io::Result<usize>, Vec<u8>) {
    let mut body = Vec::new();
    let wanted = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.take(wanted).read_to_end(&mut body);
    (read, body)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    const MIB: usize = 1024 * 1024;
    /// A hundred times hello, and fifty million zeros, by Node.js.
    const HELLO: &[u8] =
        &[0x1b, 0xf3, 0x01, 0xf8, 0xa5, 0xcb, 0xd0, 0xd8, 0xde, 0x04, 0x6b, 0x51, 0x40, 0xaa, 0xd4];
    const ZEROS: &[u8] = &[
        0xcb, 0xff, 0xff, 0x3f, 0xf8, 0x27, 0x00, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x8f, 0xff,
        0xff, 0x7f, 0xf0, 0x4f, 0x00, 0xc4, 0x61, 0x11, 0x80, 0xee, 0xfd, 0x1f, 0xff, 0xff, 0xff,
        0xe0, 0x9f, 0x00, 0x88, 0xc3, 0x02, 0x00, 0xdd, 0xfb, 0x3f, 0xfe, 0xff, 0xff, 0xc1, 0x3f,
        0x01, 0x10, 0x87, 0x05, 0x00, 0xba, 0xf7, 0x7f, 0xfc, 0xff, 0xff, 0x83, 0x7f, 0x02, 0x20,
        0x0e, 0x0b, 0x00, 0x74, 0xef, 0xff, 0xf8, 0xff, 0xff, 0x07, 0xff, 0x04, 0x40, 0x1c, 0x16,
        0x00, 0xe8, 0xde, 0xff, 0xe5, 0xff, 0xff, 0x07, 0xfe, 0x09, 0x80, 0x38, 0x2c, 0x00, 0xd0,
        0xbd, 0xff, 0x00,
    ];

    fn decoded(coding: &'static str, raw: &[u8], most: usize) -> Result<(Vec<u8>, bool), Unread> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))]);
        let told = decode(Some(&headers), Cow::Borrowed(raw), false, most)?;
        Ok((told.body.into_owned(), told.is_cut_off))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_encoding_is_read_and_what_is_not_encoded_is_left_alone() {
        let text = b"hello".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&text).unwrap();
        let whole = Ok((text.clone(), false));

        assert_eq!(decoded("gzip", &gzip(&text), MIB), whole);
        assert_eq!(decoded("X-GZIP, identity", &gzip(&text), MIB), whole);
        assert_eq!(decoded("deflate", &zlib.finish().unwrap(), MIB), whole);
        assert_eq!(decoded("deflate", &bare.finish().unwrap(), MIB), whole);
        assert_eq!(decoded("br", HELLO, MIB), whole);
        assert_eq!(decoded("identity", &text, MIB), whole);
        let plain = decode(None, Cow::Borrowed(&text[..]), true, 3).unwrap();
        assert_eq!(plain, Decoded { body: Cow::Borrowed(&text[..]), is_cut_off: true });
    }

    #[test]
    fn no_more_is_decoded_than_is_wanted() {
        for (coding, bomb) in [("gzip", &*gzip(&vec![0; 50 * MIB])), ("br", ZEROS)] {
            assert!(bomb.len() < MIB);

            assert_eq!(decoded(coding, bomb, 10), Ok((vec![0; 10], true)));
            let (body, is_cut_off) = decoded(coding, bomb, MIB).unwrap();

            assert!((body.len(), is_cut_off) == (MIB, true) && body.capacity() <= 4 * MIB);
        }
        let all = gzip(b"0123456789");
        assert_eq!(decoded("gzip", &all, 10), Ok((b"0123456789".to_vec(), false)));
    }

    #[test]
    fn what_is_broken_or_not_known_is_told_and_what_was_cut_off_is_read_as_far_as_it_goes() {
        let text = b"0123456789".repeat(1_000);
        let half = &gzip(&text)[..60];

        assert_eq!(decoded("gzip", half, MIB), Err(Unread::Broken));
        assert_eq!(decoded("br", b"\xff\xff\xff\xff", MIB), Err(Unread::Broken));
        assert_eq!(decoded("deflate", b"<html>", MIB), Err(Unread::Broken));
        // A window of a gigabyte.
        let large = [&[0x11, 0x1e], ZEROS].concat();
        assert_eq!(decoded("br", &large, MIB), Err(Unread::Broken));
        assert_eq!(decoded("gzip", b"", MIB), Ok((Vec::new(), false)), "as to HEAD");
        assert_eq!(decoded("zstd", half, MIB), Err(Unread::Encoded));
        assert_eq!(decoded("gzip, br", half, MIB), Err(Unread::Encoded));
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let some = decode(Some(&headers), Cow::Borrowed(half), true, MIB).unwrap();
        assert!(some.is_cut_off && text.starts_with(&some.body) && !some.body.is_empty());
        let page = Cow::Borrowed(&b"<html>"[..]);
        assert_eq!(decode(Some(&headers), page, true, MIB), Err(Unread::Broken));
    }
}
