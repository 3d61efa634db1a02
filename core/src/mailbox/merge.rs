//! One list out of many Mailboxes: newest first, with one cursor for all.

use super::view::{EventQuery, PAGE_BYTES};
use crate::ids::DestinationId;
use crate::messages::ShownEvents;
use crate::problem::Problem;
use crate::registry::input::reader::{self, Mistakes, Node};

/// Mailboxes that one request of an operator's asks at most. The platform's Free plan
/// allows 50 requests of one call of the Worker or of an object, and a few of them go to
/// the Registry.
pub const MOST_MAILBOXES: usize = 40;

/// Mailboxes that are asked for their pages at once. With all attempts a page may be
/// large: few of them are held.
#[must_use]
pub const fn asked_at_once(query: &EventQuery) -> usize {
    if query.include_attempts { 4 } else { 64 }
}

/// Merges a page of one more Mailbox, newest first, into one of at most `per_page`
/// events. What lies beyond the place where any of them ended is left to the next page:
/// there may be more before it.
pub fn merge(merged: &mut ShownEvents, page: ShownEvents, per_page: usize) {
    merged.next = merged.next.max(page.next);
    merged.data.extend(page.data);
    merged
        .data
        .sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
    let known = merged
        .data
        .partition_point(|(id, _)| Some(*id) >= merged.next);
    merged.data.truncate(known);
    let mut bytes = 0_usize;
    let fitting = merged.data.iter().take(per_page).take_while(|(_, event)| {
        let is_first = bytes == 0;
        bytes = bytes.saturating_add(event.len());
        is_first || bytes <= PAGE_BYTES
    });
    let fitting = fitting.count();
    if fitting < merged.data.len() {
        merged.data.truncate(fitting);
        merged.next = merged.data.last().map(|(id, _)| *id);
    }
}

/// The body of `GET /events`.
#[must_use]
pub fn events_json(page: &ShownEvents) -> String {
    list_json(page, page.next.map(|id| id.to_string()).as_deref())
}

/// The same with another cursor, which is of letters, digits, `_` and `.`.
#[must_use]
pub fn list_json(page: &ShownEvents, next: Option<&str>) -> String {
    let mut json = String::from("{\"data\":[");
    for (at, (_, event)) in page.data.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(event);
    }
    json.push_str("],\"next_cursor\":");
    match next {
        // Nothing to escape.
        Some(cursor) => json.extend(["\"", cursor, "\""]),
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

    fn merged(pages: Vec<ShownEvents>, per_page: usize) -> ShownEvents {
        let mut merged = ShownEvents::default();
        for page in pages {
            merge(&mut merged, page, per_page);
        }
        merged
    }

    #[test]
    fn pages_of_many_mailboxes_become_one_in_the_order_of_time() {
        let (a, b, c, d) = (event(9, 1), event(8, 2), event(7, 1), event(6, 2));
        let merged = merged(vec![page(&[a, c], None), page(&[b, d], None)], 4);
        assert_eq!((ids(&merged), merged.next), (vec![a, b, c, d], None));
        let merged = self::merged(vec![page(&[a, c], None), page(&[b, d], None)], 3);
        assert_eq!((ids(&merged), merged.next), (vec![a, b, c], Some(c)));
        // A Mailbox has more than it was asked for.
        let merged = self::merged(vec![page(&[a], Some(a)), page(&[], None)], 1);
        assert_eq!((ids(&merged), merged.next), (vec![a], Some(a)));
        assert_eq!(self::merged(vec![], 5).next, None);
    }

    #[test]
    fn what_lies_beyond_the_place_where_one_stopped_looking_comes_later() {
        let (a, b, c, d) = (event(9, 1), event(8, 2), event(7, 1), event(6, 2));
        let stopped = page(&[], Some(b));
        for pages in [
            vec![page(&[a, c, d], None), stopped.clone()],
            vec![stopped.clone(), page(&[a, c, d], None)],
            vec![page(&[a], Some(c)), stopped.clone()],
        ] {
            let merged = merged(pages, 5);
            assert_eq!((ids(&merged), merged.next), (vec![a], Some(b)));
        }
        // Nothing is found yet, and there is more to look through.
        let merged = merged(vec![stopped, page(&[d], None)], 5);
        assert_eq!((ids(&merged), merged.next), (vec![], Some(b)));
    }

    #[test]
    fn a_page_has_an_end_in_bytes_but_at_least_one_event() {
        let (a, b, c) = (event(9, 1), event(8, 2), event(7, 1));
        let large = |events: &[EventId], bytes: usize| ShownEvents {
            data: events.iter().map(|id| (*id, "x".repeat(bytes))).collect(),
            next: None,
        };
        let merged = merged(vec![large(&[b], PAGE_BYTES * 2), large(&[a], 9)], 5);
        assert_eq!((ids(&merged), merged.next), (vec![a], Some(a)));
        let merged = self::merged(vec![large(&[b], PAGE_BYTES * 2), large(&[c], 9)], 5);
        assert_eq!((ids(&merged), merged.next), (vec![b], Some(b)));
        let half = PAGE_BYTES / 2;
        let merged = self::merged(vec![large(&[a, b], half), large(&[c], half)], 5);
        assert_eq!((ids(&merged), merged.next), (vec![a, b], Some(b)));
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
