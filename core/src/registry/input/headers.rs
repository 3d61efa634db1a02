//! Header fields that an operator adds to what is relayed.

use super::reader::{Mistakes, Node};
use crate::headers::{OF_THE_CONNECTION, OF_THE_STATION};
use std::collections::BTreeMap;

const MAX_FIELDS: usize = 50;
const MAX_NAME_BYTES: usize = 100;
const MAX_VALUE_BYTES: usize = 8_192;
/// Names and values together: many servers take no more than this of a request.
const MAX_BYTES: usize = 16_384;

/// Reads an object of header fields; names come out in lower case.
pub(super) fn read(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<BTreeMap<String, String>> {
    let fields = node.fields(mistakes)?;
    if fields.len() > MAX_FIELDS {
        node.wrong(format!("must have at most {MAX_FIELDS} fields"), mistakes);
    }
    let mut headers = BTreeMap::new();
    let mut total: usize = 0;
    for (name, field) in fields.into_iter().take(MAX_FIELDS) {
        let lower = name.to_ascii_lowercase();
        if let Some(message) = wrong_name(&lower) {
            field.wrong(message, mistakes);
        }
        let Some(value) = field.text(mistakes) else {
            continue;
        };
        total = total
            .saturating_add(lower.len())
            .saturating_add(value.len());
        if value.len() > MAX_VALUE_BYTES {
            field.wrong(
                format!("must have at most {MAX_VALUE_BYTES} bytes"),
                mistakes,
            );
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            field.wrong(
                "must not hold line ends or other control characters",
                mistakes,
            );
        }
        if headers.insert(lower, value.to_owned()).is_some() {
            field.wrong(
                "is named twice: header names are the same in any case",
                mistakes,
            );
        }
    }
    if total > MAX_BYTES {
        node.wrong(
            format!("must have at most {MAX_BYTES} bytes in all"),
            mistakes,
        );
    }
    Some(headers)
}

/// What is wrong with a lower-case name; `None` when nothing is.
fn wrong_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_token) {
        Some("is not a header name: use letters, digits and hyphens, at most 100")
    } else if OF_THE_CONNECTION.contains(&name)
        || OF_THE_STATION.iter().any(|prefix| name.starts_with(prefix))
    {
        Some("is reserved: it is set by the station or the connection")
    } else {
        None
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
        | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(headers: &Value) -> Result<BTreeMap<String, String>, Vec<String>> {
        let mut mistakes = Mistakes::default();
        let read = read(&Node::root(headers), &mut mistakes);
        let wrong: Vec<_> = mistakes.into_vec().into_iter().map(|m| m.pointer).collect();
        if wrong.is_empty() {
            Ok(read.unwrap())
        } else {
            Err(wrong)
        }
    }

    #[test]
    fn taken() {
        let headers = check(&json!({
            "X-From": "tram", "authorization": "Bearer x", "cf-access-client-id": "a",
            "x-name": "Đơn hàng\tmới", "x_y.z": "",
        }));
        let headers = headers.unwrap();
        assert_eq!(headers.get("x-from").map(String::as_str), Some("tram"));
        assert_eq!(headers.len(), 5);
        assert_eq!(check(&json!({})), Ok(BTreeMap::new()));
    }

    #[test]
    fn refused() {
        for (headers, pointer) in [
            (json!([]), ""),
            (json!("x: y"), ""),
            (json!(null), ""),
            (json!({"x-a": 1}), "/x-a"),
            (json!({"x-a": null}), "/x-a"),
            (json!({"": "a"}), "/"),
            (json!({"x a": "a"}), "/x a"),
            (json!({"x:": "a"}), "/x:"),
            (json!({"tên": "a"}), "/tên"),
            (json!({"x\r\ny": "a"}), "/x\r\ny"),
            (json!({"x-a": "a\r\nhost: b"}), "/x-a"),
            (json!({"x-a": "a\n"}), "/x-a"),
            (json!({"x-a": "a\r"}), "/x-a"),
            (json!({"x-a": "\u{0}"}), "/x-a"),
            (json!({"x-a": "a".repeat(8_193)}), "/x-a"),
            (
                json!({ "a".repeat(101): "a" }),
                &format!("/{}", "a".repeat(101)),
            ),
            (json!({"Host": "a"}), "/Host"),
            (json!({"Content-Length": "1"}), "/Content-Length"),
            (json!({"webhook-id": "a"}), "/webhook-id"),
            (json!({"Webhook-Signature": "a"}), "/Webhook-Signature"),
            (json!({"webhook-anything": "a"}), "/webhook-anything"),
            (json!({"X-Tram-Hops": "0"}), "/X-Tram-Hops"),
            (
                json!({"transfer-encoding": "chunked"}),
                "/transfer-encoding",
            ),
            (json!({"Connection": "close"}), "/Connection"),
            (json!({"upgrade": "h2c"}), "/upgrade"),
            (json!({"te": "trailers"}), "/te"),
            (json!({"X-A": "1", "x-a": "2"}), "/x-a"),
        ] {
            assert_eq!(check(&headers), Err(vec![pointer.to_owned()]), "{headers}");
        }
        let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("x-{n}"), json!("a"))).collect();
        assert_eq!(check(&Value::Object(many)), Err(vec![String::new()]));
    }
}
