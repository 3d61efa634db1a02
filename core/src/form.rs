//! `application/x-www-form-urlencoded`: the queries of operators and the bodies of
//! some providers. Strict: what is malformed is no text, rather than some text.

/// Decodes a name or value; `None` when it is malformed or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from((high << 4) | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The first value of that name in a form.
pub(crate) fn value(form: &[u8], name: &str) -> Option<String> {
    std::str::from_utf8(form)
        .ok()?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(known, _)| decode(known).as_deref() == Some(name))
        .and_then(|(_, value)| decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::form_urlencoded::Serializer;

    #[test]
    fn a_value_is_found_and_decoded_or_there_is_none() {
        for (form, expected) in [
            ("payload=%7B%7D", Some("{}")),
            ("a=1&payload=x+y%2Bz&payload=2", Some("x y+z")),
            ("%ff=1&p%61yload=%C4%91%c6%a1n", Some("đơn")),
            ("payload", Some("")),
            ("payload==&", Some("=")),
            ("Payload=1", None),
            ("payload=%e1%ba", None),
            ("payload=%zz", None),
            ("payload=%4", None),
            ("payload=%+4", None),
            ("", None),
        ] {
            let found = value(form.as_bytes(), "payload");
            assert_eq!(found.as_deref(), expected, "{form}");
        }
        assert_eq!(value(b"payload=\xff", "payload"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_is_found(before: String, text: String) {
            let form = Serializer::new(String::new())
                .append_pair(&format!("-{before}"), &text)
                .append_pair("payload", &text)
                .finish();
            prop_assert_eq!(value(form.as_bytes(), "payload"), Some(text));
        }
    }
}
