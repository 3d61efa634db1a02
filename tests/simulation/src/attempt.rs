//! One attempt: begun, under way for its time, written down.

use crate::{
    model::destination_id,
    object::{SLOTS, Trouble, UnderWay},
    origin::{self, About, Mood},
    plan::DESTINATIONS,
    post::body_of,
    sabotage::Sabotage,
    world::{World, note},
};
use std::time::Duration;
use tram_core::{
    delivery::{Attempt, Job, Response, Verdict},
    ids::Sequence,
    relay,
    webhook::Destination,
};

impl World<'_> {
    /// One attempt, from the configuration as it is now.
    pub(crate) fn begin(&mut self, job: Job) -> Result<(), Trouble> {
        let sequence = job.event.id.sequence;
        let Some(to) = (0..DESTINATIONS).find(|n| destination_id(*n) == job.destination) else {
            self.accuse("an attempt at an unknown destination");
            return Ok(());
        };
        self.judge_beginning(&job, to);
        if self.sabotage == Some(Sabotage::DoneBeforeSent) {
            let done = self.done(&job);
            self.with(|core, db, now| core.finish(db, &job, done, now, 0.0))?;
        }
        let config = self.object.as_ref().and_then(|object| object.core.config());
        let destination = config
            .and_then(|webhook| {
                webhook
                    .destinations
                    .iter()
                    .find(|known| known.id == job.destination)
            })
            .cloned();
        let name = self
            .model
            .events
            .get(&sequence)
            .map(|event| event.name.clone());
        let poison = self.setup.poison.map(|number| number.to_string());
        let mood = if to == 0 && poison.is_some() && poison == name {
            Mood::Answering(422)
        } else {
            self.moods[usize::from(to)]
        };
        let number = u64::from(job.number);
        let chance = self.chance(&[self.name_number(sequence), u64::from(to), number]);
        let what = destination.map(|destination| {
            let fate = origin::attempt(mood, &destination, self.about(&job), chance);
            (destination, fate)
        });
        let lasts = what.as_ref().map_or(Duration::ZERO, |(_, fate)| fate.lasts);
        note!(
            self,
            "attempt {number} of event {} at destination {to}, {mood:?}",
            name.unwrap_or_default()
        );
        self.seen.attempts += 1;
        let (began, ends) = (self.now, self.now.plus(lasts));
        if let Some(run) = self.run() {
            run.under_way.push(UnderWay {
                job,
                to,
                began,
                ends,
                what,
                broken: None,
            });
            if run.used() > SLOTS {
                self.accuse("more than six requests are out");
            }
        }
        Ok(())
    }

    fn about(&self, job: &Job) -> About {
        About {
            age: self.now.since(job.event.id.sequence.at()),
            name: self.name_number(job.event.id.sequence),
            kept: job.connection_may_be_kept,
        }
    }

    /// What tells events apart whenever they came.
    pub(crate) fn name_number(&self, event: Sequence) -> u64 {
        let name = self
            .model
            .events
            .get(&event)
            .map(|event| event.name.as_str());
        name.unwrap_or_default()
            .bytes()
            .fold(0, |sum, byte| sum * 256 + u64::from(byte))
    }

    /// Whether this attempt may begin.
    pub(crate) fn judge_beginning(&mut self, job: &Job, to: u8) {
        let sequence = job.event.id.sequence;
        if self.retired {
            return self.accuse("an attempt for a deleted webhook");
        }
        if self.truth.is_none() {
            return;
        }
        if !self.model.events.contains_key(&sequence) {
            self.look_at_rows();
        }
        let asked = self.asked.contains(&(sequence, to)) || self.changed[usize::from(to)];
        self.has_begun(sequence, to);
        let begun = self.model.begins(sequence, to, self.now);
        begun.unwrap_or_else(|wrong| self.accuse(wrong));
        if let Some(event) = self.model.events.get(&sequence)
            && !job.event.body.starts_with(body_of(&event.name).as_bytes())
        {
            self.accuse(format!("{sequence:?} is relayed with another's body"));
        }
        let Some(object) = &self.object else {
            return;
        };
        let paused = object.core.config().is_none_or(|config| config.is_paused);
        let held = object.holds[usize::from(to)] > self.now;
        if paused {
            self.accuse("an attempt while it is paused");
        }
        if held && !asked {
            self.accuse(format!("destination {to} had asked to be left alone"));
        }
    }

    /// Sabotage: as if it had been taken.
    pub(crate) fn done(&self, job: &Job) -> Verdict {
        Verdict {
            attempt: Attempt {
                number: job.number,
                started_at: self.now,
                duration_ms: 0,
                status_code: Some(200),
                error: None,
                response_body: String::new(),
            },
            taken: true,
            server_down: false,
            not_before: None,
            broken_before: None,
        }
    }

    /// The first attempt that has ended is written down.
    pub(crate) fn record_one(&mut self) -> Result<(), Trouble> {
        let now = self.now;
        let Some(run) = self.run() else {
            return Ok(());
        };
        let ended = run
            .under_way
            .iter()
            .enumerate()
            .filter(|(_, attempt)| attempt.ends <= now)
            .min_by_key(|(_, attempt)| attempt.ends);
        let Some((at, _)) = ended else {
            return Ok(());
        };
        let attempt = run.under_way.remove(at);
        let recorded = self.record(attempt);
        if recorded == Err(Trouble::Failed) {
            self.in_trouble();
        }
        recorded
    }

    pub(crate) fn record(&mut self, attempt: UnderWay) -> Result<(), Trouble> {
        let (job, to) = (attempt.job, attempt.to);
        let sequence = job.event.id.sequence;
        let Some((destination, fate)) = attempt.what else {
            self.model.abandoned(sequence, to, false);
            return self.with(|core, _, _| {
                core.abandon(&job);
                Ok(())
            });
        };
        let response = Response {
            started_at: attempt.began,
            duration_ms: u64::try_from(self.now.since(attempt.began).as_millis()).unwrap_or(0),
            result: fate.result,
        };
        let found_closed = relay::found_connection_closed(&job, &response);
        let mut verdict = relay::judge(&destination, job.number, response, self.now);
        if found_closed {
            self.once_more(&job, to, destination, verdict.attempt);
            return Ok(());
        }
        verdict.broken_before = attempt.broken;
        let number = u64::from(job.number);
        let chance = self.chance(&[self.name_number(sequence), u64::from(to), number, 9]);
        // Whole 53 bits of it, as Math.random gives.
        let jitter = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        let taken = verdict.taken;
        note!(
            self,
            "{}: destination {to} {}",
            job.event.id,
            verdict.attempt.error.as_deref().unwrap_or("has taken it")
        );
        if self.sabotage == Some(Sabotage::DoneBeforeSent) {
            self.model.abandoned(sequence, to, fate.received);
            return Ok(());
        }
        let was_down = verdict.shows_life() && self.is_down(to);
        if let Some(object) = &mut self.object {
            let config = object.core.config();
            let moment = (self.now, jitter);
            self.model
                .ends((sequence, to), config, &verdict, fate.received, moment);
            if let Some(until) = verdict.not_before.filter(|_| !taken) {
                let known = &mut object.holds[usize::from(to)];
                *known = (*known).max(until);
                object.held_at[usize::from(to)] = self.now;
            }
        }
        let alive = verdict.shows_life();
        if self.sabotage == Some(Sabotage::RefusalIsNoLife) && !taken && alive {
            verdict.attempt.status_code = None;
        }
        if alive {
            // At the latest when it is written down.
            self.hold_may_end(to, attempt.began);
        }
        self.with(|core, db, now| core.finish(db, &job, verdict, now, jitter))?;
        self.model.written(sequence, to, taken);
        if alive {
            self.shows_life(to, attempt.began, was_down);
            if was_down {
                self.expect(to, None);
            }
        }
        Ok(())
    }

    /// The attempt found its kept connection closed, and is made once more at once.
    fn once_more(&mut self, job: &Job, to: u8, destination: Destination, broken: Attempt) {
        let again = job.again();
        let number = u64::from(again.number);
        let name = self.name_number(job.event.id.sequence);
        let chance = self.chance(&[name, u64::from(to), number]);
        let mood = self.moods[usize::from(to)];
        let fate = origin::attempt(mood, &destination, self.about(&again), chance);
        note!(
            self,
            "destination {to} had closed the connection: once more"
        );
        let (began, ends) = (self.now, self.now.plus(fate.lasts));
        if let Some(run) = self.run() {
            run.under_way.push(UnderWay {
                job: again,
                to,
                began,
                ends,
                what: Some((destination, fate)),
                broken: Some(broken),
            });
        }
    }
}
