//! Beside serde_json: what one writes the other reads, and they write the same.

use super::{Unfit, read, write};
use crate::{
    testing::samples,
    webhook::{Retry, Webhook},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    #[serde(rename = "in \"quotes\"")]
    Quoted,
    One(Box<Everything>),
}

/// Each kind of field that our types have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    on: bool,
    small: u8,
    large: u64,
    signed: i64,
    fraction: f64,
    text: String,
    optional: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<u16>,
    list: Vec<Kind>,
    pair: (i32, String),
    map: BTreeMap<String, Option<Vec<u32>>>,
}

fn everything() -> impl Strategy<Value = Everything> {
    let text = || prop_oneof![any::<String>(), "[\\x00-\\x7f\u{a0}-\u{2030}\"\\\\/]{0,12}",];
    let numbers = (any::<u8>(), any::<u64>(), any::<i64>(), -1e15..1e15_f64);
    let map = proptest::collection::btree_map(
        text(),
        proptest::option::of(proptest::collection::vec(any::<u32>(), 0..3)),
        0..3,
    );
    let leaf = (
        (any::<bool>(), numbers, text()),
        (proptest::option::of(text()), any::<Option<u16>>()),
        (any::<i32>(), text()),
        map,
    )
        .prop_map(
            |((on, (small, large, signed, fraction), text), (optional, absent), pair, map)| {
                Everything {
                    on,
                    small,
                    large,
                    signed,
                    fraction: fraction.round(),
                    text,
                    optional,
                    absent,
                    list: vec![Kind::Plain, Kind::Quoted],
                    pair,
                    map,
                }
            },
        );
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), proptest::collection::vec(inner, 0..3)).prop_map(|(outer, inner)| {
            let list = inner.into_iter().map(|one| Kind::One(Box::new(one)));
            Everything {
                list: list.collect(),
                ..outer
            }
        })
    })
}

/// Written by both alike, and read by ours from what either writes, with blanks or not.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = write(value).unwrap();
    assert_eq!(text, serde_json::to_string(value).unwrap());
    assert_eq!(read::<T>(&text).as_ref(), Ok(value));
    let spacious = serde_json::to_string_pretty(value).unwrap();
    assert_eq!(read::<T>(&spacious).as_ref(), Ok(value), "{spacious}");
}

proptest! {
    #[test]
    fn all_that_is_written_is_as_serde_json_writes_it_and_is_read_back(value in everything()) {
        check(&value);
    }

    #[test]
    fn whatever_is_read_nothing_panics(text in "[\\[\\]{}:,\"\\\\a-ftnul0-9eE. \u{e9}-]{0,40}") {
        let _ = read::<Everything>(&text);
        let _ = read::<Webhook>(&text);
        let _ = read::<BTreeMap<String, Vec<String>>>(&text);
        let _ = read::<serde::de::IgnoredAny>(&text);
    }

    #[test]
    fn half_of_it_is_nothing(value in everything(), part in 0.0..1.0) {
        let text = write(&value).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let end = (text.len() as f64 * part) as usize;
        if let Some(half) = text.get(..end) {
            prop_assert_eq!(read::<Everything>(half), Err(Unfit));
        }
    }
}

#[test]
fn a_webhook_with_all_it_can_have() {
    let mut webhook = samples::webhook(3);
    webhook.name = "\u{0}\u{1f}\u{7f}\t\n\"\\/đ😀".into();
    webhook.alert_url = Some("https://ops.example/?a=\"b\"".into());
    webhook.headers.insert("x-\"".into(), "\u{2028}".into());
    webhook.settings = serde_json::from_value(serde_json::json!({
        "tolerance_seconds": null, "url": "https://a.example", "header": "X-Token", "access_key": "k",
        "app_id": "1", "scheme": "hmac", "algorithm": "sha512", "encoding": "base64",
        "prefix": "v1=", "signed": "{body}", "timestamp_header": "X-Time", "timestamp_unit": "ms",
        "event_id": "/id", "event_name": ["/a", "/b"], "items": "/data",
        "answer": {"status": 201, "body": "{\"ok\":true}"},
    }))
    .unwrap();
    for retry in [
        Retry::Fibonacci,
        Retry::Standard,
        Retry::Fixed {
            interval_seconds: 0.1,
            max_attempts: 5,
        },
        Retry::Exponential {
            initial_seconds: 1e-7,
            factor: 1.5,
            max_seconds: 604_800.0,
            max_attempts: 9,
        },
        Retry::Custom {
            delays_seconds: vec![0.0, 60.0, 1e21, 123_456.789],
        },
    ] {
        webhook.retry = retry;
        check(&webhook);
    }
}

#[test]
fn what_is_not_ours_is_told_apart() {
    for (text, reads) in [
        (r#"{"a":"1"}"#, true),
        (r#" { "a" : "\u0031\ud83d\ude00" } "#, true),
        (r#"{"a":"1"}x"#, false),
        (r#"{"a":"1",}"#, false),
        (r#"{"a":"1" "b":"2"}"#, false),
        (r#"{"a":"\ud83d"}"#, false),
        (r#"{"a":"1}"#, false),
        (r#"{"a":1}"#, false),
        (r#"{a:"1"}"#, false),
        (r#"["a"]"#, false),
        ("", false),
    ] {
        let map = read::<BTreeMap<String, String>>(text);
        assert_eq!(map.is_ok(), reads, "{text}");
    }
    // Unknown fields of whatever kind are passed over, as a later release may write them.
    let webhook = samples::webhook(1);
    let later = write(&webhook).unwrap().replacen(
        '{',
        r#"{"later":[{"a":[1,null,"]}\""],"b":{}},true,-1.5e3],"#,
        1,
    );
    assert_eq!(read::<Webhook>(&later), Ok(webhook));
}

#[test]
fn what_a_webhook_cannot_do_without_is_missed() {
    let whole = serde_json::to_value(samples::webhook(1)).unwrap();
    let check = |pointer: &str, optional: &[&str]| {
        let names: Vec<String> = whole
            .pointer(pointer)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert!(names.len() > 7);
        for name in names {
            let mut partial = whole.clone();
            let object = partial
                .pointer_mut(pointer)
                .unwrap()
                .as_object_mut()
                .unwrap();
            object.remove(&name);
            let read = read::<Webhook>(&partial.to_string());
            assert_eq!(read.is_ok(), optional.contains(&name.as_str()), "{name}");
        }
    };
    check("", &["previous_signing_secret"]);
    check("/destinations/0", &[]);
}

#[test]
fn settings_take_no_field_that_is_not_known() {
    use crate::webhook::Settings;
    assert!(read::<Settings>(r#"{"header":"X-Token"}"#).is_ok());
    assert!(read::<Settings>(r#"{"header":"X-Token","later":1}"#).is_err());
    assert!(read::<Settings>(r#"{"answer":{"status":200}}"#).is_ok());
    assert!(read::<Settings>(r#"{"answer":{"status":200,"later":1}}"#).is_err());
    assert!(read::<Settings>(r#"{"answer":{"body":""}}"#).is_err());
    let tolerance = |text| read::<Settings>(text).unwrap().tolerance_seconds;
    assert_eq!(tolerance("{}"), None);
    assert_eq!(tolerance(r#"{"tolerance_seconds":null}"#), Some(None));
    assert_eq!(tolerance(r#"{"tolerance_seconds":5}"#), Some(Some(5)));
}
