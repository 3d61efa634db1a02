//! The operator, through the Registry and the API: changes, resends, looks; and the
//! hourly visit.

use crate::{
    model::{destination_id, has},
    plan::{Change, DESTINATIONS},
    webhook::{destinations, mask_of, schedule, timeout_of},
    world::{Later, World},
};
use std::time::Duration;
use tram_core::{
    ids::Sequence,
    mailbox::view::EventQuery,
    messages::{MailboxReply, MailboxRequest},
    time::HOUR,
};

impl World<'_> {
    pub(crate) fn change(&mut self, change: Change) {
        self.look_at_rows();
        let Some(truth) = &mut self.truth else {
            return;
        };
        self.before = Some(truth.clone());
        truth.version += 1;
        match change {
            Change::Destinations(mask) => {
                truth.destinations = destinations(mask, &self.setup, timeout_of(truth));
            }
            Change::Schedule(number) => truth.retry = schedule(number),
            Change::GiveUp(hours) => truth.give_up_after_hours = hours,
            Change::Paused(paused) => truth.is_paused = paused,
            Change::Active(active) => truth.is_active = active,
            Change::Timeout(seconds) => {
                let mask = mask_of(truth);
                truth.destinations = destinations(mask, &self.setup, seconds);
            }
        }
        self.confirmed = false;
        self.configure();
    }

    /// The Registry tells the Mailbox what there is, until it has heard.
    pub(crate) fn configure(&mut self) {
        let Some(truth) = self.truth.clone() else {
            return;
        };
        self.changed = [true; DESTINATIONS as usize];
        let known = self.object.as_ref().and_then(|object| object.core.config());
        // To be told the same again is no change.
        let is_new = known.is_some_and(|known| known.version < truth.version);
        // What it does with it may happen though it fails.
        self.model.configured(&truth, mask_of(&truth), self.now);
        self.excuse_now();
        match self.ask(MailboxRequest::Configure {
            webhook: Box::new(truth),
            shard: 0,
        }) {
            Ok(_) => {
                self.confirmed = true;
                for to in 0..DESTINATIONS {
                    if is_new && has(self.destinations(), to) && self.is_down(to) {
                        self.model.probed_by(to, self.now);
                        self.expect(to, None);
                    }
                }
            }
            Err(_) => self.later(Duration::from_secs(5), Later::Configure),
        }
    }

    pub(crate) fn delete(&mut self) {
        if let Some(truth) = self.truth.take() {
            self.before = Some(truth);
            self.retire();
        }
    }

    pub(crate) fn retire(&mut self) {
        let Some(webhook) = self.before.as_ref().map(|webhook| webhook.id) else {
            return;
        };
        match self.ask(MailboxRequest::Retire {
            webhook,
            version: 0,
        }) {
            Ok(_) => self.retired = true,
            Err(_) => self.later(Duration::from_secs(5), Later::Retire),
        }
    }

    pub(crate) fn visit(&mut self) {
        let visited = self.fetch(|core, db, now| core.ensure_armed(db, now));
        let Some((_, since)) = self.platform.lost else {
            return;
        };
        // Until then the object may believe in the alarm.
        if visited.is_ok() && self.now.since(since) >= Duration::from_secs(150) {
            if self.must_begin_for_certain().is_none() {
                self.platform.lost = None;
            }
        } else {
            self.later(HOUR, Later::Visit);
        }
    }

    pub(crate) fn nth_event(&self, which: u8) -> Option<Sequence> {
        let count = self.model.events.len().max(1);
        self.model
            .events
            .keys()
            .nth(usize::from(which) % count)
            .copied()
    }

    pub(crate) fn resend(&mut self, which: u8, to: Option<u8>) {
        let Some(sequence) = self.nth_event(which).filter(|_| self.truth.is_some()) else {
            return;
        };
        self.look_at(sequence);
        let asked = self.ask(MailboxRequest::Resend {
            sequence,
            destination: to.map(destination_id),
        });
        let mask = self.mailbox_destinations();
        let known: Vec<u8> = self
            .model
            .events
            .get(&sequence)
            .map(|event| event.deliveries.iter().map(|known| known.to).collect())
            .unwrap_or_default();
        let mut chosen: Vec<u8> = (0..DESTINATIONS)
            .filter(|number| has(mask, *number))
            .filter(|number| to.map_or_else(|| known.contains(number), |to| to == *number))
            .collect();
        if chosen.is_empty() && to.is_none() {
            chosen = (0..DESTINATIONS).filter(|n| has(mask, *n)).collect();
        }
        if !matches!(asked, Ok(MailboxReply::NotFound)) {
            self.asked.extend(chosen.iter().map(|to| (sequence, *to)));
        }
        match asked {
            Ok(MailboxReply::Queued(count)) if count as usize == chosen.len() => {
                self.model.resent(sequence, &chosen, self.now);
                for to in chosen {
                    self.expect(to, Some(sequence));
                }
            }
            Ok(MailboxReply::NotFound) if chosen.is_empty() => {}
            Ok(other) => self.accuse(format!(
                "a resend of {sequence:?} to {chosen:?} came to {other:?}"
            )),
            Err(_) => self.unsure(&[sequence]),
        }
    }

    /// Something was tried with these events that failed and may have stuck.
    pub(crate) fn unsure(&mut self, events: &[Sequence]) {
        for id in events {
            if let Some(event) = self.model.events.get_mut(id) {
                event.loose = true;
                let compared = self.model.compare(self.disk.native(), *id, self.now);
                compared.unwrap_or_else(|wrong| self.accuse(wrong));
            }
        }
    }

    pub(crate) fn look(&mut self, which: u8) {
        if self.truth.is_none() {
            return;
        }
        let query = EventQuery {
            per_page: 3,
            include_attempts: true,
            ..EventQuery::default()
        };
        if let Ok(reply) = self.ask(MailboxRequest::List(query))
            && !matches!(reply, MailboxReply::Page(_))
        {
            self.accuse(format!("a list came to {reply:?}"));
        }
        let Some(id) = self.nth_event(which) else {
            return;
        };
        let configured = self.confirmed;
        match self.ask(MailboxRequest::Get(id)) {
            Ok(MailboxReply::Event(_)) | Err(_) => {}
            Ok(_) if !configured => {}
            Ok(other) => self.accuse(format!("{id:?} came to {other:?}")),
        }
    }

    /// What the Mailbox has been told, by number.
    pub(crate) fn mailbox_destinations(&self) -> u8 {
        self.object
            .as_ref()
            .and_then(|object| object.core.config())
            .map_or(0, mask_of)
    }
}
