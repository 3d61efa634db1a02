//! Reading what a request presents as its proof: header fields, times, and the
//! signatures in them. Empty is the same as missing, and unreadable is refused.

use crate::{
    headers::Headers,
    inbound::{Inbound, Refusal},
    secret::Secret,
    signature,
    webhook::{Algorithm, Encoding},
};
use std::borrow::Cow;

/// The header field's value without blanks around it.
///
/// # Errors
/// When it is missing or empty.
pub(super) fn header<'i>(of: &'i impl AsRef<Headers>, name: &str) -> Result<&'i str, Refusal> {
    of.as_ref()
        .get(name)
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::MissingHeader(name.to_owned()))
}

/// Whether the header field holds this secret: alone, or behind the name of a scheme in
/// any case and blanks (RFC 9110, section 11.4), such as `Bearer`.
///
/// # Errors
/// When it is missing, of another scheme, or holds another secret.
pub(super) fn check_token(
    inbound: &Inbound,
    name: &str,
    scheme: &str,
    secret: &Secret,
) -> Result<(), Refusal> {
    let value = header(inbound, name)?;
    let token = if scheme.is_empty() {
        value
    } else {
        value
            .split_once(|letter: char| letter.is_ascii_whitespace())
            .filter(|(presented, _)| presented.eq_ignore_ascii_case(scheme))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| malformed(name, format!("it has to be {scheme} and the secret")))?
    };
    prove(secret.matches(token.as_bytes()))
}

/// Nothing is said of what was wrong when nothing matched.
pub(super) const fn prove(matches: bool) -> Result<(), Refusal> {
    if matches {
        Ok(())
    } else {
        Err(Refusal::WrongSecretOrAlteredBody)
    }
}

/// The refusal of a header field that cannot be read.
pub(super) fn malformed(header: &str, why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::MalformedHeader {
        header: header.to_owned(),
        why: why.into(),
    }
}

/// A Unix time in the header field, in whatever unit: digits alone.
///
/// # Errors
/// When it is missing or anything else stands there.
pub(super) fn unix_time(of: &impl AsRef<Headers>, name: &str) -> Result<i64, Refusal> {
    digits(header(of, name)?)
        .ok_or_else(|| malformed(name, "it has to be a Unix time, digits alone"))
}

fn digits(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// What a header field such as `t=1734924830,v1=5257a8…,v1=…` holds.
pub(super) struct Stamped<'i> {
    /// The time as it was written.
    pub(super) time: &'i str,
    /// The same as a number, in whatever unit.
    pub(super) at: i64,
    /// The signatures of the version, decoded. All of them are to be tried: a sender
    /// that rotates its secret sends several.
    pub(super) signatures: Vec<Vec<u8>>,
}

impl Stamped<'_> {
    /// Whether one of the signatures is this keyed hash.
    pub(super) fn holds(&self, mac: &[u8]) -> bool {
        self.signatures.iter().any(|one| signature::equal(mac, one))
    }
}

/// Reads a header field of `name=value` pairs between commas: one time `t`, and hex
/// signatures under the name `version`. Other pairs are passed over.
///
/// # Errors
/// When it is missing or does not hold both.
pub(super) fn stamped<'i>(
    of: &'i impl AsRef<Headers>,
    name: &str,
    version: &str,
) -> Result<Stamped<'i>, Refusal> {
    let pairs = || {
        let pieces = header(of, name)?.split(',');
        Ok(pieces.filter_map(|piece| piece.trim().split_once('=')))
    };
    let mut times = pairs()?.filter_map(|(key, value)| (key == "t").then_some(value));
    let time = times.next().ok_or_else(|| {
        malformed(
            name,
            "it holds no time; it has to be t=<Unix time>,<version>=<hex>",
        )
    })?;
    if times.next().is_some() {
        return Err(malformed(
            name,
            "it holds several times, and one only can be the signed one",
        ));
    }
    let at = digits(time)
        .ok_or_else(|| malformed(name, "its time t has to be a Unix time, digits alone"))?;
    let mut signatures = Vec::new();
    let mut is_known = false;
    for (key, value) in pairs()? {
        if key == version {
            is_known = true;
            signatures.extend(signature::decode(Encoding::Hex, value));
        }
    }
    match (is_known, signatures.is_empty()) {
        (false, _) => Err(Refusal::UnknownVersion(name.to_owned())),
        (true, true) => Err(malformed(name, "its signature is not hex")),
        (true, false) => Ok(Stamped {
            time,
            at,
            signatures,
        }),
    }
}

/// The bytes that a raw-body signature may be over: those that came and, where
/// they were compressed, those behind it. Both are keyed hashes, so trying both
/// weakens neither.
pub(super) fn signed_bodies(inbound: &Inbound) -> impl Iterator<Item = &[u8]> {
    std::iter::once(inbound.body.as_slice()).chain(inbound.decoded.as_deref())
}

/// The keyed hashes of the body alone, as it came and decoded.
pub(super) fn body_hashes(inbound: &Inbound, secret: &Secret) -> Vec<Vec<u8>> {
    let key = secret.expose().as_bytes();
    signed_bodies(inbound)
        .filter_map(|body| signature::keyed_hash(Algorithm::Sha256, key, &[body]))
        .collect()
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
    let several = |text: &str| {
        text.bytes()
            .any(|byte| byte == b',' || byte.is_ascii_whitespace())
    };
    let list = several(value).then(|| {
        let pieces = value.split(|letter| letter == ',' || blank(letter));
        // A prefix may itself hold a comma or a blank: what stands between commas
        // alone or blanks alone are candidates as well.
        let wider = value.split(',').chain(value.split(blank));
        let wider = wider.map(|wide| wide.trim().trim_end_matches(','));
        pieces.chain(wider.filter(|wide| several(wide)))
    });
    let candidates = std::iter::once(value).chain(list.into_iter().flatten());
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
        (false, false) => {
            let notation = match encoding {
                Encoding::Hex => "hex",
                Encoding::Base64 => "base64",
            };
            let why = format!("it has to be {prefix}<signature in {notation}>");
            Err(malformed(name, why))
        }
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
            ("HMAC ", "HMAC 0000, HMAC abcd", Ok(())),
            ("HMAC ", "HMAC abcd,HMAC 0000", Ok(())),
            ("v1,", "v1,0000 v1,abcd", Ok(())),
            ("v1,", "v1,abcd, v1,0000", Ok(())),
        ] {
            assert_eq!(check(prefix, value), result, "{prefix:?} {value:?}");
        }
    }

    #[test]
    fn tokens_are_compared_whole_behind_their_scheme() {
        let check = |scheme: &str, value: &str, secret: &str| {
            let inbound = post(&[("authorization", value)], "");
            let secret = Secret::new(secret.into());
            check_token(&inbound, "Authorization", scheme, &secret).map_err(|why| why.code())
        };
        let wrong = Err("wrong_secret_or_altered_body");
        let malformed = Err("malformed_header");
        let missing = Err("missing_header");
        for (scheme, value, secret, result) in [
            ("", "k3y", "k3y", Ok(())),
            ("", " k3y ", "k3y", Ok(())),
            ("", "k3Y", "k3y", wrong),
            ("", "k3y k3y", "k3y", wrong),
            ("", "", "k3y", missing),
            ("", "", "", missing),
            ("", "x", "", wrong),
            ("Apikey", "Apikey k3y", "k3y", Ok(())),
            ("Apikey", "apikey  k3y", "k3y", Ok(())),
            ("Apikey", "APIKEY\tk3y", "k3y", Ok(())),
            ("Apikey", "Apikey a b", "a b", Ok(())),
            ("Apikey", "Apikey k3Y", "k3y", wrong),
            ("Apikey", "Apikey k3y x", "k3y", wrong),
            ("Apikey", "Apikey", "k3y", malformed),
            ("Apikey", "Apikey ", "k3y", malformed),
            ("Apikey", "Apikey x", "", wrong),
            ("Apikey", "k3y", "k3y", malformed),
            ("Apikey", "Apikeyk3y", "k3y", malformed),
            ("Apikey", "Bearer k3y", "k3y", malformed),
            ("Bearer", "Bearer k3y", "k3y", Ok(())),
        ] {
            assert_eq!(check(scheme, value, secret), result, "{scheme:?} {value:?}");
        }
    }

    #[test]
    fn stamped_signatures_are_read_in_any_order() {
        let check = |value: &str| {
            let inbound = post(&[("x-sig", value)], "");
            let read = stamped(&inbound, "x-sig", "v1");
            read.map(|read| (read.time.to_owned(), read.at, read.holds(&[0xab])))
                .map_err(|why| why.code())
        };
        let right = Ok(("012".to_owned(), 12, true));
        for value in [
            "t=012,v1=ab",
            "v1=AB,t=012",
            " t=012 , v1=ab ",
            "t=012, v1=00, v1=ab",
            "t=012,v1=ab,v1=00",
            "t=012,v0=00,v1=ab,v2=x,,x",
            "t=012,v1=zz,v1=ab",
        ] {
            assert_eq!(check(value), right, "{value}");
        }
        assert_eq!(check("t=012,v1=00"), Ok(("012".to_owned(), 12, false)));
        for (value, why) in [
            ("", "missing_header"),
            ("v1=ab", "malformed_header"),
            ("t=,v1=ab", "malformed_header"),
            ("t=-1,v1=ab", "malformed_header"),
            ("t=1.5,v1=ab", "malformed_header"),
            ("t=99999999999999999999,v1=ab", "malformed_header"),
            ("t=1,t=1,v1=ab", "malformed_header"),
            ("t=1,v1=ab, t=2,v1=ab", "malformed_header"),
            ("t=1,v1=", "malformed_header"),
            ("t=1,v1=zz", "malformed_header"),
            ("t=1", "unknown_version"),
            ("t=1,v0=ab", "unknown_version"),
            ("t=1,V1=ab", "unknown_version"),
            ("ab", "malformed_header"),
        ] {
            assert_eq!(check(value), Err(why), "{value}");
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
