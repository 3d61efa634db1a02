//! How an authentic body falls into events.

use crate::json::Json;

/// A longer batch stays one event: something else than transactions.
pub const MOST_ELEMENTS: usize = 1_000;

/// Each element is relayed with all that stands around the array, so a large
/// envelope is multiplied by the elements. Beyond this many bytes in all, the batch
/// stays one event: an isolate's memory is finite.
const MOST_BYTES: usize = 8 << 20;

/// How an authentic body falls into events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// One event: the body as it came.
    Whole,
    /// An empty batch: a call to see whether anybody answers.
    Ping,
    /// Several elements. Each is relayed inside the envelope as a one-element
    /// array: `before`, the element's bytes, `after`.
    Elements {
        /// The bytes of the body before the first element.
        before: &'a [u8],
        /// The bytes of each element, byte for byte.
        elements: Vec<&'a [u8]>,
        /// The bytes of the body after the last element.
        after: &'a [u8],
    },
}

impl<'a> Split<'a> {
    /// Splits `content` at the array that `pointer` names. What is not JSON, has no
    /// array there or has too many elements is one event.
    #[must_use]
    pub fn at(content: &'a [u8], pointer: &str) -> Self {
        let array = Json::parse(content).and_then(|document| document.at(pointer));
        array
            .and_then(|array| array.elements(MOST_ELEMENTS))
            .and_then(|elements| Self::around(content, &elements))
            .unwrap_or(Self::Whole)
    }

    fn around(content: &'a [u8], elements: &[Json<'a>]) -> Option<Self> {
        let (Some(first), Some(last)) = (elements.first(), elements.last()) else {
            return Some(Self::Ping);
        };
        let before = content.get(..offset(content, first.verbatim())?)?;
        let end = offset(content, last.verbatim())?.checked_add(last.verbatim().len())?;
        let after = content.get(end..)?;
        let inside: usize = elements
            .iter()
            .map(|element| element.verbatim().len())
            .sum();
        let around = before.len().checked_add(after.len())?;
        let bytes = around.checked_mul(elements.len())?.checked_add(inside)?;
        if bytes > MOST_BYTES {
            return None;
        }
        Some(Self::Elements {
            before,
            elements: elements
                .iter()
                .map(|element| element.verbatim().as_bytes())
                .collect(),
            after,
        })
    }
}

/// Where `part`, a slice of `content`, begins in it.
pub(super) fn offset(content: &[u8], part: &str) -> Option<usize> {
    part.as_ptr()
        .addr()
        .checked_sub(content.as_ptr().addr())
        .filter(|offset| *offset <= content.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn batches_are_cut_byte_for_byte() {
        let content =
            b"\xef\xbb\xbf{\"n\":2, \"data\" : [ {\"id\" : 1} ,\n{\"id\":2.50}\t],\"x\":[]}\n";
        let Split::Elements {
            before,
            elements,
            after,
        } = Split::at(content, "/data")
        else {
            panic!("a batch");
        };
        assert_eq!(before, b"\xef\xbb\xbf{\"n\":2, \"data\" : [ ");
        assert_eq!(elements, [&b"{\"id\" : 1}"[..], b"{\"id\":2.50}"]);
        assert_eq!(after, b"\t],\"x\":[]}\n");
    }

    #[test]
    fn what_is_no_batch_is_whole() {
        for content in [
            "",
            "not json",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"{"data":"[1]"}"#,
            "{}",
            "[1]",
        ] {
            assert_eq!(Split::at(content.as_bytes(), "/data"), Split::Whole);
        }
        assert_eq!(Split::at(br#"{"data":[ ]}"#, "/data"), Split::Ping);
        assert!(matches!(Split::at(b"[1]", ""), Split::Elements { .. }));
    }

    #[test]
    fn long_batches_and_large_envelopes_stay_whole() {
        let batch = |elements: usize, padding: usize| {
            let ones = vec!["1"; elements].join(",");
            format!(r#"{{"p":"{}","data":[{ones}]}}"#, " ".repeat(padding))
        };
        let is_whole = |body: String| Split::at(body.as_bytes(), "/data") == Split::Whole;
        assert!(!is_whole(batch(1_000, 0)));
        assert!(is_whole(batch(1_001, 0)));
        assert!(!is_whole(batch(8, 1_000_000)));
        assert!(is_whole(batch(9, 1_000_000)));
    }

    proptest! {
        #[test]
        fn splitting_loses_and_invents_nothing(
            elements in prop::collection::vec(r#"[0-9]{1,4}|"[a-z\[\],]{0,5}"|\{"id":[1-9],"d":\["x"\]\}"#, 1..9)
                .prop_filter("numbers without leading zeros", |all| all.iter().all(|one| one == "0" || !one.starts_with('0'))),
            blanks in prop::collection::vec("[ \n\t]{0,2}", 9), more in prop::collection::vec("[ \n\t]{0,2}", 9),
        ) {
            let mut content = format!("{{{}\"a\":[1,2],\"data\":", blanks[0]).into_bytes();
            content.extend(b"[");
            for (at, element) in elements.iter().enumerate() {
                if at > 0 { content.extend(b","); }
                content.extend(blanks[at].bytes());
                content.extend(element.bytes());
                content.extend(more[at].bytes());
            }
            content.extend(b"]}");
            let Split::Elements { before, elements: cut, after } = Split::at(&content, "/data") else {
                panic!("not split")
            };
            prop_assert_eq!(cut.len(), elements.len());
            let mut rest = content.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
            for (element, original) in cut.iter().zip(&elements) {
                prop_assert_eq!(*element, original.as_bytes());
                let skipped = rest.windows(element.len()).position(|window| window == *element).unwrap();
                prop_assert!(rest[..skipped].iter().all(|byte| b" \n\t,".contains(byte)));
                rest = rest[skipped..].strip_prefix(*element).unwrap();
                let relayed = [before, element, after].concat();
                let document: serde_json::Value = serde_json::from_slice(&relayed).unwrap();
                let expected: serde_json::Value = serde_json::from_slice(element).unwrap();
                prop_assert_eq!(&document["data"], &serde_json::json!([expected]));
            }
            prop_assert!(rest.is_empty());
        }
    }
}
