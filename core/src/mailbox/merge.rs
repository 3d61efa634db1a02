//! One list out of many Mailboxes: newest first, with one cursor for all.

use super::view::EventPage;
use crate::ids::{DestinationId, EventId};
use crate::problem::{FieldError, Problem};

/// Mailboxes that one list may ask. Beyond it a list must name its webhook.
pub const MOST_MAILBOXES: usize = 40;

/// Merges pages, each newest first, into one of at most `per_page` events.
#[must_use]
pub fn merge(pages: Vec<EventPage>, per_page: usize) -> EventPage {
    let more_behind = pages.iter().any(|page| page.next.is_some());
    let mut data: Vec<_> = pages.into_iter().flat_map(|page| page.data).collect();
    data.sort_by_key(|event| std::cmp::Reverse(event.id));
    let more_here = data.len() > per_page;
    data.truncate(per_page);
    let next: Option<EventId> = data
        .last()
        .map(|event| event.id)
        .filter(|_| more_here || more_behind);
    EventPage { data, next }
}

/// Reads the body of a resend: nothing, or `{"destination_id":"dst_…"}`.
///
/// # Errors
/// 422 with what is wrong.
pub fn resend_body(body: &[u8]) -> Result<Option<DestinationId>, Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        destination_id: Option<DestinationId>,
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // serde also reads a struct from an array.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let read = serde_json::from_slice(body).ok().filter(|_| is_object);
    read.map(|body: Body| body.destination_id).ok_or_else(|| {
        Problem::invalid(vec![FieldError {
            pointer: String::new(),
            message: "send nothing, or an object with destination_id alone, such as {\"destination_id\":\"dst_…\"}".into(),
        }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resend_takes_nothing_or_an_object_with_a_destination() {
        let id = DestinationId::from_random([7; 8]);
        let named = format!(r#" {{"destination_id":"{id}"}} "#);
        for (body, expected) in [
            ("", None),
            (" \r\n", None),
            ("{}", None),
            (r#"{"destination_id":null}"#, None),
            (named.as_str(), Some(id)),
        ] {
            assert_eq!(resend_body(body.as_bytes()), Ok(expected), "{body}");
        }
        let twice = format!(r#"{{"destination_id":"{id}","destination_id":"{id}"}}"#);
        for body in [
            "[]",
            &format!(r#"["{id}"]"#),
            "null",
            "1",
            "{",
            "{}{}",
            r#"{"destination_id":1}"#,
            r#"{"destination_id":"dst_1"}"#,
            r#"{"destination":"dst_1"}"#,
            &twice,
        ] {
            let problem = resend_body(body.as_bytes()).expect_err(body);
            assert_eq!((problem.status, problem.code), (422, "invalid"), "{body}");
        }
    }
}
