//! The events of one request, on their way into the shards of their webhook.
//!
//! Where one shard says that the configuration has changed, the request is proven and
//! split again. What others have taken by then stays taken: asked again they would call
//! it a duplicate of itself.

use crate::{
    event::{DedupeKey, NewEvent},
    messages::{Taken, shard_of},
};

/// What became of a request's events so far.
#[derive(Debug, Default)]
pub struct Parts {
    /// In the order in which they were taken.
    taken: Vec<(DedupeKey, Taken)>,
}

/// The events that one shard is to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The shard.
    pub shard: u8,
    /// Where they stand among all, in order.
    places: Vec<usize>,
}

impl Part {
    /// The events, of `all` that it is a part of.
    pub fn of<'a>(&self, all: &'a [NewEvent]) -> impl Iterator<Item = &'a NewEvent> {
        self.places.iter().filter_map(|at| all.get(*at))
    }
}

impl Parts {
    /// What the shards have not taken yet of these `events`.
    #[must_use]
    pub fn left(&self, events: &[NewEvent], shards: u8) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (at, (event, taken)) in events.iter().zip(self.so_far(events)).enumerate() {
            if taken.is_some() {
                continue;
            }
            let shard = shard_of(&event.key, shards);
            match parts.iter_mut().find(|part| part.shard == shard) {
                Some(part) => part.places.push(at),
                None => parts.push(Part {
                    shard,
                    places: vec![at],
                }),
            }
        }
        parts
    }

    /// Whether nothing is known yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// A shard has answered what became of its part of `events`.
    pub fn took(&mut self, part: &Part, events: &[NewEvent], taken: Vec<Taken>) {
        let keys = part.of(events).map(|event| event.key);
        self.taken.extend(keys.zip(taken));
    }

    /// What became of all of them, in order; `None` while any is left.
    #[must_use]
    pub fn all(&self, events: &[NewEvent]) -> Option<Vec<Taken>> {
        self.so_far(events).into_iter().collect()
    }

    /// Events of one key are taken in the order they stand.
    fn so_far(&self, events: &[NewEvent]) -> Vec<Option<Taken>> {
        let mut taken: Vec<Option<&(DedupeKey, Taken)>> = self.taken.iter().map(Some).collect();
        events
            .iter()
            .map(|event| {
                let of_it = |one: &&mut Option<&(DedupeKey, Taken)>| {
                    one.is_some_and(|(key, _)| *key == event.key)
                };
                let (_, became) = taken.iter_mut().find(of_it)?.take()?;
                Some(became.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Summary,
        ids::{EventId, Sequence, WebhookId},
    };

    /// An event whose shard of two is `shard`.
    fn event(shard: u8, number: u8) -> NewEvent {
        let mut key = [number; 32];
        key[7] = number << 1 | shard;
        NewEvent {
            key,
            body_sha256: [number; 32],
            name: None,
            object_id: None,
            summary: Summary::default(),
            test: false,
            body: vec![number],
            header_changes: Vec::new(),
        }
    }

    fn new(event: &NewEvent) -> Taken {
        Taken::New(EventId {
            sequence: Sequence::default(),
            webhook: WebhookId::from_random([event.body[0]; 16]),
            shard: 0,
        })
    }

    const REPEATED: Taken = Taken::Duplicate {
        delivered: false,
        known_until: None,
    };

    #[test]
    fn what_was_taken_before_another_shard_was_stale_is_not_asked_for_again() {
        let events = [event(0, 1), event(1, 2), event(0, 3), event(1, 2)];
        let mut parts = Parts::default();
        let left = parts.left(&events, 2);
        assert_eq!(left.len(), 2);
        assert!(left[0].of(&events).eq([&events[0], &events[2]]));
        assert!(left[1].of(&events).eq([&events[1], &events[3]]));
        assert_eq!(parts.all(&events), None);

        parts.took(&left[1], &events, vec![new(&events[1]), REPEATED]);
        assert_eq!(parts.all(&events), None);
        // The other was stale. Proven again it is split again.
        let again = parts.left(&events, 2);
        assert_eq!(again, [left[0].clone()]);
        parts.took(&again[0], &events, vec![new(&events[0]), new(&events[2])]);
        assert!(parts.left(&events, 2).is_empty());
        let all = [&events[0], &events[1], &events[2]].map(new);
        let [one, two, three] = all;
        assert_eq!(parts.all(&events), Some(vec![one, two, three, REPEATED]));
        // What the new configuration adds is left.
        let more = [events.as_slice(), &[event(1, 9)]].concat();
        assert!(parts.left(&more, 2)[0].of(&more).eq([&event(1, 9)]));
        assert_eq!(parts.all(&more), None);
    }

    #[test]
    fn a_shard_that_does_not_account_for_every_event_has_not_taken_the_rest() {
        let events = [event(0, 1), event(0, 2)];
        let mut parts = Parts::default();
        let left = parts.left(&events, 2);
        parts.took(&left[0], &events, vec![new(&events[0])]);
        assert_eq!(parts.all(&events), None);
        assert!(parts.left(&events, 2)[0].of(&events).eq([&events[1]]));
    }
}
