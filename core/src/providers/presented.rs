//! Reading what a request presents as its proof: header fields, times, and the
//! signatures in them. Empty is the same as missing, and unreadable is refused.

use crate::{
    inbound::{Inbound, Refusal},
    signature,
    webhook::Encoding,
};

/// The header field's value without blanks around it.
///
/// # Errors
/// When it is missing or empty.
pub(super) fn header<'i>(inbound: &'i Inbound, name: &str) -> Result<&'i str, Refusal> {
    inbound
        .headers
        .get(name)
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::MissingHeader(name.to_owned()))
}

/// The refusal of a header field that cannot be read.
pub(super) fn malformed(header: &str, why: &'static str) -> Refusal {
    Refusal::MalformedHeader {
        header: header.to_owned(),
        why,
    }
}

/// A Unix time in the header field, in whatever unit: digits alone.
///
/// # Errors
/// When it is missing or anything else stands there.
pub(super) fn unix_time(inbound: &Inbound, name: &str) -> Result<i64, Refusal> {
    let text = header(inbound, name)?;
    if !text.bytes().all(|letter| letter.is_ascii_digit()) {
        return Err(malformed(name, "it is not a Unix time"));
    }
    text.parse()
        .map_err(|_| malformed(name, "it is not a Unix time"))
}

/// The bytes that a raw-body signature may be over: those that came and, where
/// they were compressed, those behind it. Both are keyed hashes, so trying both
/// weakens neither.
pub(super) fn signed_bodies(inbound: &Inbound) -> impl Iterator<Item = &[u8]> {
    std::iter::once(inbound.body.as_slice()).chain(inbound.decoded.as_deref())
}

/// Whether the header field `name` holds one of the `expected` keyed hashes, each
/// written as `prefix` and the value in `encoding`. Several may stand there, with
/// commas or blanks between them (a sender rotating its secret, a repeated field):
/// every one is tried.
///
/// # Errors
/// When the field is missing, nothing in it has that form, or nothing matches.
pub(super) fn any_signature(
    inbound: &Inbound,
    name: &str,
    prefix: &str,
    encoding: Encoding,
    expected: &[Vec<u8>],
) -> Result<(), Refusal> {
    let value = header(inbound, name)?;
    let blank = |letter: char| letter.is_ascii_whitespace();
    let pieces = value.split(|letter| letter == ',' || blank(letter));
    // A prefix may itself hold a comma or a blank: the field as a whole and what
    // stands between blanks are candidates as well.
    let candidates = std::iter::once(value)
        .chain(value.split(blank))
        .chain(pieces);
    let mut readable = false;
    let mut proven = false;
    for candidate in candidates {
        let text = candidate.strip_prefix(prefix);
        if let Some(mac) = text.and_then(|text| signature::decode(encoding, text.trim())) {
            readable = true;
            proven |= expected.iter().any(|known| signature::equal(known, &mac));
        }
    }
    match (proven, readable) {
        (true, _) => Ok(()),
        (false, true) => Err(Refusal::WrongSecretOrAlteredBody),
        (false, false) => Err(malformed(
            name,
            "it holds no signature in the expected notation",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::post;

    #[test]
    fn every_signature_is_tried() {
        let expected = [vec![0xab, 0xcd]];
        let check = |prefix: &str, value: &str| {
            let inbound = post(&[("x-sig", value)], "");
            any_signature(&inbound, "x-sig", prefix, Encoding::Hex, &expected)
                .map_err(|why| why.code())
        };
        let wrong = Err("wrong_secret_or_altered_body");
        let malformed = Err("malformed_header");
        for (prefix, value, result) in [
            ("", "abcd", Ok(())),
            ("", "ABCD", Ok(())),
            ("", "0000,abcd", Ok(())),
            ("", "abcd 0000", Ok(())),
            ("", "0000, 1111, abCD", Ok(())),
            ("", "not-hex abcd", Ok(())),
            ("", "0000", wrong),
            ("", "ab", wrong),
            ("", "abcdef", wrong),
            ("", "zzzz", malformed),
            ("", ",", malformed),
            ("", "  ", Err("missing_header")),
            ("sha256=", "sha256=abcd", Ok(())),
            ("sha256=", "sha1=0000,sha256=abcd", Ok(())),
            ("sha256=", "abcd", malformed),
            ("sha256=", "SHA256=abcd", malformed),
            ("sha256=", "sha256=", malformed),
            ("sha256=", "sha256=sha256=abcd", malformed),
            ("HMAC ", "HMAC abcd", Ok(())),
            ("v1,", "v1,0000 v1,abcd", Ok(())),
        ] {
            assert_eq!(check(prefix, value), result, "{prefix:?} {value:?}");
        }
    }

    #[test]
    fn times_are_digits() {
        let check = |value: &str| unix_time(&post(&[("t", value)], ""), "t").ok();
        assert_eq!(check("1614265330"), Some(1_614_265_330));
        for other in ["", "-1", "+1", "1.5", "1e9", "99999999999999999999", "soon"] {
            assert_eq!(check(other), None, "{other:?}");
        }
    }
}
