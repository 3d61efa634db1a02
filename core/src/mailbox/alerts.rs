//! What there is to tell the operator: collected while deliveries are driven, handed
//! out at most once per kind and destination in five minutes.
//!
//! What was told, and that something is still to be told, stands in the destination's
//! health, so that an eviction neither repeats nor swallows it. Without anybody to
//! tell, nothing is collected and no row is written.

use super::{
    Mailbox, MailboxError,
    deliveries::State,
    health::{self, Health},
    sql, waiting,
};
use crate::{
    alert::{AT_MOST_ONE_IN, Alert, Kind},
    database::Database,
    ids::{DestinationId, Sequence},
    time::{MINUTE, Timestamp},
    webhook::Webhook,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known of the alerts of one kind for one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    kind: Kind,
    /// When the last went out.
    at: Option<Timestamp>,
    /// How many deliveries the next is about; none, and there is no next.
    count: u32,
    /// The number of the event that it names.
    event: i64,
}

impl Told {
    /// What was known of it.
    pub(super) const fn new(kind: Kind, at: Option<Timestamp>, count: u32, event: i64) -> Self {
        Self {
            kind,
            at,
            count,
            event,
        }
    }

    /// When it may go out; `None` when there is nothing to tell.
    fn due(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that went back must not silence it.
        let next = self
            .at
            .filter(|at| *at <= now)
            .map(|at| at.plus(AT_MOST_ONE_IN));
        (self.count > 0).then(|| next.unwrap_or(now))
    }
}

/// Notes something to tell.
fn note(list: &mut Vec<Told>, kind: Kind, count: u32, event: Option<Sequence>) {
    let event = event.unwrap_or_default().number();
    match list.iter_mut().find(|told| told.kind == kind) {
        Some(told) => {
            // How many waited or were released is as of now, failures add up.
            told.count = match kind {
                Kind::DeliveryFailed => told.count.saturating_add(count),
                _ => count,
            };
            told.event = event;
        }
        None => list.push(Told {
            kind,
            at: None,
            count,
            event,
        }),
    }
}

fn alert_after(config: &Webhook) -> Duration {
    MINUTE.saturating_mul(config.alert_after_minutes)
}

impl Mailbox {
    /// Whether the station has an address for the alerts of webhooks without one.
    pub const fn set_station_alerts(&mut self, on: bool) {
        self.station_alerts = on;
    }

    pub(super) fn tells(&self) -> bool {
        self.station_alerts
            || self
                .config
                .as_ref()
                .is_some_and(|config| config.alert_url.is_some())
    }

    /// There is something to tell; stored when it is [collected](Self::alerts).
    pub(super) fn tell(
        &mut self,
        kind: Kind,
        destination: DestinationId,
        count: u32,
        event: Option<Sequence>,
    ) {
        if !self.tells() || count == 0 {
            return;
        }
        self.alerts_at = Some(Timestamp::default());
        self.untold.push((kind, destination, count, event));
    }

    /// A delivery came to this end without being taken.
    pub(super) fn tell_of_end(
        &mut self,
        state: State,
        destination: DestinationId,
        event: Sequence,
    ) {
        if state == State::Failed {
            self.tell(Kind::DeliveryFailed, destination, 1, Some(event));
        }
    }

    /// What is to be told now. Each alert is handed out once: one row.
    ///
    /// # Errors
    /// When the database fails; then nothing is handed out.
    pub fn alerts(
        &mut self,
        db: &impl Database,
        now: Timestamp,
    ) -> Result<Vec<Alert>, MailboxError> {
        if !self.tells() || self.alerts_at.is_some_and(|at| at > now) {
            return Ok(Vec::new());
        }
        let collected = self.collect(db, now);
        if collected.is_err() {
            // Not over and over, whatever is the matter.
            let later = now.plus(MINUTE);
            self.alerts_at = Some(later);
            self.told_due = self.told_due.map(|due| due.max(later));
            self.waiting_due = self.waiting_due.map(|due| due.max(later));
        }
        collected
    }

    fn collect(&mut self, db: &impl Database, now: Timestamp) -> Result<Vec<Alert>, MailboxError> {
        let Some(config) = self.relaying().cloned() else {
            return Ok(Vec::new());
        };
        let mut alerts = Vec::new();
        let mut next: Option<Timestamp> = None;
        let mut next_waiting: Option<Timestamp> = None;
        for destination in config.destinations.iter().map(|known| known.id) {
            let before = self.health.get(&destination).cloned().unwrap_or_default();
            let mut after = before.clone();
            for (kind, to, count, event) in &self.untold {
                if *to == destination {
                    note(&mut after.told, *kind, *count, *event);
                }
            }
            let waiting = self.look_for_waiting(db, &config, destination, &mut after, now)?;
            for told in &mut after.told {
                let Some(due) = told.due(now) else { continue };
                if due > now {
                    next = Some(next.map_or(due, |known| known.min(due)));
                    continue;
                }
                let event = Sequence::from_number(told.event).filter(|event| event.number() > 0);
                alerts.push(Alert {
                    kind: told.kind,
                    destination,
                    shard: self.shard,
                    at: now,
                    count: told.count,
                    event: event.map(|event| Self::event_id(&config, self.shard, event)),
                });
                told.count = 0;
                told.at = Some(now);
            }
            // What went out long ago stands in nothing's way.
            after.told.retain(|told| {
                told.count > 0 || told.at.is_some_and(|at| now.since(at) < AT_MOST_ONE_IN)
            });
            next_waiting = next_waiting.into_iter().chain(waiting).min();
            health::save(db, destination, &before, &after)?;
            if after != before {
                self.health.insert(destination, after);
            }
        }
        self.untold.clear();
        // Nothing to tell as things stand; whatever happens makes it look again.
        let look = next.into_iter().chain(next_waiting).min();
        self.alerts_at = Some(look.unwrap_or(now.plus(AT_MOST_ONE_IN)));
        self.told_due = next;
        self.waiting_due = next_waiting;
        Ok(alerts)
    }

    /// Tells once when the oldest that waits for a destination has waited too long;
    /// says when that would be, if it has not.
    fn look_for_waiting(
        &self,
        db: &impl Database,
        config: &Webhook,
        destination: DestinationId,
        health: &mut Health,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, MailboxError> {
        let Some((since, event)) = self.longest_waiting(db, destination)? else {
            health.told_of_waiting = false;
            return Ok(None);
        };
        let at = since.plus(alert_after(config));
        if at > now {
            health.told_of_waiting = false;
            return Ok(Some(at));
        }
        if !health.told_of_waiting {
            health.told_of_waiting = true;
            let count = self.pending_for(db, destination)?;
            note(
                &mut health.told,
                Kind::EventsWaiting,
                count.max(1),
                Some(event),
            );
        }
        Ok(None)
    }

    /// Since when the oldest delivery to a destination has been pending.
    fn longest_waiting(
        &self,
        db: &impl Database,
        destination: DestinationId,
    ) -> Result<Option<(Timestamp, Sequence)>, MailboxError> {
        let waiting = if self.waiting.has(&destination) {
            waiting::oldest(db, destination)?
        } else {
            None
        };
        let fresh = self
            .first_attempts
            .first(destination)
            .map(|event| (event.at(), event));
        Ok(waiting.into_iter().chain(fresh).min())
    }

    /// How many deliveries to a destination are pending.
    pub(super) fn pending_for(
        &self,
        db: &impl Database,
        destination: DestinationId,
    ) -> Result<u32, MailboxError> {
        let count = |sql: &str, values: &[crate::database::Value]| -> Result<u32, MailboxError> {
            db.run(sql, values)?
                .first()
                .map_or(Ok(0), |row| sql::read_count(row, 0))
        };
        let waiting = count(
            "SELECT count(*) FROM waiting WHERE destination = ?",
            &[sql::destination(destination)],
        )?;
        let record = ["\"", &destination.to_string(), "\",\"state\":\"fresh\""].concat();
        let fresh = count(
            "SELECT count(*) FROM events WHERE seq >= ? AND fresh = 1 AND instr(deliveries, ?) > 0",
            &[
                sql::sequence(self.first_attempts.not_before()),
                sql::text(&record),
            ],
        )?;
        Ok(waiting.saturating_add(fresh))
    }

    /// A delivery begins to wait: when it will have waited too long is to be found out.
    pub(super) const fn look_for_alerts(&mut self) {
        self.alerts_at = None;
    }

    /// When there will be something to tell, as far as is known. That something waits
    /// too long counts only where anything is `pending`; while it is paused, nothing is
    /// told.
    pub(super) fn next_alert(&self, pending: bool) -> Option<Timestamp> {
        if !self.tells() || self.relaying().is_none() {
            return None;
        }
        let waiting = self.waiting_due.filter(|_| pending);
        self.told_due.into_iter().chain(waiting).min()
    }
}
