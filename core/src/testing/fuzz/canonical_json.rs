//! JSON as signers sort it.

use crate::{
    canonical_json::{Canonical, Notation},
    json::Json,
};
use serde_json::Value;

/// `data` is a document. In every notation it says the same and is written the same
/// again; verbatim, every scalar keeps its bytes.
pub fn canonical_json(data: &[u8]) {
    let Some(document) = Json::parse(data) else {
        let value = serde_json::from_slice::<Value>(data);
        assert!(value.is_err(), "JSON was not read");
        return;
    };
    let original = document.verbatim();
    assert!(
        data.windows(original.len())
            .any(|part| part == original.as_bytes()),
        "what was read is not a part of what came"
    );
    let Ok(canonical) = Canonical::of(document) else {
        return;
    };
    // What is no character, or beyond floating point, is JSON to us and not to serde.
    let value: Option<Value> = serde_json::from_slice(original.as_bytes()).ok();
    for notation in Notation::ALL {
        let written = canonical.written(notation);
        let read = Json::parse(written.as_bytes()).expect("what is written is JSON");
        assert_eq!(read.verbatim(), written, "{notation:?}");
        let again = Canonical::of(read).expect("what is written can be sorted");
        assert_eq!(again.written(notation), written, "{notation:?}");
        if let Some(value) = &value {
            let said: Value =
                serde_json::from_slice(written.as_bytes()).expect("serde reads it as before");
            assert_eq!(&said, value, "{notation:?}");
        }
    }
    let verbatim = canonical.written(Notation::VERBATIM);
    let (mut before, mut after) = (scalars(original), scalars(&verbatim));
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(after, before, "the bytes of a scalar changed");
    if let Some(value) = value.filter(has_whole_numbers_alone) {
        // serde_json sorts and escapes alike.
        assert_eq!(canonical.written(Notation::JAVASCRIPT), value.to_string());
    }
}

/// Other numbers are rewritten by serde.
fn has_whole_numbers_alone(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(elements) => elements.iter().all(has_whole_numbers_alone),
        Value::Object(members) => members.values().all(has_whole_numbers_alone),
        _ => true,
    }
}

/// The scalars of a JSON text as they are written, names left out.
fn scalars(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '{' | '}' | '[' | ']' | ',' | ':' | ' ' | '\t' | '\r' | '\n' => 1,
            _ => rest
                .find([',', ']', '}', ' ', '\t', '\r', '\n'])
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let is_scalar = !matches!(
            first,
            '{' | '}' | '[' | ']' | ',' | ':' | ' ' | '\t' | '\r' | '\n'
        );
        if is_scalar && !after.trim_start().starts_with(':') {
            found.push(token);
        }
    }
    found
}

/// The length of the string that `text` begins with, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let closing = text.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.map_or(text.len(), |at| at.saturating_add(2))
}
