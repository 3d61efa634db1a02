//! One list out of more Mailboxes than one request may ask.
//!
//! The newest events of all can only be known when all have been asked: a pass over them,
//! some with each request. What it has found so far travels in the cursor, as ids; with
//! the last request of the pass they are shown. So each request asks a bounded number of
//! Mailboxes, and the list is the same as if all had been asked at once; but most pages of
//! a pass are empty.

use super::{
    merge::{MOST_MAILBOXES, merge},
    sql,
    view::EventQuery,
};
use crate::{
    ids::{EventId, WebhookId},
    messages::{ShardPlace, ShownEvents},
};
use std::fmt::Write;

/// How a cursor begins that stands for a pass.
const PREFIX: &str = "pass";
/// What stands for none in it.
const NONE: &str = "0";

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    before: Option<EventId>,
    /// Where the shards begin that have not been asked; `None` when all have been.
    from: Option<ShardPlace>,
    /// The newest that were found; nothing is shown of them yet.
    found: ShownEvents,
}

/// What one shard is asked for.
pub type Question = ((WebhookId, u8), EventQuery);

impl Pass {
    /// From an event on, or from the newest.
    #[must_use]
    pub fn begin(before: Option<EventId>) -> Self {
        Self {
            before,
            from: Some(ShardPlace::FIRST),
            found: ShownEvents::default(),
        }
    }

    /// Where the shards begin that are to be asked next; `None` when all have been.
    #[must_use]
    pub const fn from(&self) -> Option<ShardPlace> {
        self.from
    }

    /// What each of these shards is asked for.
    #[must_use]
    pub fn to_find(&self, query: &EventQuery, shards: Vec<(WebhookId, u8)>) -> Vec<Question> {
        let question = EventQuery {
            before: self.before,
            per_page: per_page(query),
            include_attempts: false,
            ..query.clone()
        };
        shards
            .into_iter()
            .map(|shard| (shard, question.clone()))
            .collect()
    }

    /// Notes what they have found, and where the next shards begin. The cursor of the
    /// next page; `None` when nothing is left.
    #[must_use]
    pub fn found(
        mut self,
        query: &EventQuery,
        pages: Vec<ShownEvents>,
        next: Option<ShardPlace>,
    ) -> Option<String> {
        for mut page in pages {
            for (_, shown) in &mut page.data {
                shown.clear();
            }
            let per_page = usize::try_from(per_page(query)).unwrap_or(1);
            merge(&mut self.found, page, per_page);
        }
        self.from = next;
        if self.from.is_none() && self.found.data.is_empty() {
            return self.found.next.map(|id| id.to_string());
        }
        Some(self.cursor())
    }

    /// When all have been asked: what was found, to be shown by those that have it.
    #[must_use]
    pub fn to_show(&self, query: &EventQuery) -> Vec<Question> {
        let mut questions: Vec<Question> = Vec::new();
        // From the newest on, so that the first of a shard is its newest.
        for (id, _) in &self.found.data {
            let shard = (id.webhook, id.shard);
            match questions.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, asked)) => asked.per_page = asked.per_page.saturating_add(1),
                None => {
                    let before = EventId {
                        sequence: sql::after(id.sequence),
                        ..*id
                    };
                    let asked = EventQuery {
                        before: Some(before),
                        per_page: 1,
                        ..query.clone()
                    };
                    questions.push((shard, asked));
                }
            }
        }
        questions
    }

    /// The page that these make.
    #[must_use]
    pub fn shown(self, query: &EventQuery, pages: Vec<(Question, ShownEvents)>) -> ShownEvents {
        let mut merged = ShownEvents {
            data: Vec::new(),
            next: self.found.next,
        };
        let is_wanted = |id: &EventId| self.found.data.iter().any(|(wanted, _)| wanted == id);
        for ((_, asked), mut page) in pages {
            page.data.retain(|(id, _)| is_wanted(id));
            let wanted = usize::try_from(asked.per_page).unwrap_or(usize::MAX);
            // It may have had room for some of them only.
            if page.data.len() >= wanted {
                page.next = None;
            }
            merge(
                &mut merged,
                page,
                usize::try_from(per_page(query)).unwrap_or(1),
            );
        }
        merged
    }

    fn cursor(&self) -> String {
        let or_none = |id: Option<EventId>| id.map_or_else(|| NONE.to_owned(), |id| id.to_string());
        let mut text = PREFIX.to_owned();
        let (webhook, shard) = self.from.map_or((0, 0), |from| (from.webhook, from.shard));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            ".{webhook}.{shard}.{}.{}",
            or_none(self.before),
            or_none(self.found.next)
        );
        for (id, _) in &self.found.data {
            let _ = write!(text, ".{id}");
        }
        text
    }

    /// Reads a cursor that [`found`](Self::found) has given; `None` when it is none.
    #[must_use]
    pub fn parse(cursor: &str) -> Option<Self> {
        let mut parts = cursor.split('.');
        if parts.next()? != PREFIX {
            return None;
        }
        let id = |text: &str| match text {
            NONE => Some(None),
            text => EventId::parse(text).map(Some),
        };
        let whole = |text: &str| {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == text && (0..1 << 53).contains(&number)).then_some(number)
        };
        let webhook = whole(parts.next()?)?;
        let shard = u8::try_from(whole(parts.next()?)?).ok()?;
        let before = id(parts.next()?)?;
        let next = id(parts.next()?)?;
        let ids: Vec<EventId> = parts.map(EventId::parse).collect::<Option<_>>()?;
        let is_in_order = ids.is_sorted_by(|one, other| one > other);
        (is_in_order && ids.len() <= MOST_MAILBOXES).then(|| Self {
            before,
            from: (webhook > 0).then_some(ShardPlace { webhook, shard }),
            found: ShownEvents {
                data: ids.into_iter().map(|id| (id, String::new())).collect(),
                next,
            },
        })
    }
}

/// As many as can be shown by as many Mailboxes.
fn per_page(query: &EventQuery) -> u32 {
    let most = u32::try_from(MOST_MAILBOXES).unwrap_or(u32::MAX);
    query.per_page.clamp(1, most)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test may fail, and says so by panicking"
    )]

    use super::*;
    use crate::ids::Sequence;
    use proptest::prelude::*;

    fn event(number: i64, webhook: u8, shard: u8) -> EventId {
        EventId {
            sequence: Sequence::from_number(number).unwrap(),
            webhook: WebhookId::from_random([webhook; 16]),
            shard,
        }
    }

    /// A Mailbox that looks at so many events at a time.
    fn page(events: &[EventId], query: &EventQuery, looks_at: usize) -> ShownEvents {
        let before = query.before;
        let mut left: Vec<EventId> = events
            .iter()
            .copied()
            .filter(|id| before.is_none_or(|before| *id < before))
            .collect();
        left.sort_by_key(|id| std::cmp::Reverse(*id));
        let most = usize::try_from(query.per_page).unwrap().min(looks_at);
        let next = (left.len() > most).then(|| left[most - 1]);
        left.truncate(most);
        ShownEvents {
            data: left.into_iter().map(|id| (id, id.to_string())).collect(),
            next,
        }
    }

    proptest! {
        #[test]
        fn passes_lead_to_all_events_once_and_in_order(
            lives in prop::collection::vec(prop::collection::btree_set(1_i64..400, 0..20), 1..12),
            group in 1_usize..5,
            per_page in 1_u32..101,
            looks_at in 1_usize..50,
        ) {
            let shards: Vec<Vec<EventId>> = lives
                .iter()
                .enumerate()
                .map(|(at, numbers)| {
                    let at = u8::try_from(at).unwrap();
                    numbers.iter().map(|number| event(*number, at / 2, at % 2)).collect()
                })
                .collect();
            let id = |at: usize| {
                let at = u8::try_from(at).unwrap();
                (WebhookId::from_random([at / 2; 16]), at % 2)
            };
            let answer = |((webhook, shard), query): &Question| {
                let at = (0..shards.len()).find(|at| id(*at) == (*webhook, *shard)).unwrap();
                page(&shards[at], query, looks_at)
            };
            let query = EventQuery { per_page, ..EventQuery::default() };
            let (mut listed, mut cursor, mut requests) = (Vec::new(), None::<String>, 0);
            loop {
                requests += 1;
                prop_assert!(requests < 20_000);
                let pass = match cursor.as_deref().map(|text| (Pass::parse(text), EventId::parse(text))) {
                    None => Pass::begin(None),
                    Some((Some(pass), _)) => pass,
                    Some((None, before)) => Pass::begin(Some(before.unwrap())),
                };
                cursor = if let Some(from) = pass.from() {
                    // A place is the number of its shard here, from the last one down.
                    let begin = if from == ShardPlace::FIRST {
                        0
                    } else {
                        usize::try_from(from.webhook).unwrap()
                    };
                    let end = (begin + group).min(shards.len());
                    let questions = pass.to_find(&query, (begin..end).map(id).collect());
                    let pages = questions.iter().map(answer).collect();
                    let next = (end < shards.len()).then(|| ShardPlace {
                        webhook: i64::try_from(end).unwrap(),
                        shard: 0,
                    });
                    pass.found(&query, pages, next)
                } else {
                    let questions = pass.to_show(&query);
                    prop_assert!(questions.len() <= MOST_MAILBOXES);
                    let pages = questions.into_iter().map(|one| {
                        let page = answer(&one);
                        (one, page)
                    });
                    let page = pass.shown(&query, pages.collect());
                    for (id, shown) in &page.data {
                        prop_assert_eq!(&id.to_string(), shown);
                    }
                    listed.extend(page.data.into_iter().map(|(id, _)| id));
                    page.next.map(|id| id.to_string())
                };
                if cursor.is_none() {
                    break;
                }
            }
            let mut all: Vec<EventId> = shards.into_iter().flatten().collect();
            all.sort_by_key(|id| std::cmp::Reverse(*id));
            prop_assert_eq!(listed, all);
        }

        #[test]
        fn any_text_is_a_cursor_or_is_refused(text in "pass(\\.([0-9]{1,4}|evt_[0-9a-v]{39})){0,6}") {
            if let Some(pass) = Pass::parse(&text) {
                prop_assert_eq!(pass.cursor(), text);
            }
        }
    }

    #[test]
    fn a_cursor_is_short_enough_for_a_url() {
        let ids = (0..40).map(|n| (event(1_000 - n, 1, 0), String::new()));
        let pass = Pass {
            before: Some(event(2_000, 1, 0)),
            from: Some(ShardPlace::FIRST),
            found: ShownEvents {
                data: ids.collect(),
                next: Some(event(1, 1, 0)),
            },
        };
        let cursor = pass.cursor();
        assert!(cursor.len() < 2_000, "{}", cursor.len());
        assert_eq!(Pass::parse(&cursor), Some(pass));
        for bad in [
            "",
            "pass",
            "pass.1.0.0",
            "pass.1.300.0.0",
            "pass.01.0.0.0",
            "past.1.0.0.0",
        ] {
            assert_eq!(Pass::parse(bad), None, "{bad}");
        }
    }
}
