//! A provider's post on its way through the edge into the object, and what it is told.

use crate::{
    chance::hash,
    model::has,
    object::Trouble,
    plan::{DESTINATIONS, Kind},
    post::Post,
    sabotage::Sabotage,
    webhook::mask_of,
    world::{Later, World, note},
};
use std::time::Duration;
use tram_core::{
    delivery::Status,
    event::{DedupeKey, Envelope, NewEvent},
    ids::Sequence,
    messages::{Accept, AcceptReply, MailboxRequest, Taken},
    webhook::Webhook,
};

/// How often one request may find that the configuration has moved on.
const RELOADS: usize = 3;
/// How often a provider sends what is not taken.
const SENT_AT_MOST: u32 = 4;

/// Why a shard did not take its events.
pub(crate) enum NotTaken {
    Stale,
    Unavailable,
}

impl World<'_> {
    /// A provider posts; it tries again what is not taken.
    pub(crate) fn post(&mut self, post: Post) {
        self.look_at_rows();
        if self.sabotage != Some(Sabotage::CheckThenInsert) {
            return self.receive(&post);
        }
        let keys = post.events().into_iter().map(|event| event.key);
        let absent = keys
            .filter(|key| !self.model.keys.contains_key(key))
            .collect();
        let chance = self.chance(&[
            u64::from(post.first),
            self.now.millis().unsigned_abs(),
            self.later.len() as u64,
        ]);
        let after = Duration::from_millis(chance % 50);
        self.later(after, Later::Store(post, absent));
    }

    pub(crate) fn receive(&mut self, post: &Post) {
        if self.try_to_receive(post) || post.sent >= SENT_AT_MOST {
            return;
        }
        let again = Post {
            sent: post.sent + 1,
            stale: false,
            ..post.clone()
        };
        let chance = self.chance(&[u64::from(post.first), self.now.millis().unsigned_abs()]);
        self.later(
            Duration::from_millis(500 + chance % 60_000),
            Later::Post(again),
        );
    }

    /// Whether it is acknowledged.
    pub(crate) fn try_to_receive(&mut self, post: &Post) -> bool {
        let Some(truth) = self.truth.clone() else {
            return self.receive_for_a_deleted_one(post);
        };
        let events = post.events();
        if self.sabotage == Some(Sabotage::MarkerBeforeStore) && post.kind != Kind::Test {
            let seen = |event: &NewEvent| self.markers.contains(&event.key);
            if events.iter().all(seen) {
                let taken = vec![
                    Taken::Duplicate {
                        delivered: true,
                        known_until: None
                    };
                    events.len()
                ];
                self.acknowledge(&events, taken, &[]);
                return true;
            }
            self.markers.extend(events.iter().map(|event| event.key));
        }
        let mut config = match &self.before {
            Some(before) if post.stale => before.clone(),
            _ => truth.clone(),
        };
        for _ in 0..RELOADS {
            if !config.is_active {
                if config.version == truth.version {
                    return false;
                }
                config = truth.clone();
                continue;
            }
            let failed: Vec<Sequence> = self.failed_among(&events);
            match self.store(&events, &config) {
                Ok(taken) => {
                    self.acknowledge(&events, taken, &failed);
                    return true;
                }
                Err(NotTaken::Stale) => {
                    if config.version == truth.version {
                        self.accuse("the Registry's own configuration is stale");
                    }
                    config = truth.clone();
                }
                Err(NotTaken::Unavailable) => {
                    self.unsure(&failed);
                    if self.sabotage == Some(Sabotage::FailureAsSuccess) {
                        let taken = vec![
                            Taken::Duplicate {
                                delivered: false,
                                known_until: None
                            };
                            events.len()
                        ];
                        self.acknowledge(&events, taken, &[]);
                        return true;
                    }
                    return false;
                }
            }
        }
        false
    }

    /// An edge that has not heard of it asks the Mailbox, which must refuse.
    pub(crate) fn receive_for_a_deleted_one(&mut self, post: &Post) -> bool {
        if let Some(before) = self.before.clone().filter(|_| post.stale)
            && self.retired
            && self.store(&post.events(), &before).is_ok()
        {
            self.accuse("events of a deleted webhook were taken");
        }
        // The provider hears 404 and may send again.
        false
    }

    /// Those of the events that are known to have failed.
    pub(crate) fn failed_among(&self, events: &[NewEvent]) -> Vec<Sequence> {
        events
            .iter()
            .filter(|event| !event.test)
            .filter_map(|event| self.model.keys.get(&event.key).copied())
            .filter(|id| {
                let known = self.model.events.get(id);
                known.is_some_and(|event| event.shown == Status::Failed)
            })
            .collect()
    }

    pub(crate) fn store(
        &mut self,
        events: &[NewEvent],
        config: &Webhook,
    ) -> Result<Vec<Taken>, NotTaken> {
        let accept = Accept {
            config_version: config.version,
            envelope: Envelope {
                method: "POST".into(),
                query: String::new(),
                headers: [("content-type", "application/json")].into_iter().collect(),
            },
            events: events.to_vec(),
        };
        let mut reply = self.accept(&accept)?;
        if reply == AcceptReply::Unconfigured {
            self.model.configured(config, mask_of(config), self.now);
            let configured = self.ask(MailboxRequest::Configure {
                webhook: Box::new(config.clone()),
                shard: 0,
            });
            configured.map_err(|_| NotTaken::Unavailable)?;
            let version = self.truth.as_ref().map(|truth| truth.version);
            self.confirmed |= version == Some(config.version);
            reply = self.accept(&accept)?;
        }
        match reply {
            AcceptReply::Taken(taken) => Ok(taken),
            AcceptReply::Stale { .. } | AcceptReply::Gone => Err(NotTaken::Stale),
            AcceptReply::Unconfigured => Err(NotTaken::Unavailable),
        }
    }

    /// One call to the object; to a new one when it died and the platform says that
    /// a second may help.
    pub(crate) fn accept(&mut self, accept: &Accept) -> Result<AcceptReply, NotTaken> {
        let mut accepted = self.accept_once(accept);
        if accepted == Err(Trouble::Died) && hash(&[self.seed, self.seen.deaths]).is_multiple_of(2)
        {
            accepted = self.accept_once(accept);
        }
        accepted.map_err(|_| NotTaken::Unavailable)
    }

    pub(crate) fn accept_once(&mut self, accept: &Accept) -> Result<AcceptReply, Trouble> {
        self.disk
            .defers
            .set(self.sabotage == Some(Sabotage::AlarmAfterAnswer));
        let accepted = self.fetch(|core, db, now| core.accept_and_begin(db, accept, now));
        self.disk.defers.set(false);
        if let Some(at) = self.disk.deferred.take() {
            let after = Duration::from_millis(1 + hash(&[self.seed, self.seen.happened]) % 40);
            self.later(after, Later::SetAlarm(at));
        }
        let accepted = accepted?;
        if let Some(object) = &mut self.object {
            object.signal |= accepted.wake;
            // Where one is under way that the core knows nothing of, it is told.
            object.begins |= accepted.begin && object.run.is_none();
        }
        Ok(accepted.reply)
    }

    /// The sender is told that these are taken: from now on they must not be lost.
    /// `failed`: those of them that had failed before.
    pub(crate) fn acknowledge(
        &mut self,
        events: &[NewEvent],
        taken: Vec<Taken>,
        failed: &[Sequence],
    ) {
        if taken.len() != events.len() {
            self.accuse("not every event is accounted for");
        }
        let mask = self.mailbox_destinations();
        let destinations: Vec<u8> = (0..DESTINATIONS).filter(|n| has(mask, *n)).collect();
        for id in failed {
            self.model.wished(*id, mask, self.now);
        }
        for (event, taken) in events.iter().zip(taken) {
            let name = event.object_id.clone().unwrap_or_default();
            note!(self, "event {name}: {taken:?}");
            let told = match taken {
                Taken::New(id) | Taken::Test(Some(id)) => {
                    self.seen.events += 1;
                    let key = (!event.test).then_some(event.key);
                    let (id, now) = (id.sequence, self.now);
                    self.model.acknowledged(id, key, &name, &destinations, now)
                }
                Taken::Test(None) => Ok(()),
                Taken::Duplicate { .. } => self.acknowledge_again(&event.key, &name),
            };
            told.unwrap_or_else(|wrong| self.accuse(wrong));
        }
        self.look_at_rows();
    }

    pub(crate) fn acknowledge_again(&mut self, key: &DedupeKey, name: &str) -> Result<(), String> {
        if !self.model.keys.contains_key(key) {
            self.model.look(self.disk.native(), self.now)?;
        }
        let event = self
            .model
            .keys
            .get(key)
            .and_then(|id| self.model.events.get_mut(id));
        match event {
            Some(event) => {
                event.acknowledged = true;
                Ok(())
            }
            None => Err(format!("event {name} was acknowledged, but is not stored")),
        }
    }
}
