//! Notations of keyed hashes, keys behind `whsec_`, and the age of what was signed.

use super::text_line;
use crate::{
    secret::Secret,
    signature::{
        check_age, decode, encode, equal, keyed_hash, sha256_of_parts, standard_webhooks_mac,
        standard_webhooks_signature, whsec_key,
    },
    time::Timestamp,
    webhook::{Algorithm, Encoding},
};

/// Bytes to write, or a text to read and bytes behind it.
pub fn signatures(data: &[u8]) {
    notations(data);
    let (text, rest) = text_line(data);
    keys(&text, rest);
    hashes(text.as_bytes(), rest);
    ages(data);
}

fn notations(data: &[u8]) {
    let bytes = (!data.is_empty()).then_some(data);
    for encoding in [Encoding::Hex, Encoding::Base64] {
        let written = encode(encoding, data);
        assert_eq!(decode(encoding, &written).as_deref(), bytes);
        // Nothing more and nothing less is the same signature.
        for other in [
            format!("{written}="),
            format!(" {written}"),
            format!("{written}\n"),
        ] {
            assert!(
                decode(encoding, &other).is_none_or(|read| Some(read.as_slice()) != bytes),
                "{other:?}"
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(read) = decode(Encoding::Hex, text) {
            assert_eq!(encode(Encoding::Hex, &read), text.to_ascii_lowercase());
        }
        if let Some(read) = decode(Encoding::Base64, text) {
            assert_eq!(encode(Encoding::Base64, &read), text, "another spelling");
        }
    }
}

fn keys(text: &str, body: &[u8]) {
    let secret = Secret::new(text.to_owned());
    let key = whsec_key(&secret);
    let signed = standard_webhooks_signature(&secret, "msg_1", "1700000000", body);
    assert_eq!(signed.is_some(), key.is_some(), "signed without a key");
    let Some(key) = key else { return };
    assert!(!key.is_empty());
    for spelling in ["whsec_", ""] {
        let spelled = [spelling, &encode(Encoding::Base64, &key)].concat();
        assert_eq!(whsec_key(&Secret::new(spelled)).as_ref(), Some(&key));
    }
    let mac = standard_webhooks_mac(&key, "msg_1", "1700000000", body);
    let mac = mac.map(|mac| ["v1,", &encode(Encoding::Base64, &mac)].concat());
    assert_eq!(signed, mac);
}

fn hashes(key: &[u8], body: &[u8]) {
    let (one, other) = body.split_at(body.len() / 2);
    assert_eq!(
        sha256_of_parts(&[one, other]) == sha256_of_parts(&[other, one]),
        one == other,
        "parts are confused"
    );
    assert_ne!(sha256_of_parts(&[one, other]), sha256_of_parts(&[body]));
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let mac = keyed_hash(algorithm, key, &[body]);
        assert_eq!(mac.is_none(), key.is_empty(), "an empty key signs nothing");
        assert_eq!(mac, keyed_hash(algorithm, key, &[one, other]));
        let Some(mac) = mac else { continue };
        assert!(equal(&mac, &mac));
        let (part, _) = mac.split_at(mac.len() / 2);
        assert!(!equal(&mac, part) && !equal(part, &mac) && !equal(b"", b""));
    }
}

fn ages(data: &[u8]) {
    let Some((signed_at, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let Some((now, rest)) = rest.split_first_chunk::<8>() else {
        return;
    };
    let signed_at = i64::from_le_bytes(*signed_at);
    let now = Timestamp::from_millis(i64::from_le_bytes(*now));
    let tolerance = rest
        .first_chunk::<2>()
        .map(|two| u32::from(u16::from_le_bytes(*two)));
    let apart = i128::from(now.seconds()).abs_diff(i128::from(signed_at));
    let within = tolerance.is_none_or(|tolerance| apart <= u128::from(tolerance));
    assert_eq!(check_age(signed_at, now, tolerance).is_ok(), within);
}
