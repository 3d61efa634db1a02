//! One list out of many Mailboxes: newest first, with one cursor for all.

use crate::ids::DestinationId;
use crate::messages::ShownEvents;
use crate::problem::Problem;
use crate::registry::input::reader::{self, Mistakes, Node};

/// Mailboxes that one list may ask. Beyond it a list must name its webhook.
pub const MOST_MAILBOXES: usize = 40;

/// Merges pages, each newest first, into one of at most `per_page` events.
#[must_use]
pub fn merge(pages: Vec<ShownEvents>, per_page: usize) -> ShownEvents {
    let more_behind = pages.iter().any(|page| page.next.is_some());
    let mut data: Vec<_> = pages.into_iter().flat_map(|page| page.data).collect();
    data.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
    let more_here = data.len() > per_page;
    data.truncate(per_page);
    let next = data
        .last()
        .map(|(id, _)| *id)
        .filter(|_| more_here || more_behind);
    ShownEvents { data, next }
}

/// The body of `GET /events`.
#[must_use]
pub fn events_json(page: &ShownEvents) -> String {
    let mut json = String::from("{\"data\":[");
    for (at, (_, event)) in page.data.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(event);
    }
    json.push_str("],\"next_cursor\":");
    match page.next {
        // An id is letters and digits: nothing to escape.
        Some(id) => json.extend(["\"", &id.to_string(), "\""]),
        None => json.push_str("null"),
    }
    json.push('}');
    json
}

/// Reads the body of a resend: nothing, or `{"destination_id":"dst_…"}`.
///
/// # Errors
/// 422 with what is wrong.
pub fn resend_body(body: &[u8]) -> Result<Option<DestinationId>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut mistakes = Mistakes::default();
    let id = reader::parse(body, &mut mistakes).and_then(|value| {
        let sent = Node::root(&value).object(&["destination_id"], &mut mistakes)?;
        let node = sent.get("destination_id").filter(|node| !node.is_null())?;
        let id = DestinationId::parse(node.text(&mut mistakes)?);
        if id.is_none() {
            node.wrong(
                "is not a destination's id (dst_…): leave it out for all of them",
                &mut mistakes,
            );
        }
        id
    });
    if mistakes.is_empty() {
        Ok(id)
    } else {
        Err(Problem::invalid(mistakes.into_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EventId, Sequence, WebhookId};

    fn event(number: i64, webhook: u8) -> EventId {
        EventId {
            sequence: Sequence::from_number(number).unwrap(),
            webhook: WebhookId::from_random([webhook; 16]),
            shard: 0,
        }
    }

    fn page(events: &[EventId], next: Option<EventId>) -> ShownEvents {
        let shown = |id: &EventId| (*id, format!("{{\"id\":\"{id}\"}}"));
        ShownEvents {
            data: events.iter().map(shown).collect(),
            next,
        }
    }

    fn ids(page: &ShownEvents) -> Vec<EventId> {
        page.data.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn pages_of_many_mailboxes_become_one_in_the_order_of_time() {
        let (a, b, c, d) = (event(9, 1), event(8, 2), event(7, 1), event(6, 2));
        let merged = merge(vec![page(&[a, c], None), page(&[b, d], None)], 4);
        assert_eq!((ids(&merged), merged.next), (vec![a, b, c, d], None));
        let merged = merge(vec![page(&[a, c], None), page(&[b, d], None)], 3);
        assert_eq!((ids(&merged), merged.next), (vec![a, b, c], Some(c)));
        // A Mailbox has more than it was asked for.
        let merged = merge(vec![page(&[a], Some(a)), page(&[], None)], 1);
        assert_eq!((ids(&merged), merged.next), (vec![a], Some(a)));
        assert_eq!(merge(vec![], 5).next, None);
    }

    #[test]
    fn a_page_is_written_as_lists_are() {
        let a = event(9, 1);
        assert_eq!(
            events_json(&page(&[a, a], Some(a))),
            format!(r#"{{"data":[{{"id":"{a}"}},{{"id":"{a}"}}],"next_cursor":"{a}"}}"#)
        );
        assert_eq!(
            events_json(&page(&[], None)),
            r#"{"data":[],"next_cursor":null}"#
        );
    }

    #[test]
    fn a_resend_names_a_destination_or_nothing() {
        let id = DestinationId::from_random([1; 8]);
        assert_eq!(resend_body(b"").unwrap(), None);
        assert_eq!(resend_body(b" \n").unwrap(), None);
        assert_eq!(resend_body(b"{}").unwrap(), None);
        let body = format!(r#"{{"destination_id":"{id}"}}"#);
        assert_eq!(resend_body(body.as_bytes()).unwrap(), Some(id));
        for (bad, pointers) in [
            ("[]", vec![""]),
            ("x", vec![""]),
            (r#"{"destination":"x","id":1}"#, vec!["/destination", "/id"]),
            (r#"{"destination_id":"dst_"}"#, vec!["/destination_id"]),
            (r#"{"destination_id":1}"#, vec!["/destination_id"]),
        ] {
            let problem = resend_body(bad.as_bytes()).unwrap_err();
            let found: Vec<_> = problem
                .errors
                .iter()
                .map(|one| one.pointer.as_str())
                .collect();
            assert_eq!((problem.status, found), (422, pointers), "{bad}");
        }
    }
}
