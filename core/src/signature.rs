//! Keyed hashes, their notations, and the age of what was signed.
//!
//! In scope: HMAC, SHA-256, hex and base64 as signatures are written in, the
//! `whsec_` form of secrets and the signature of the Standard Webhooks
//! specification. Out of scope: where a provider puts its signature and what it
//! signs; that stands in the provider's file.
//!
//! What comes from outside is compared whole and in constant time. A truncated
//! signature, an empty one and an empty key never prove anything.

use crate::{
    base64::{self, Spelling},
    inbound::Refusal,
    secret::Secret,
    time::Timestamp,
    webhook::{Algorithm, Encoding},
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// What stands before the base64 of a Standard Webhooks secret.
pub const WHSEC: &str = "whsec_";

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 over parts, each behind its length, so that no two lists of parts
/// hash the same bytes.
#[must_use]
pub fn sha256_of_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // A length in memory always fits 64 bits.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC (RFC 2104) over the parts, one after the other. `None` for an empty key:
/// what anybody can compute proves nothing.
#[must_use]
pub fn keyed_hash(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Sha1 => mac::<Hmac<Sha1>>(key, parts),
        Algorithm::Sha256 => mac::<Hmac<Sha256>>(key, parts),
        Algorithm::Sha512 => mac::<Hmac<Sha512>>(key, parts),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    if key.is_empty() {
        return None;
    }
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        #[cfg(test)]
        crate::work::add(part.len());
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

/// Whether `presented` is exactly `expected`, in constant time. Empty equals
/// nothing; a part of it is not it.
#[must_use]
pub fn equal(expected: &[u8], presented: &[u8]) -> bool {
    !expected.is_empty() && bool::from(expected.ct_eq(presented))
}

/// Reads a presented signature. Hex is read in either case; base64 in the
/// standard alphabet, with its padding, in its one canonical spelling. `None`
/// when it is empty or not that.
#[must_use]
pub fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    let bytes = match encoding {
        Encoding::Hex => {
            // Into what is there already: collecting byte by byte is slower.
            let mut bytes = vec![0; text.len().div_euclid(2)];
            hex::decode_to_slice(text, &mut bytes).ok()?;
            bytes
        }
        Encoding::Base64 => base64::decode(text, Spelling::Canonical)?,
    };
    (!bytes.is_empty()).then_some(bytes)
}

/// Reads a signature in any notation and of any known length, to tell what is wrong
/// with it: base64 also in the URL-safe alphabet and without padding. What is to prove
/// something is read by [`decode`].
#[must_use]
pub fn decode_leniently(text: &str) -> Option<(Encoding, Vec<u8>)> {
    // The longest is SHA-512 in hex.
    if text.len() > 128 {
        return None;
    }
    let is_whole = |bytes: &Vec<u8>| matches!(bytes.len(), 20 | 32 | 64);
    let hex = decode(Encoding::Hex, text).filter(is_whole);
    hex.map(|bytes| (Encoding::Hex, bytes)).or_else(|| {
        let standard: String = text
            .chars()
            .map(|letter| match letter {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        let bytes = base64::decode(&standard, Spelling::Any);
        let bytes = bytes.filter(is_whole)?;
        Some((Encoding::Base64, bytes))
    })
}

/// Writes bytes: lower-case hex, or padded standard base64.
#[must_use]
pub fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => base64::encode(bytes),
    }
}

/// The key behind a `whsec_…` secret: its base64, decoded. As in the libraries of
/// the specification, the prefix may be missing. `None` when nothing can be
/// decoded: such a secret never proves anything.
///
/// Secrets are pasted by people and made by many libraries, which neither agree on
/// padding nor on the unused bits of the last letter. Presented *signatures* are
/// read exactly, by [`decode`].
#[must_use]
pub fn whsec_key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose();
    let text = text.strip_prefix(WHSEC).unwrap_or(text);
    base64::decode(text, Spelling::Any).filter(|key| !key.is_empty())
}

/// The keyed hash of the Standard Webhooks specification, over
/// `id.timestamp.body`. The timestamp is the text that stands in the header.
#[must_use]
pub fn standard_webhooks_mac(
    key: &[u8],
    id: &str,
    timestamp: &str,
    body: &[u8],
) -> Option<Vec<u8>> {
    keyed_hash(
        Algorithm::Sha256,
        key,
        &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body],
    )
}

/// What `webhook-signature` holds for this message: `v1,<base64>`. `timestamp` is the
/// text in `webhook-timestamp`: Unix seconds. `None` when the secret cannot be decoded.
///
/// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
#[must_use]
pub fn standard_webhooks_signature(
    secret: &Secret,
    id: &str,
    timestamp: &str,
    body: &[u8],
) -> Option<String> {
    let key = whsec_key(secret)?;
    let mac = standard_webhooks_mac(&key, id, timestamp, body)?;
    Some(format!("v1,{}", encode(Encoding::Base64, &mac)))
}

/// Whether what was signed at `signed_at_seconds` (Unix seconds) is within
/// `tolerance` seconds of `now`, in the past and in the future alike. No
/// tolerance means no limit.
///
/// # Errors
/// How far off it is.
pub fn check_age(
    signed_at_seconds: i64,
    now: Timestamp,
    tolerance: Option<u32>,
) -> Result<(), Refusal> {
    let Some(tolerance) = tolerance else {
        return Ok(());
    };
    let tolerance_seconds = i64::from(tolerance);
    let age_seconds = now.seconds().saturating_sub(signed_at_seconds);
    if age_seconds > tolerance_seconds {
        return Err(Refusal::StaleTimestamp {
            age_seconds,
            tolerance_seconds,
        });
    }
    let ahead_seconds = age_seconds.saturating_neg();
    if ahead_seconds > tolerance_seconds {
        return Err(Refusal::FutureTimestamp { ahead_seconds });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex_mac(algorithm: Algorithm, key: &[u8], data: &[u8]) -> String {
        encode(
            Encoding::Hex,
            &keyed_hash(algorithm, key, &[data]).unwrap_or_default(),
        )
    }

    #[test]
    fn known_answers_of_rfc_2202_and_rfc_4231() {
        let check = |algorithm, key: &[u8], data: &[u8], expected: &str| {
            assert_eq!(hex_mac(algorithm, key, data), expected);
        };
        let jefe: (&[u8], &[u8]) = (b"Jefe", b"what do ya want for nothing?");
        let long_key = [0xaa_u8; 131];
        let long_data = b"Test Using Larger Than Block-Size Key - Hash Key First";
        check(
            Algorithm::Sha1,
            &[0x0b; 20],
            b"Hi There",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        );
        check(
            Algorithm::Sha1,
            jefe.0,
            jefe.1,
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        );
        check(
            Algorithm::Sha256,
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        );
        check(
            Algorithm::Sha256,
            jefe.0,
            jefe.1,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            Algorithm::Sha256,
            &long_key,
            long_data,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
        check(
            Algorithm::Sha512,
            jefe.0,
            jefe.1,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        );
    }

    #[test]
    fn the_signature_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into());
        assert_eq!(
            standard_webhooks_signature(
                &secret,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                br#"{"test": 2432232314}"#
            )
            .as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn secrets_are_decoded_leniently_or_not_at_all() {
        let key = |text: &str| whsec_key(&Secret::new(text.into()));
        assert_eq!(key("whsec_YWJj"), Some(b"abc".to_vec()));
        assert_eq!(key("YWJj"), Some(b"abc".to_vec()));
        assert_eq!(key("whsec_YWI="), Some(b"ab".to_vec()));
        assert_eq!(key("whsec_YWI"), Some(b"ab".to_vec()), "padding is missing");
        for not_one in ["", "whsec_", "whsec_!", "whsec_YWJj YWJj", "whsec_=", "a"] {
            assert_eq!(key(not_one), None, "{not_one:?}");
        }
        assert_eq!(
            standard_webhooks_signature(&Secret::new("whsec_".into()), "a", "1", b""),
            None
        );
    }

    #[test]
    fn signatures_are_read_exactly() {
        assert_eq!(decode(Encoding::Hex, "aBcD"), Some(vec![0xab, 0xcd]));
        assert_eq!(decode(Encoding::Base64, "YWI="), Some(b"ab".to_vec()));
        assert_ne!(decode(Encoding::Base64, "YwI="), Some(b"ab".to_vec()));
        for (encoding, text) in [
            (Encoding::Hex, ""),
            (Encoding::Hex, "abc"),
            (Encoding::Hex, "0xab"),
            (Encoding::Hex, " ab"),
            (Encoding::Base64, ""),
            (Encoding::Base64, "YWI"),
            // The same bytes in another spelling.
            (Encoding::Base64, "YWJ="),
            (Encoding::Base64, "YWI=\n"),
            // The URL-safe alphabet.
            (Encoding::Base64, "_-8="),
        ] {
            assert_eq!(decode(encoding, text), None, "{text:?}");
        }
    }

    #[test]
    fn signatures_in_any_notation_are_recognised_and_nothing_else() {
        for length in [20, 32, 64] {
            let bytes = vec![0xfb; length];
            let (hex, base64) = (
                encode(Encoding::Hex, &bytes),
                encode(Encoding::Base64, &bytes),
            );
            let unpadded = base64.trim_end_matches('=').to_owned();
            let url = unpadded.replace('+', "-").replace('/', "_");
            assert_ne!(url, unpadded);
            let read = |text: &str| decode_leniently(text);
            assert_eq!(read(&hex), Some((Encoding::Hex, bytes.clone())));
            assert_eq!(
                read(&hex.to_uppercase()),
                Some((Encoding::Hex, bytes.clone()))
            );
            for text in [base64, unpadded, url] {
                assert_eq!(read(&text), Some((Encoding::Base64, bytes.clone())));
                assert_eq!(read(&format!("{text} ")), None);
            }
        }
        for other in [
            "",
            "ab",
            "t",
            &"00".repeat(21),
            &"00".repeat(65),
            &"A".repeat(1_000),
        ] {
            assert_eq!(decode_leniently(other), None, "{other}");
        }
    }

    #[test]
    fn an_empty_key_or_signature_proves_nothing() {
        assert_eq!(keyed_hash(Algorithm::Sha256, b"", &[b"x"]), None);
        assert!(!equal(b"", b""));
        assert!(!equal(b"abc", b"ab"));
        assert!(!equal(b"abc", b""));
        assert!(equal(b"abc", b"abc"));
    }

    #[test]
    fn age_is_judged_to_the_second_both_ways() {
        let now = Timestamp::from_seconds(1_000);
        assert_eq!(check_age(700, now, Some(300)), Ok(()));
        assert_eq!(check_age(1_300, now, Some(300)), Ok(()));
        assert_eq!(
            check_age(699, now, Some(300)),
            Err(Refusal::StaleTimestamp {
                age_seconds: 301,
                tolerance_seconds: 300
            })
        );
        assert_eq!(
            check_age(1_301, now, Some(300)),
            Err(Refusal::FutureTimestamp { ahead_seconds: 301 })
        );
        assert_eq!(check_age(0, now, None), Ok(()));
        assert_eq!(check_age(1_000, now, Some(0)), Ok(()));
        for extreme in [i64::MIN, i64::MAX] {
            assert!(check_age(extreme, now, Some(u32::MAX)).is_err());
        }
    }

    proptest! {
        #[test]
        fn parts_are_not_confused(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>) {
            let joined = [a.as_slice(), &b].concat();
            prop_assert_ne!(sha256_of_parts(&[&a, &b]), sha256_of_parts(&[&joined]));
            prop_assert_eq!(
                sha256_of_parts(&[&a, &b]) == sha256_of_parts(&[&a, &c]),
                b == c
            );
        }

        #[test]
        fn a_hash_over_parts_is_one_over_their_concatenation(
            key in prop::collection::vec(any::<u8>(), 1..80), a: Vec<u8>, b: Vec<u8>
        ) {
            let joined = [a.as_slice(), &b].concat();
            prop_assert_eq!(
                keyed_hash(Algorithm::Sha512, &key, &[&a, &b]),
                keyed_hash(Algorithm::Sha512, &key, &[&joined])
            );
        }

        #[test]
        fn notations_round_trip_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 1..70), text: String) {
            for encoding in [Encoding::Hex, Encoding::Base64] {
                prop_assert_eq!(decode(encoding, &encode(encoding, &bytes)), Some(bytes.clone()));
                let _ = decode(encoding, &text);
            }
            let _ = decode_leniently(&text);
            let _ = whsec_key(&Secret::new(text));
        }
    }
}
