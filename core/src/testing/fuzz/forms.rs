//! Forms as `application/x-www-form-urlencoded`, and what a form becomes as JSON.

use super::text_line;
use crate::{
    form::{self, Field},
    headers::Headers,
    json::Json,
};

/// A content type in the first line, then a body; the body is also read as
/// urlencoded, whole and in halves.
pub fn forms(data: &[u8]) {
    let (content_type, content) = text_line(data);
    let headers: Headers = [("content-type", content_type.as_str())]
        .into_iter()
        .collect();
    let document = form::document(&headers, content);
    match form::fields(&content_type, content) {
        Some(fields) if Json::parse(content).is_none() => says(&document, &fields),
        _ => assert_eq!(document, content, "what is no form was changed"),
    }
    let fields = form::urlencoded(content).unwrap_or_default();
    says(form::to_json(&fields).as_bytes(), &fields);
    assert_eq!(
        form::urlencoded(&encoded(&fields)),
        Some(fields),
        "written and read"
    );
    let (one, other) = content.split_at(content.len() / 2);
    let (one, other) = (form::urlencoded(one), form::urlencoded(other));
    if let (Some(one), Some(other)) = (one, other) {
        assert_eq!(
            form::to_json(&one) == form::to_json(&other),
            one == other,
            "two forms, one document"
        );
    }
}

/// The document is JSON, and the fields can be read from it, to the last byte.
pub(super) fn says(document: &[u8], fields: &[Field]) {
    let object = Json::parse(document).and_then(Json::object);
    let object = object.expect("a form's document is a JSON object");
    assert_eq!(object.iter().count(), fields.len());
    for ((name, value), (_, expected)) in object.iter().zip(fields) {
        assert_eq!(value.text(), String::from_utf8(expected.clone()).ok());
        assert_eq!(&bytes_of(value.verbatim()), expected, "of {name:?}");
    }
    let mut names = Vec::new();
    let mut rest = std::str::from_utf8(document).expect("JSON is text");
    while let Some((_, from)) = rest.split_once(['{', ',']) {
        let (name, from) = from.split_at(string_length(from));
        let (_, from) = from.split_at_checked(1).unwrap_or_default();
        let (_, after) = from.split_at(string_length(from));
        if !name.is_empty() {
            names.push(bytes_of(name));
        }
        rest = after;
    }
    assert!(
        names.iter().eq(fields.iter().map(|(name, _)| name)),
        "names"
    );
}

/// The length of the string that `text` begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let closing = text.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(0, |at| at.saturating_add(2))
}

/// The bytes that a string of a form's document stands for.
fn bytes_of(string: &str) -> Vec<u8> {
    let inside = string.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let mut letters = inside.expect("a string has quotes").chars();
    let mut bytes = Vec::new();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        match letters.next().expect("something is escaped") {
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'u' => {
                let digits: String = letters.by_ref().take(4).collect();
                let byte = digits.strip_prefix("dc").or(digits.strip_prefix("00"));
                let byte = byte.and_then(|digits| hex::decode(digits).ok());
                bytes.extend(byte.expect("a byte or a control character"));
            }
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// Fields as a browser would send them, all that is not plain percent-encoded.
fn encoded(fields: &[Field]) -> Vec<u8> {
    let write = |text: &[u8]| -> String {
        text.iter()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", write(name), write(value)))
        .collect();
    pairs.join("&").into_bytes()
}
