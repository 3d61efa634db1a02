//! The configurations that an isolate keeps in memory, and how often it may ask the
//! Registry for more.
//!
//! Ids that nobody has are kept apart: whoever makes them up pushes out other made-up
//! ids, never a webhook that exists.

use crate::{
    allowance::{Allowance, BEFORE_REFUSING, FOR_UNKNOWN_IDS},
    ids::WebhookId,
    time::Timestamp,
    webhook::Webhook,
};
use lru::LruCache;
use std::{num::NonZeroUsize, rc::Rc, time::Duration};

/// How long a configuration is believed, and how long the word of the Registry or of a
/// Mailbox that it is the present one.
const TTL: Duration = Duration::from_secs(60);
/// How long it is believed that an id is nobody's.
const NOBODY_TTL: Duration = Duration::from_secs(300);
/// How many webhooks are kept; the one that was asked for longest ago goes first.
const WEBHOOKS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
/// How many ids are known to be nobody's.
const UNKNOWN_IDS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// What is known of an id.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// The webhook, as it was within the last minute.
    Fresh {
        /// Its configuration.
        webhook: Rc<Webhook>,
        /// The Registry or a Mailbox has said so within the last minute.
        confirmed: bool,
    },
    /// The webhook, as it was longer ago.
    Old(Rc<Webhook>),
    /// There is no such webhook, as the Registry has said within the last minutes.
    Nobody,
    /// There was no such webhook when it was last asked. An id is never given twice, but a
    /// Registry that was restored to an earlier point has again what was deleted since.
    NobodyOfOld,
    /// Nothing.
    Nothing,
}

/// The memory of one isolate.
#[derive(Debug)]
pub struct ConfigCache {
    webhooks: LruCache<WebhookId, Remembered>,
    /// When the Registry said so.
    nobodies: LruCache<WebhookId, Timestamp>,
    for_unknown_ids: Allowance,
}

#[derive(Debug)]
struct Remembered {
    webhook: Rc<Webhook>,
    at: Timestamp,
    /// When the Registry or a Mailbox last said that this is the configuration.
    confirmed_at: Option<Timestamp>,
    before_refusing: Allowance,
}

impl Remembered {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) < TTL
    }
}

impl ConfigCache {
    /// An empty one.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            webhooks: LruCache::new(WEBHOOKS),
            nobodies: LruCache::new(UNKNOWN_IDS),
            for_unknown_ids: Allowance::new(FOR_UNKNOWN_IDS, now),
        }
    }

    /// What is known of this id.
    pub fn look(&mut self, id: &WebhookId, now: Timestamp) -> Known {
        if let Some(known) = self.webhooks.get(id) {
            let webhook = Rc::clone(&known.webhook);
            if !known.is_fresh(now) {
                return Known::Old(webhook);
            }
            let confirmed = known.confirmed_at.is_some_and(|at| now.since(at) < TTL);
            return Known::Fresh { webhook, confirmed };
        }
        match self.nobodies.get(id) {
            Some(at) if now.since(*at) < NOBODY_TTL => Known::Nobody,
            Some(_) => Known::NobodyOfOld,
            None => Known::Nothing,
        }
    }

    /// Remembers a webhook; `confirmed` where the Registry has said so just now.
    pub fn remember(&mut self, webhook: Rc<Webhook>, confirmed: bool, now: Timestamp) {
        let id = webhook.id;
        self.nobodies.pop(&id);
        let before_refusing = self.webhooks.pop(&id).map_or_else(
            || Allowance::new(BEFORE_REFUSING, now),
            |known| known.before_refusing,
        );
        let remembered = Remembered {
            webhook,
            at: now,
            confirmed_at: confirmed.then_some(now),
            before_refusing,
        };
        self.webhooks.put(id, remembered);
    }

    /// Remembers that there is no such webhook, or none any more.
    pub fn remember_nobody(&mut self, id: WebhookId, now: Timestamp) {
        self.webhooks.pop(&id);
        self.nobodies.put(id, now);
    }

    /// No configuration counts as confirmed any more.
    pub fn doubt_all(&mut self) {
        for (_, known) in self.webhooks.iter_mut() {
            known.confirmed_at = None;
        }
    }

    /// A Mailbox has taken events that were proven with this version.
    pub fn confirm(&mut self, id: &WebhookId, version: u64, now: Timestamp) {
        if let Some(known) = self.webhooks.get_mut(id)
            && known.webhook.version == version
        {
            known.confirmed_at = Some(now);
        }
    }

    /// The version that is believed at present.
    #[must_use]
    pub fn version(&self, id: &WebhookId, now: Timestamp) -> Option<u64> {
        let known = self.webhooks.peek(id).filter(|known| known.is_fresh(now))?;
        Some(known.webhook.version)
    }

    /// Whether the Registry may be asked once more before a request to this webhook is
    /// refused: see [`BEFORE_REFUSING`].
    pub fn may_ask_before_refusing(&mut self, id: &WebhookId, now: Timestamp) -> bool {
        let known = self.webhooks.get_mut(id);
        known.is_none_or(|known| known.before_refusing.take(now))
    }

    /// Whether the Registry may be asked for one more id of which nothing is known: see
    /// [`FOR_UNKNOWN_IDS`].
    pub fn may_ask_for_unknown(&mut self, now: Timestamp) -> bool {
        self.for_unknown_ids.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    fn id(n: u16) -> WebhookId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        WebhookId::from_random(bytes)
    }

    fn webhook(n: u16) -> Rc<Webhook> {
        let mut webhook = samples::webhook(1);
        webhook.id = id(n);
        Rc::new(webhook)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn is_fresh(cache: &mut ConfigCache, n: u16) -> bool {
        matches!(cache.look(&id(n), at(0)), Known::Fresh { .. })
    }

    #[test]
    fn ids_that_nobody_has_push_out_no_webhook() {
        let mut cache = ConfigCache::new(at(0));
        for n in 0..1_000 {
            cache.remember(webhook(n), true, at(0));
        }
        for n in 1_000..20_000 {
            cache.remember_nobody(id(n), at(0));
        }
        assert!((0..1_000).all(|n| is_fresh(&mut cache, n)));
        assert_eq!(cache.look(&id(19_999), at(0)), Known::Nobody);
        assert_eq!(cache.look(&id(1_000), at(0)), Known::Nothing, "bounded");
        assert_eq!((cache.webhooks.len(), cache.nobodies.len()), (1_000, 1_000));
    }

    #[test]
    fn of_too_many_webhooks_the_one_that_was_used_longest_ago_goes() {
        let mut cache = ConfigCache::new(at(0));
        for n in 0..1_000 {
            cache.remember(webhook(n), true, at(0));
        }
        assert!(is_fresh(&mut cache, 0));
        cache.remember(webhook(1_000), true, at(0));
        assert!(is_fresh(&mut cache, 0) && is_fresh(&mut cache, 1_000));
        assert_eq!(cache.look(&id(1), at(0)), Known::Nothing);
        assert!((2..1_000).all(|n| is_fresh(&mut cache, n)));
    }

    #[test]
    fn what_is_old_is_known_to_be_so_and_what_is_deleted_is_nobodys() {
        let mut cache = ConfigCache::new(at(0));
        cache.remember(webhook(1), false, at(0));
        let fresh = |confirmed| Known::Fresh {
            webhook: webhook(1),
            confirmed,
        };
        assert_eq!(cache.look(&id(1), at(59)), fresh(false));
        cache.confirm(&id(1), 7, at(59));
        assert_eq!(cache.look(&id(1), at(59)), fresh(false), "another version");
        cache.confirm(&id(1), 1, at(30));
        assert_eq!(cache.look(&id(1), at(59)), fresh(true));
        assert_eq!(cache.version(&id(1), at(59)), Some(1));
        assert_eq!(cache.look(&id(1), at(60)), Known::Old(webhook(1)));
        assert_eq!(cache.version(&id(1), at(60)), None);
        cache.remember(webhook(1), true, at(60));
        assert_eq!(cache.look(&id(1), at(61)), fresh(true));
        cache.remember_nobody(id(1), at(61));
        assert_eq!(cache.look(&id(1), at(360)), Known::Nobody);
        assert_eq!(cache.look(&id(1), at(361)), Known::NobodyOfOld);
        cache.remember_nobody(id(1), at(361));
        assert_eq!(cache.look(&id(1), at(362)), Known::Nobody);
        // The deletion was undone.
        cache.remember(webhook(1), true, at(700));
        assert_eq!(cache.look(&id(1), at(700)), fresh(true));
        cache.doubt_all();
        assert_eq!(cache.look(&id(1), at(700)), fresh(false));
        cache.confirm(&id(1), 1, at(701));
        assert_eq!(cache.look(&id(1), at(701)), fresh(true));
    }

    #[test]
    fn the_registry_is_asked_at_a_bounded_rate_for_each_webhook_and_for_all_unknown_ids() {
        let mut cache = ConfigCache::new(at(0));
        let count = |ask: &mut dyn FnMut() -> bool| (0..100).filter(|_| ask()).count();
        for n in 1..=2 {
            cache.remember(webhook(n), true, at(0));
        }
        assert_eq!(
            count(&mut || cache.may_ask_before_refusing(&id(1), at(0))),
            10
        );
        // News of it gives no more of them.
        cache.remember(webhook(1), true, at(0));
        assert_eq!(
            count(&mut || cache.may_ask_before_refusing(&id(1), at(0))),
            0
        );
        assert_eq!(
            count(&mut || cache.may_ask_before_refusing(&id(2), at(0))),
            10
        );
        assert_eq!(count(&mut || cache.may_ask_for_unknown(at(0))), 50);
        assert_eq!(count(&mut || cache.may_ask_for_unknown(at(1))), 5);
    }
}
