//! Whether the part of a label after `xn--` is Punycode (RFC 3492). Only the form is
//! seen: which letters a name may be made of is for registries, and `fetch`, to say.

/// The parameters of section 5.
const BASE: u32 = 36;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE_POINT: u32 = 128;

/// Whether `text`, in lower case, decodes to a text with characters outside ASCII.
pub(super) fn is_well_formed(text: &str) -> bool {
    // A delimiter stands only where something stands before it.
    let (ascii, coded) = match text.rsplit_once('-') {
        Some(("", _)) => return false,
        Some(parts) => parts,
        None => ("", text),
    };
    !coded.is_empty() && decode(ascii.len(), coded).is_some()
}

/// Section 6.2 without keeping the characters: all that matters is that each of them
/// is one.
fn decode(ascii: usize, coded: &str) -> Option<()> {
    let mut length = u32::try_from(ascii).ok()?;
    let mut code_point = FIRST_CODE_POINT;
    let mut at = 0_u32;
    let mut bias = FIRST_BIAS;
    let mut digits = coded.chars().map(digit).peekable();
    let mut first = true;
    while digits.peek().is_some() {
        let before = at;
        let mut weight = 1_u32;
        let mut position = BASE;
        loop {
            let digit = digits.next()??;
            at = at.checked_add(digit.checked_mul(weight)?)?;
            let threshold = position.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE.checked_sub(threshold)?)?;
            position = position.checked_add(BASE)?;
        }
        length = length.checked_add(1)?;
        bias = adapt(at.checked_sub(before)?, length, first)?;
        first = false;
        code_point = code_point.checked_add(at.checked_div(length)?)?;
        char::from_u32(code_point)?;
        at = at.checked_rem(length)?.checked_add(1)?;
    }
    Some(())
}

/// Section 6.1.
fn adapt(delta: u32, length: u32, first: bool) -> Option<u32> {
    let mut delta = delta.checked_div(if first { 700 } else { 2 })?;
    delta = delta.checked_add(delta.checked_div(length)?)?;
    let mut bias = 0_u32;
    while delta > 455 {
        delta = delta.checked_div(35)?;
        bias = bias.checked_add(BASE)?;
    }
    bias.checked_add(delta.checked_mul(36)?.checked_div(delta.checked_add(38)?)?)
}

/// `a` to `z` are 0 to 25, `0` to `9` are 26 to 35.
fn digit(c: char) -> Option<u32> {
    match c {
        'a'..='z' => u32::from(c).checked_sub(u32::from('a')),
        '0'..='9' => u32::from(c).checked_sub(22),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_told_from_noise() {
        for text in [
            // Names that there are.
            "80ak6aa92e",
            "nhng-coa96m",
            "p1ai",
            "fiqs8s",
            // RFC 3492, section 7.1: (A), (G), (L).
            "egbpdaj6bu4bxfgehfvwxn",
            "b1abfaaepdrnnbgefbadotcwatmq2g4l",
            "3b-ww4c5e180e575a65lsy2b",
        ] {
            assert!(is_well_formed(text), "{text}");
        }
        for text in [
            "",
            "-",
            "a-",
            "-a",
            "--",
            "zzzzzzzz",
            "z",
            "99999999",
            "a-99999999999",
            "80AK6AA92E",
            "đ",
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }

    fn has_non_ascii(text: &str) -> bool {
        idna::punycode::decode(text)
            .is_some_and(|decoded| decoded.iter().any(|letter| !letter.is_ascii()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn noise_is_judged_as_a_decoder_judges_it(text in "([a-z]{0,3}-)?[a-z0-9]{0,12}") {
            prop_assert_eq!(is_well_formed(&text), has_non_ascii(&text));
        }

        #[test]
        fn what_is_encoded_is_well_formed(text in "[a-z0-9-]{0,5}[^\\x00-\\x7f]{1,5}[a-z]{0,5}") {
            let encoded = idna::punycode::encode_str(&text).unwrap();
            prop_assert!(is_well_formed(&encoded), "{}", encoded);
        }
    }
}
