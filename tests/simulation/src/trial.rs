//! The operator tries the webhook out: the sample is stored, sent by the Worker that was
//! asked, and reported.

use crate::{
    model::{Delivery, Event, destination_id, has},
    origin::{self, About},
    plan::{DESTINATIONS, Kind},
    post::event,
    sabotage::Sabotage,
    world::{Later, World, note},
};
use std::time::Duration;
use tram_core::{
    delivery::{Response, Status, Verdict},
    ids::Sequence,
    mailbox::trial,
    messages::{AcceptReply, MailboxReply, MailboxRequest, Taken},
    relay,
    testing::samples::accept,
    time::Timestamp,
};

/// A trial whose attempts are out.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    event: Sequence,
    began: Timestamp,
    outcomes: Vec<(u8, Verdict, bool)>,
}

impl World<'_> {
    pub(crate) fn try_out(&mut self) {
        let Some(truth) = self.truth.clone() else {
            return;
        };
        let sample = event(0, Kind::Test);
        let name = sample.object_id.clone().unwrap_or_default();
        let mut request = accept(vec![sample]);
        request.config_version = truth.version;
        let begun = self.fetch(|core, db, now| core.begin_trial(db, &request, now));
        let Ok(AcceptReply::Taken(taken)) = begun else {
            return;
        };
        let [Taken::Test(Some(id))] = taken[..] else {
            return self.accuse(format!("a trial came to {taken:?}"));
        };
        let mask = self.mailbox_destinations();
        let numbers = (0..DESTINATIONS).filter(|number| has(mask, *number));
        let deliveries = numbers.map(|number| Delivery {
            status: Status::Failed,
            ..Delivery::new(number, self.now)
        });
        let stored = Event {
            name: name.clone(),
            acknowledged: true,
            shown: Status::Failed,
            loose: false,
            deliveries: deliveries.collect(),
        };
        self.model.events.insert(id.sequence, stored);
        let mut outcomes = Vec::new();
        let mut longest = Duration::ZERO;
        for destination in &truth.destinations {
            let Some(to) = (0..DESTINATIONS).find(|n| destination_id(*n) == destination.id) else {
                continue;
            };
            let about = About {
                age: Duration::ZERO,
                name: self.name_number(id.sequence),
                kept: false,
            };
            let chance = self.chance(&[id.sequence.number().unsigned_abs(), u64::from(to), 11]);
            let fate = origin::attempt(self.moods[usize::from(to)], destination, about, chance);
            longest = longest.max(fate.lasts);
            let response = Response {
                started_at: self.now,
                duration_ms: u64::try_from(fate.lasts.as_millis()).unwrap_or(0),
                result: fate.result,
            };
            let ends = self.now.plus(fate.lasts);
            let verdict = relay::judge(destination, 1, response, ends);
            outcomes.push((to, verdict, fate.received));
        }
        let trial = Trial {
            event: id.sequence,
            began: self.now,
            outcomes,
        };
        self.later(longest, Later::EndTrial(trial));
    }

    pub(crate) fn end_trial(&mut self, trial: Trial) {
        let outcomes = trial.outcomes.iter();
        let report = trial::report(
            outcomes
                .map(|(to, verdict, _)| (destination_id(*to), verdict.clone()))
                .collect(),
        );
        let alive: Vec<u8> = trial
            .outcomes
            .iter()
            .filter(|(_, verdict, _)| verdict.shows_life())
            .map(|(to, _, _)| *to)
            .collect();
        let answered = if self.sabotage == Some(Sabotage::TestDoesNotCount) {
            Vec::new()
        } else {
            alive.iter().map(|to| destination_id(*to)).collect()
        };
        for (to, _, received) in &trial.outcomes {
            if let Some(delivery) = self.model.delivery(trial.event, *to)
                && delivery.status == Status::Failed
                && delivery.made == 0
            {
                delivery.received |= *received;
                delivery.made = 1;
            }
        }
        let mask = self.mailbox_destinations();
        let alive: Vec<(u8, bool)> = alive
            .into_iter()
            .filter(|to| has(mask, *to))
            .map(|to| (to, self.is_down(to)))
            .collect();
        let ended = self.ask(MailboxRequest::EndTrial {
            sequence: trial.event,
            report: report.expect("a report can be written"),
            answered,
        });
        match ended {
            Ok(MailboxReply::Event(_)) => {
                self.look_at(trial.event);
                for (to, was_down) in alive {
                    note!(self, "destination {to} has answered a trial");
                    self.shows_life(to, trial.began, was_down);
                    if was_down {
                        self.expect(to, None);
                    }
                }
            }
            Ok(MailboxReply::NotFound) if self.truth.is_none() => {}
            Ok(other) => self.accuse(format!("the end of a trial came to {other:?}")),
            Err(_) => {
                // That it lives may have been written down before something failed.
                for (to, _) in alive {
                    self.hold_may_end(to, trial.began);
                }
                self.unsure(&[trial.event]);
            }
        }
    }

    /// Compares one event with what is stored.
    pub(crate) fn look_at(&mut self, event: Sequence) {
        if self.truth.is_some() && self.model.events.contains_key(&event) {
            let compared = self.model.compare(self.disk.native(), event, self.now);
            compared.unwrap_or_else(|wrong| self.accuse(wrong));
        }
    }

    /// A destination has shown that it lives, and the Mailbox was told.
    pub(crate) fn shows_life(&mut self, to: u8, began: Timestamp, was_down: bool) {
        self.model.shows_life(to, began, was_down, self.now);
        self.hold_may_end(to, began);
    }

    /// The Mailbox may know that a destination lives, and so let it be asked again.
    pub(crate) fn hold_may_end(&mut self, to: u8, began: Timestamp) {
        if let Some(object) = &mut self.object
            && began > object.held_at[usize::from(to)]
        {
            object.holds[usize::from(to)] = Timestamp::default();
        }
    }
}
