//! Reading form bodies: `application/x-www-form-urlencoded` and, in [`multipart`],
//! `multipart/form-data`.
//!
//! Some senders let people choose between JSON and forms. A form is read into JSON
//! with the fields as members, so that whatever looks for a member finds it in
//! either. What is relayed are always the bytes that came.
//!
//! Two forms that hold different fields never become the same JSON: a byte that is no
//! UTF-8 is written as half of a surrogate pair, which is no character either.
//!
//! Out of scope: files, nested names such as `order[id]` (kept as they are).

pub mod multipart;

use crate::{
    canonical_json::Notation,
    headers::Headers,
    json::{BYTE_ORDER_MARK, Json},
};
use std::borrow::Cow;

/// A form with more fields is not read.
pub const MOST_FIELDS: usize = 1_000;

/// A field's name and value, decoded.
pub type Field = (Vec<u8>, Vec<u8>);

/// The JSON that a body is to be read as: itself, or its fields when it is a form. A
/// form that cannot be read stays what it is.
#[must_use]
pub fn document<'a>(headers: &Headers, content: &'a [u8]) -> Cow<'a, [u8]> {
    // JSON stays JSON, under whatever content type.
    let fields = if Json::parse(content).is_some() {
        None
    } else {
        fields(headers.get("content-type").unwrap_or_default(), content)
    };
    fields.map_or(Cow::Borrowed(content), |fields| {
        Cow::Owned(to_json(&fields).into_bytes())
    })
}

/// The fields of a form of this `content-type`, in order, without a byte order mark in
/// front. `None` when it is no form,
/// cannot be read, has no fields or more than [`MOST_FIELDS`].
#[must_use]
pub fn fields(content_type: &str, content: &[u8]) -> Option<Vec<Field>> {
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let is = |name: &str| kind.trim().eq_ignore_ascii_case(name);
    let fields = if is("application/x-www-form-urlencoded") {
        urlencoded(content)
    } else if is("multipart/form-data") {
        multipart::fields(&multipart::boundary(parameters)?, content)
    } else {
        None
    };
    fields.filter(|fields| !fields.is_empty())
}

/// The fields of an `application/x-www-form-urlencoded` body, in order. `None` when
/// there are more than [`MOST_FIELDS`].
///
/// Source: <https://url.spec.whatwg.org/#urlencoded-parsing>
#[must_use]
pub fn urlencoded(content: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    for piece in content.split(|byte| *byte == b'&') {
        if piece.is_empty() {
            continue;
        }
        if fields.len() >= MOST_FIELDS {
            return None;
        }
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let mut half = || percent_decode(halves.next().unwrap_or_default());
        fields.push((half(), half()));
    }
    Some(fields)
}

/// `+` is a blank, `%` and two hex digits a byte; anything else is itself.
fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let mut byte = [*first];
        rest = after;
        match (first, after) {
            (b'+', _) => byte = [b' '],
            (b'%', [high, low, after @ ..])
                if hex::decode_to_slice([*high, *low], &mut byte).is_ok() =>
            {
                rest = after;
            }
            _ => byte = [*first],
        }
        decoded.extend(byte);
    }
    decoded
}

/// A JSON object with the fields as members, in order.
#[must_use]
pub fn to_json(fields: &[Field]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_bytes(name, &mut out);
        out.push(':');
        write_bytes(value, &mut out);
    }
    out.push('}');
    out
}

fn write_bytes(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        Notation::JAVASCRIPT.write_text(chunk.valid(), out);
        for byte in chunk.invalid() {
            out.push_str("\\udc");
            out.push_str(&hex::encode([*byte]));
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(fields: &[(&str, &str)]) -> Vec<Field> {
        fields
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn fields_are_decoded() {
        for (form, fields) in [
            ("", &[][..]),
            ("a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("&&a=1&", &[("a", "1")]),
            ("a=1=2&b&=c", &[("a", "1=2"), ("b", ""), ("", "c")]),
            (
                "content=Chuy%E1%BB%83n+kho%E1%ba%a3n%2B1",
                &[("content", "Chuyển khoản+1")],
            ),
            ("a%3d=%26", &[("a=", "&")]),
            (
                "p=%&q=%4&r=%zz&s=%+5&t=%25",
                &[
                    ("p", "%"),
                    ("q", "%4"),
                    ("r", "%zz"),
                    ("s", "% 5"),
                    ("t", "%"),
                ],
            ),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
        ] {
            assert_eq!(urlencoded(form.as_bytes()), Some(owned(fields)), "{form}");
        }
        let many = |count: usize| vec!["a=1"; count].join("&");
        assert!(urlencoded(many(1_000).as_bytes()).is_some());
        assert_eq!(urlencoded(many(1_001).as_bytes()), None);
    }

    #[test]
    fn the_content_type_decides_unless_it_is_json() {
        let read = |content_type: &str, body: &str| {
            let headers = [("content-type", content_type)].into_iter().collect();
            let document = document(&headers, body.as_bytes());
            String::from_utf8(document.into_owned()).unwrap()
        };
        let form = r#"{"id":"1"}"#;
        assert_eq!(read("application/x-www-form-urlencoded", "id=1"), form);
        assert_eq!(
            read("Application/X-WWW-Form-URLencoded; charset=UTF-8", "id=1"),
            form
        );
        let marked = "\u{feff}id=1";
        assert_eq!(read("application/x-www-form-urlencoded", marked), form);
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n1\r\n--x--\r\n";
        assert_eq!(read("multipart/form-data; boundary=x", multipart), form);
        let marked = ["\u{feff}", multipart].concat();
        assert_eq!(read("multipart/form-data; boundary=x", &marked), form);
        for (content_type, body) in [
            ("application/x-www-form-urlencoded", r#"{"id":1}"#),
            ("multipart/form-data; boundary=x", r#"{"id":1}"#),
            ("application/json", "id=1"),
            ("", "id=1"),
            ("application/x-www-form-urlencoded", ""),
            ("application/x-www-form-urlencoded", "&&"),
            ("multipart/form-data; boundary=x", "--x--"),
            ("multipart/form-data", multipart),
            ("multipart/form-data; boundary=y", multipart),
            ("text/plain", multipart),
        ] {
            assert_eq!(read(content_type, body), body, "{content_type}");
        }
    }

    #[test]
    fn what_is_no_text_is_kept_apart_and_names_nothing() {
        let json = to_json(&urlencoded(b"a=x%ff&b=%22%5C%0a&c=\xc3").unwrap());
        assert_eq!(json, r#"{"a":"x\udcff","b":"\"\\\n","c":"\udcc3"}"#);
        let object = Json::parse(json.as_bytes()).unwrap().object().unwrap();
        assert_eq!(object.id("a"), None);
        assert!(object.shown("a").unwrap().starts_with('x'));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            content_type in "(application/x-www-form-urlencoded|multipart/form-data; boundary=[a-z\" ;=]{0,4}|.{0,30})",
            content: Vec<u8>,
        ) {
            let headers = [("content-type", content_type.as_str())].into_iter().collect();
            let _ = document(&headers, &content);
        }

        #[test]
        fn what_a_browser_writes_is_read(fields: Vec<(String, String)>) {
            let written: String = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&fields)
                .finish();
            let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
            prop_assert_eq!(urlencoded(written.as_bytes()), Some(fields));
        }

        #[test]
        fn different_fields_are_different_json(
            one: Vec<(Vec<u8>, Vec<u8>)>, other: Vec<(Vec<u8>, Vec<u8>)>, byte: u8
        ) {
            prop_assert!(Json::parse(to_json(&one).as_bytes()).is_some());
            prop_assert_eq!(to_json(&one) == to_json(&other), one == other);
            let mut changed = one.clone();
            if let Some(first) = changed.first_mut().and_then(|field| field.1.first_mut()) {
                *first = byte;
                prop_assert_eq!(to_json(&one) == to_json(&changed), one == changed);
            }
        }
    }
}
