//! Batches and how they are cut.

use super::text_line;
use crate::{
    json::is_pointer,
    providers::{self, MOST_ELEMENTS, Split},
    webhook::Settings,
};
use serde_json::Value;

/// Elements that are tried alone; more of them say nothing new.
const TRIED_ALONE: usize = 3;
/// Up to here a batch is cut whatever its envelope weighs.
const CERTAINLY_CUT: usize = 8_000;

/// A pointer in the first line, then a body. Cut at the pointer, and where the
/// providers that send batches have theirs, nothing is lost and nothing invented.
pub fn items(data: &[u8]) {
    let (pointer, content) = text_line(data);
    for (id, pointer) in [
        ("casso", "/data"),
        ("thueapi", "/transactions"),
        ("pay2s", "/transactions"),
    ] {
        check(id, &Settings::default(), content, pointer);
    }
    if is_pointer(&pointer) {
        let settings = Settings {
            items: Some(pointer.clone()),
            ..Settings::default()
        };
        check("custom", &settings, content, &pointer);
    }
}

fn check(id: &str, settings: &Settings, content: &[u8], pointer: &str) {
    let provider = providers::find(id).expect("the provider is in the table");
    let split = provider.split(settings, content);
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let value = serde_json::from_slice::<Value>(text);
    let array = value
        .as_ref()
        .ok()
        .and_then(|value| value.pointer(pointer)?.as_array());
    match &split {
        Split::Whole => assert!(
            array.is_none_or(|array| array.len() > MOST_ELEMENTS) || content.len() > CERTAINLY_CUT,
            "a batch was not cut"
        ),
        Split::Ping => assert!(
            value.is_err() || array.is_some_and(Vec::is_empty),
            "what is not empty became a ping"
        ),
        Split::Elements {
            before,
            elements,
            after,
        } => {
            assert!(elements.len() <= MOST_ELEMENTS);
            put_together(content, before, elements, after);
            if value.is_ok() {
                let read = elements.iter().map(|element| {
                    serde_json::from_slice::<Value>(element).expect("an element is JSON")
                });
                let array = array.expect("serde sees an array there");
                assert!(read.eq(array.iter().cloned()), "other elements");
            }
            for element in elements.iter().take(TRIED_ALONE).chain(elements.last()) {
                let alone = [*before, *element, *after].concat();
                assert_eq!(
                    provider.split(settings, &alone),
                    Split::Elements {
                        before,
                        elements: vec![element],
                        after
                    },
                    "an element cut out is not cut the same again"
                );
            }
        }
    }
}

/// The parts are slices of `content`, in order, with a comma between elements.
fn put_together(content: &[u8], before: &[u8], elements: &[&[u8]], after: &[u8]) {
    let offset = |part: &[u8]| {
        part.as_ptr()
            .addr()
            .checked_sub(content.as_ptr().addr())
            .expect("a part is a slice of the body")
    };
    assert!(content.starts_with(before));
    let mut end = before.len();
    for (at, element) in elements.iter().enumerate() {
        let start = offset(element);
        let between = content.get(end..start).expect("elements stand in order");
        let expected: &[u8] = if at == 0 { b"" } else { b"," };
        assert_eq!(between.trim_ascii(), expected, "between elements");
        end = start.saturating_add(element.len());
        assert_eq!(content.get(start..end), Some(*element));
    }
    assert_eq!(content.get(end..), Some(after), "behind the last element");
}
