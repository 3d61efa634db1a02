//! `settings`: their form. Which of them a provider takes, and whether they make
//! sense together, is the business of `providers::settings`.

use super::reader::{Mistakes, Node};
use crate::webhook::{
    Algorithm, CustomAnswer, Encoding, OneOrMany, Scheme, Settings, TimestampUnit,
};

/// A year: more is as good as no limit, which is written `null`.
const MAX_TOLERANCE: u32 = 365 * 86_400;
/// Characters of a setting that is one text.
const MAX_TEXT: usize = 2_048;
/// Places that are joined into one id or name.
const MAX_PLACES: usize = 8;
/// Bytes of the operator's own answer.
const MAX_ANSWER: usize = 65_536;

/// No prefix; and the whole body as the array of items (RFC 6901: the empty pointer).
const MAY_BE_EMPTY: [&str; 2] = ["prefix", "items"];

const KNOWN: [&str; 16] = [
    "tolerance_seconds",
    "url",
    "header",
    "access_key",
    "app_id",
    "scheme",
    "algorithm",
    "encoding",
    "prefix",
    "signed",
    "timestamp_header",
    "timestamp_unit",
    "event_id",
    "event_name",
    "items",
    "answer",
];

/// Reads the settings that are sent; what is wrong is noted and left out.
pub(super) fn read(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Settings> {
    let sent = node.object(&KNOWN, mistakes)?;
    let mut text = |name: &str| {
        sent.get(name)
            .and_then(|node| match node.value.as_str() {
                Some("") if MAY_BE_EMPTY.contains(&name) => Some(""),
                _ => node.line(MAX_TEXT, mistakes),
            })
            .map(str::to_owned)
    };
    let mut settings = Settings {
        url: text("url"),
        header: text("header"),
        access_key: text("access_key"),
        app_id: text("app_id"),
        signed: text("signed"),
        timestamp_header: text("timestamp_header"),
        items: text("items"),
        prefix: text("prefix"),
        ..Settings::default()
    };
    settings.tolerance_seconds = sent.get("tolerance_seconds").and_then(|node| {
        if node.is_null() {
            Some(None)
        } else {
            node.whole(1, MAX_TOLERANCE, mistakes).map(Some)
        }
    });
    settings.scheme = sent.get("scheme").and_then(|node| {
        node.choice(
            &[("token", Scheme::Token), ("hmac", Scheme::Hmac)],
            mistakes,
        )
    });
    settings.algorithm = sent.get("algorithm").and_then(|node| {
        let choices = [
            ("sha1", Algorithm::Sha1),
            ("sha256", Algorithm::Sha256),
            ("sha512", Algorithm::Sha512),
        ];
        node.choice(&choices, mistakes)
    });
    settings.encoding = sent.get("encoding").and_then(|node| {
        node.choice(
            &[("hex", Encoding::Hex), ("base64", Encoding::Base64)],
            mistakes,
        )
    });
    settings.timestamp_unit = sent.get("timestamp_unit").and_then(|node| {
        let choices = [
            ("s", TimestampUnit::Seconds),
            ("ms", TimestampUnit::Milliseconds),
        ];
        node.choice(&choices, mistakes)
    });
    settings.event_id = sent.get("event_id").and_then(|node| places(node, mistakes));
    settings.event_name = sent
        .get("event_name")
        .and_then(|node| places(node, mistakes));
    settings.answer = sent.get("answer").and_then(|node| answer(node, mistakes));
    Some(settings)
}

/// One place or several.
fn places(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<OneOrMany> {
    if node.value.is_string() {
        return node
            .line(MAX_TEXT, mistakes)
            .map(|place| OneOrMany::One(place.to_owned()));
    }
    if !node.value.is_array() {
        node.wrong("must be a text or an array of texts", mistakes);
        return None;
    }
    let entries = node.list(MAX_PLACES, mistakes)?;
    if entries.is_empty() {
        node.wrong("must name at least one place", mistakes);
    }
    // What is wrong keeps its place, so that the others keep theirs.
    let mut many = Vec::with_capacity(entries.len());
    for entry in &entries {
        let text = entry.line(MAX_TEXT, mistakes).unwrap_or_default();
        many.push(text.to_owned());
    }
    Some(OneOrMany::Many(many))
}

fn answer(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<CustomAnswer> {
    let fields = node.object(&["status", "body"], mistakes)?;
    let status = fields
        .need("status", mistakes)
        .and_then(|node| node.whole(200, 299, mistakes));
    let body = match fields.get("body") {
        None => "",
        Some(node) => node.text(mistakes)?,
    };
    if body.len() > MAX_ANSWER {
        mistakes.add(
            format!("{}/body", node.pointer),
            format!("must have at most {MAX_ANSWER} bytes"),
        );
    }
    Some(CustomAnswer {
        status: u16::try_from(status?).ok()?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(settings: &Value) -> Result<Settings, Vec<String>> {
        let mut mistakes = Mistakes::default();
        let read = read(&Node::root(settings), &mut mistakes);
        let wrong: Vec<_> = mistakes.into_vec().into_iter().map(|m| m.pointer).collect();
        if wrong.is_empty() {
            Ok(read.unwrap())
        } else {
            Err(wrong)
        }
    }

    #[test]
    fn every_setting_is_read_and_shown_as_it_was_sent() {
        for settings in [
            json!({}),
            json!({"tolerance_seconds": null}),
            json!({"tolerance_seconds": 300, "url": "https://hooks.example.com/in/x", "header": "X-Token",
                "access_key": "a", "app_id": "1", "scheme": "hmac", "algorithm": "sha512",
                "encoding": "base64", "prefix": "sha512=", "signed": "{timestamp}.{body}",
                "timestamp_header": "x-time", "timestamp_unit": "ms", "event_id": ["/a", "header:X-Id"],
                "event_name": "/event", "items": "/data", "answer": {"status": 202, "body": "đã nhận"}}),
            json!({"prefix": "", "items": "", "scheme": "token", "algorithm": "sha1", "encoding": "hex", "timestamp_unit": "s"}),
        ] {
            let read = check(&settings).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), settings);
        }
        assert_eq!(
            check(&json!({"answer": {"status": 204}})).unwrap().answer,
            Some(CustomAnswer {
                status: 204,
                body: String::new()
            })
        );
    }

    #[test]
    fn refused() {
        for (settings, pointers) in [
            (json!([]), vec![""]),
            (json!(null), vec![""]),
            (json!({"colour": "red"}), vec!["/colour"]),
            (
                json!({"tolerance_seconds": "300"}),
                vec!["/tolerance_seconds"],
            ),
            (json!({"tolerance_seconds": 0}), vec!["/tolerance_seconds"]),
            (json!({"tolerance_seconds": -1}), vec!["/tolerance_seconds"]),
            (
                json!({"tolerance_seconds": 1.5}),
                vec!["/tolerance_seconds"],
            ),
            (
                json!({"url": 1, "header": null, "app_id": ["1"]}),
                vec!["/url", "/header", "/app_id"],
            ),
            (json!({"header": ""}), vec!["/header"]),
            (json!({"url": "", "signed": ""}), vec!["/url", "/signed"]),
            (json!({"items": "/a\nb"}), vec!["/items"]),
            (json!({"prefix": 1}), vec!["/prefix"]),
            (json!({"access_key": "a\nb"}), vec!["/access_key"]),
            (json!({"scheme": "HMAC"}), vec!["/scheme"]),
            (json!({"algorithm": "md5"}), vec!["/algorithm"]),
            (json!({"encoding": true}), vec!["/encoding"]),
            (
                json!({"timestamp_unit": "seconds"}),
                vec!["/timestamp_unit"],
            ),
            (json!({"event_id": 1}), vec!["/event_id"]),
            (json!({"event_id": []}), vec!["/event_id"]),
            (json!({"event_name": ["/a", 1]}), vec!["/event_name/1"]),
            (json!({"answer": "ok"}), vec!["/answer"]),
            (json!({"answer": {}}), vec!["/answer/status"]),
            (json!({"answer": {"status": 302}}), vec!["/answer/status"]),
            (
                json!({"answer": {"status": 200, "body": {}}}),
                vec!["/answer/body"],
            ),
            (
                json!({"answer": {"status": 200, "headers": {}}}),
                vec!["/answer/headers"],
            ),
            (
                json!({"answer": {"status": 200, "body": "a".repeat(65_537)}}),
                vec!["/answer/body"],
            ),
        ] {
            assert_eq!(
                check(&settings),
                Err(pointers.into_iter().map(str::to_owned).collect()),
                "{settings}"
            );
        }
    }
}
