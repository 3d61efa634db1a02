//! What must begin soon, however long a lease is: what the operator asks for, and what a
//! destination that is back is released.

use crate::{model::destination_id, world::World};
use std::time::Duration;
use tram_core::{
    database::{Database, Value},
    ids::Sequence,
    time::Timestamp,
};

/// So soon.
const SOON: Duration = Duration::from_secs(5);

/// One such thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prompt {
    since: Timestamp,
    to: u8,
    /// This event; else any.
    event: Option<Sequence>,
}

impl World<'_> {
    /// Whether the Mailbox counts the destination as down, for certain: it says so in its
    /// database, and knows what is there.
    pub(crate) fn is_down(&self, to: u8) -> bool {
        let knows = self.object.as_ref().is_none_or(|object| object.knows);
        let rows = self.disk.native().run(
            "SELECT state FROM health WHERE destination = ?",
            &[Value::Text(destination_id(to).to_string())],
        );
        let rows = rows.unwrap_or_default();
        let state = rows.first().and_then(|row| row.blob(0).ok());
        let state = state.and_then(|state| serde_json::from_slice(state).ok());
        knows && state.is_some_and(|state: serde_json::Value| !state["down_since"].is_null())
    }

    fn is_out(&self, to: u8) -> bool {
        let run = self.object.as_ref().and_then(|object| object.run.as_ref());
        run.is_some_and(|run| run.under_way.iter().any(|attempt| attempt.to == to))
    }

    fn may_begin(&self, prompt: &Prompt) -> bool {
        self.model.pending().any(|(id, delivery)| {
            // What has just been refused waits for its own time, and what has been queued
            // since was not meant.
            let waits = match prompt.event {
                Some(event) => event == id,
                None => delivery.since <= prompt.since && delivery.ended_at < prompt.since,
            };
            delivery.to == prompt.to && !delivery.out && waits
        })
    }

    /// An attempt at the destination, of this event or any, must begin soon.
    pub(crate) fn expect(&mut self, to: u8, event: Option<Sequence>) {
        // The last wish counts.
        self.prompt.retain(|prompt| prompt.to != to);
        let prompt = Prompt {
            since: self.now,
            to,
            event,
        };
        let object = self.object.as_ref();
        let held = object.is_some_and(|object| object.holds[usize::from(to)] > self.now);
        if event.is_none() && held {
            return;
        }
        let paused = self.truth.as_ref().is_none_or(|truth| truth.is_paused);
        if !paused && self.confirmed && !self.is_out(to) && self.may_begin(&prompt) {
            self.prompt.push(prompt);
        }
    }

    /// An attempt has begun.
    pub(crate) fn has_begun(&mut self, event: Sequence, to: u8) {
        self.asked.remove(&(event, to));
        self.changed[usize::from(to)] = false;
        // Where another has begun first, the one that was asked for waits for its end.
        self.prompt.retain(|prompt| prompt.to != to);
    }

    pub(crate) fn check_prompt(&mut self) {
        let late = |prompt: &&Prompt| self.now > prompt.since.plus(SOON);
        let Some(prompt) = self.prompt.iter().find(late).copied() else {
            return;
        };
        self.look_at_all_rows();
        self.prompt.retain(|known| known.since != prompt.since);
        if self.may_begin(&prompt) {
            self.accuse(format!(
                "destination {} was to be sent {:?} at once: {:?} ago",
                prompt.to,
                prompt.event,
                self.now.since(prompt.since)
            ));
        }
    }
}
