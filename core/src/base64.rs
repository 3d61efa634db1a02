//! Base64 in its standard alphabet (RFC 4648), as signatures and secrets are written in;
//! a tenth of what the crate of that name takes in the wasm, which is the judge in tests.

/// How a text may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// In the one canonical way: each bytes have one text.
    Canonical,
    /// With less padding than there should be, and whatever bits are left over in the last
    /// letter.
    Any,
}

/// Writes bytes, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let length = bytes.len().div_ceil(3).saturating_mul(4);
    let mut text = Vec::with_capacity(length);
    for group in bytes.chunks(3) {
        let (a, b, c) = match *group {
            [a, b, c] => (a, b, c),
            [a, b] => (a, b, 0),
            [a] => (a, 0, 0),
            _ => continue,
        };
        let bits = u32::from_be_bytes([0, a, b, c]);
        let mut letters = [bits >> 18, bits >> 12, bits >> 6, bits].map(letter);
        if group.len() < 3 {
            letters[3] = b'=';
        }
        if group.len() < 2 {
            letters[2] = b'=';
        }
        text.extend_from_slice(&letters);
    }
    // Letters are UTF-8.
    String::from_utf8(text).unwrap_or_default()
}

/// The letter of the lowest six bits.
fn letter(bits: u32) -> u8 {
    let [value, ..] = (bits & 63).to_le_bytes();
    match value {
        0..=25 => value.wrapping_add(b'A'),
        26..=51 => value.wrapping_add(71),
        52..=61 => value.wrapping_sub(4),
        62 => b'+',
        _ => b'/',
    }
}

/// Reads a text. `None` when it is not that.
pub(crate) fn decode(text: &str, spelling: Spelling) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches('=').as_bytes();
    let padding = text.len().saturating_sub(letters.len());
    let missing = match letters.len() & 3 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    let exact = spelling == Spelling::Canonical;
    if padding > missing || (exact && padding < missing) {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter.wrapping_sub(b'A'),
            b'a'..=b'z' => letter.wrapping_sub(71),
            b'0'..=b'9' => letter.wrapping_add(4),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held = held.wrapping_add(6);
        if held >= 8 {
            held = held.wrapping_sub(8);
            let [byte, ..] = bits.wrapping_shr(held).to_le_bytes();
            bytes.push(byte);
        }
    }
    let left_over = bits & !u32::MAX.wrapping_shl(held);
    (!exact || left_over == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::{
        Engine as _, alphabet,
        engine::{
            DecodePaddingMode,
            general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
        },
    };
    use proptest::prelude::*;

    const ANY: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );

    fn agrees(text: &str) {
        for (spelling, judge) in [(Spelling::Canonical, &STANDARD), (Spelling::Any, &ANY)] {
            let (ours, theirs) = (decode(text, spelling), judge.decode(text).ok());
            assert_eq!(ours, theirs, "{spelling:?} {text:?}");
        }
    }

    #[test]
    fn the_samples_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(
                decode(text, Spelling::Canonical).as_deref(),
                Some(bytes.as_bytes())
            );
        }
    }

    /// Every text of up to five of these letters, and every single one.
    #[test]
    fn short_texts_are_read_as_the_crate_reads_them() {
        let some = ["A", "B", "Q", "w", "/", "=", "-", " "];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts.extend(
                texts
                    .clone()
                    .iter()
                    .flat_map(|text| some.map(|letter| format!("{text}{letter}"))),
            );
            texts.sort_unstable();
            texts.dedup();
        }
        assert!(texts.len() > 30_000);
        for text in &texts {
            agrees(text);
        }
        for letter in (0..=255_u8).map(char::from) {
            agrees(&format!("AA{letter}A"));
            agrees(&format!("AAA{letter}"));
        }
    }

    proptest! {
        #[test]
        fn bytes_are_written_as_the_crate_writes_them(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(&text, &STANDARD.encode(&bytes));
            prop_assert_eq!(decode(&text, Spelling::Canonical), Some(bytes));
        }

        #[test]
        fn texts_are_read_as_the_crate_reads_them(text in "[A-Za-z0-9+/]{0,40}[=A-Q]{0,4}", other: String) {
            agrees(&text);
            agrees(&other);
        }
    }
}
