//! What must be true, told independently of the Mailbox: what was acknowledged,
//! what the origins have really got, when the next attempt must have begun at the
//! latest, and which ends are legitimate.
//!
//! It is generous where the Mailbox is free (jitter, attempts whose outcome could
//! not be written down, a destination that may be down) and strict elsewhere.

use crate::plan::DESTINATIONS;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tram_core::{
    database::{Database, Value},
    delivery::{Status, Verdict},
    event::DedupeKey,
    ids::{DestinationId, Sequence},
    retry,
    testing::native::NativeDatabase,
    time::{HOUR, Timestamp},
    webhook::Webhook,
};

/// Failures in a row of the kind that says "down", from which on a destination may
/// be treated as down.
const MAY_BE_DOWN: u32 = 10;
/// Then a probe goes out at most every 30 s, and may take 30 s.
const PROBED_WITHIN: Duration = Duration::from_secs(60);
/// Never.
pub(crate) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX / 4);

/// The id of a destination, by its number.
pub(crate) fn destination_id(number: u8) -> DestinationId {
    DestinationId::from_random([number; 8])
}

/// One event on its way to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) to: u8,
    pub(crate) status: Status,
    /// When it was queued, at the earliest.
    pub(crate) since: Timestamp,
    /// When its next attempt must have begun, held or excused aside.
    pub(crate) latest: Timestamp,
    /// Attempts since it was queued, at most; and how many of them may not have
    /// been written down, or may have been probes, which do not count.
    pub(crate) tries: u32,
    pub(crate) unwritten: u32,
    pub(crate) probes: u32,
    /// The origin has got it since it was queued.
    pub(crate) received: bool,
    /// An attempt is out.
    pub(crate) out: bool,
    /// Its destination was taken away at some time.
    pub(crate) removed: bool,
    /// Its schedule has been used up.
    pub(crate) used_up: bool,
    /// Attempts ever made, and when the last was over.
    pub(crate) made: u32,
    pub(crate) ended_at: Timestamp,
    /// As the newest that was never tried, it is a probe by then at the latest.
    pub(crate) probed_by: Timestamp,
    /// It had been delivered before it was queued again.
    pub(crate) was_delivered: bool,
}

impl Delivery {
    pub(crate) const fn new(to: u8, now: Timestamp) -> Self {
        Self {
            to,
            status: Status::Pending,
            since: now,
            latest: now,
            tries: 0,
            unwritten: 0,
            probes: 0,
            received: false,
            out: false,
            removed: false,
            used_up: false,
            made: 0,
            ended_at: Timestamp::from_millis(0),
            probed_by: NEVER,
            was_delivered: false,
        }
    }

    fn restart(&mut self, now: Timestamp) {
        *self = Self {
            out: self.out,
            made: self.made,
            probed_by: self.probed_by.max(now.plus(PROBED_WITHIN)),
            was_delivered: self.was_delivered || self.status == Status::Delivered,
            ..Self::new(self.to, now)
        };
    }
}

/// An event that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// What its body says.
    pub(crate) name: String,
    /// Its sender was told that it is taken.
    pub(crate) acknowledged: bool,
    /// As it was last seen in the database.
    pub(crate) shown: Status,
    /// Something was tried with it that failed and may have stuck.
    pub(crate) loose: bool,
    pub(crate) deliveries: Vec<Delivery>,
}

/// A delivery as it is stored.
#[derive(Deserialize)]
struct Stored {
    destination: DestinationId,
    state: String,
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) events: BTreeMap<Sequence, Event>,
    /// Every key but those of test calls.
    pub(crate) keys: HashMap<DedupeKey, Sequence>,
    /// When a delivery was given up after how many hours, from when on.
    give_ups: Vec<(Timestamp, u32)>,
    failures: [u32; DESTINATIONS as usize],
    begun: [Timestamp; DESTINATIONS as usize],
    /// When one that may have been down took something: all that waits is released.
    released: [Timestamp; DESTINATIONS as usize],
    holds: [Timestamp; DESTINATIONS as usize],
    held_at: [Timestamp; DESTINATIONS as usize],
}

impl Model {
    pub(crate) fn pending(&self) -> impl Iterator<Item = (Sequence, &Delivery)> {
        self.events.iter().flat_map(|(id, event)| {
            event
                .deliveries
                .iter()
                .filter(|delivery| delivery.status == Status::Pending)
                .map(|delivery| (*id, delivery))
        })
    }

    pub(crate) fn delivery(&mut self, event: Sequence, to: u8) -> Option<&mut Delivery> {
        let event = self.events.get_mut(&event)?;
        event.deliveries.iter_mut().find(|known| known.to == to)
    }

    /// The configuration may be this one from now on.
    pub(crate) fn configured(&mut self, webhook: &Webhook, destinations: u8, now: Timestamp) {
        self.give_ups.push((now, webhook.give_up_after_hours));
        self.may_be_cancelled(destinations);
    }

    /// These are the destinations, it may be: what is for others may be cancelled.
    pub(crate) fn may_be_cancelled(&mut self, destinations: u8) {
        for event in self.events.values_mut() {
            for delivery in &mut event.deliveries {
                delivery.removed |=
                    delivery.status == Status::Pending && !has(destinations, delivery.to);
            }
        }
    }

    /// The shortest time to give up that held since then.
    fn give_up_after(&self, since: Timestamp) -> Duration {
        let before = self
            .give_ups
            .iter()
            .rposition(|(from, _)| *from <= since)
            .unwrap_or(0);
        let hours = self.give_ups[before..].iter().map(|(_, hours)| *hours);
        HOUR * hours.min().unwrap_or(0)
    }

    /// When an attempt must have begun; `None` when nothing must.
    pub(crate) fn must_begin(&self, delivery: &Delivery, destinations: u8) -> Option<Timestamp> {
        if delivery.status != Status::Pending
            || delivery.out
            || delivery.latest == NEVER
            || !has(destinations, delivery.to)
        {
            return None;
        }
        let to = usize::from(delivery.to);
        let at = delivery.latest.max(self.holds[to]).max(self.released[to]);
        Some(if self.failures[to] >= MAY_BE_DOWN {
            at.max(self.begun[to].plus(PROBED_WITHIN))
        } else {
            at
        })
    }

    /// When the newest event that was never tried must have begun at the destination,
    /// as a probe if need be.
    pub(crate) fn must_probe(&self, to: u8, destinations: u8) -> Option<(Timestamp, Sequence)> {
        let newest = self.pending().filter(|(_, delivery)| {
            delivery.to == to && !delivery.out && delivery.made == 0 && has(destinations, to)
        });
        let (id, delivery) = newest.max_by_key(|(id, _)| *id)?;
        let hold = self.holds[usize::from(to)];
        (delivery.latest != NEVER && delivery.probed_by != NEVER)
            .then_some((delivery.probed_by.max(hold), id))
    }

    /// Another probe goes first: what was never tried waits for it.
    pub(crate) fn probed_by(&mut self, to: u8, now: Timestamp) {
        for event in self.events.values_mut() {
            for delivery in &mut event.deliveries {
                if delivery.to == to && delivery.probed_by != NEVER {
                    delivery.probed_by = delivery.probed_by.max(now.plus(PROBED_WITHIN));
                }
            }
        }
    }

    /// A destination has answered what was sent at `began`, and not with what says that
    /// it is down. `was_down`: it counted as down for certain, and all that waits is
    /// released.
    pub(crate) fn shows_life(&mut self, to: u8, began: Timestamp, was_down: bool, now: Timestamp) {
        let at = usize::from(to);
        if self.failures[at] >= MAY_BE_DOWN {
            self.released[at] = now;
        }
        self.failures[at] = 0;
        if began > self.held_at[at] {
            self.holds[at] = now.min(self.holds[at]);
        }
        if !was_down {
            return;
        }
        for event in self.events.values_mut() {
            for delivery in &mut event.deliveries {
                let waits = delivery.status == Status::Pending && !delivery.out;
                if delivery.to == to && waits && delivery.ended_at < now {
                    delivery.latest = delivery.latest.min(now);
                }
            }
        }
    }

    pub(crate) fn begins(&mut self, event: Sequence, to: u8, now: Timestamp) -> Result<(), String> {
        self.begun[usize::from(to)] = now;
        let delivery = self
            .delivery(event, to)
            .ok_or("an attempt that nobody asked for")?;
        delivery.made += 1;
        if std::mem::replace(&mut delivery.out, true) {
            return Err("attempted twice at once".into());
        }
        // The next to be the newest that was never tried goes next.
        for (_, older) in self.events.range_mut(..event) {
            for delivery in older.deliveries.iter_mut().filter(|known| known.to == to) {
                if delivery.probed_by != NEVER {
                    delivery.probed_by = delivery.probed_by.max(now.plus(PROBED_WITHIN));
                }
            }
        }
        Ok(())
    }

    /// An attempt is over, and is about to be written down under this
    /// configuration. `received`: the origin has got the event.
    pub(crate) fn ends(
        &mut self,
        (event, to): (Sequence, u8),
        webhook: Option<&Webhook>,
        verdict: &Verdict,
        received: bool,
        (now, jitter): (Timestamp, f64),
    ) {
        let at = usize::from(to);
        let may_be_probe = self.failures[at] >= MAY_BE_DOWN;
        if verdict.server_down {
            self.failures[at] += 1;
        }
        if let Some(until) = verdict.not_before.filter(|_| !verdict.taken) {
            self.holds[at] = self.holds[at].max(until);
            self.held_at[at] = now;
        }
        let Some(delivery) = self.delivery(event, to) else {
            return;
        };
        delivery.out = false;
        delivery.ended_at = now;
        delivery.received |= received;
        delivery.tries += 1;
        delivery.unwritten += 1;
        delivery.probes += u32::from(may_be_probe);
        let Some(webhook) = webhook.filter(|_| !verdict.taken) else {
            return;
        };
        let unsure = delivery.unwritten + delivery.probes;
        let fewest = (delivery.tries + 1).saturating_sub(unsure).max(1);
        for tries in fewest..=delivery.tries {
            match retry::next_delay(&webhook.retry, tries, jitter) {
                Some(delay) => {
                    let due = now.plus(delay).max(verdict.not_before.unwrap_or(now));
                    delivery.latest = delivery.latest.max(due);
                }
                None => {
                    delivery.used_up = true;
                    delivery.latest = NEVER;
                }
            }
        }
    }

    /// … and it was written down.
    pub(crate) fn written(&mut self, event: Sequence, to: u8, taken: bool) {
        if let Some(delivery) = self.delivery(event, to) {
            delivery.unwritten = delivery.unwritten.saturating_sub(1);
            if taken {
                delivery.status = Status::Delivered;
            }
        }
    }

    /// The object that had attempts out is no more, or has abandoned one.
    pub(crate) fn abandoned(&mut self, event: Sequence, to: u8, received: bool) {
        if let Some(delivery) = self.delivery(event, to) {
            delivery.out = false;
            delivery.received |= received;
        }
    }

    /// Compares all events with what is stored, and those whose status has changed
    /// in depth.
    pub(crate) fn look(&mut self, db: &NativeDatabase, now: Timestamp) -> Result<(), String> {
        let rows = match db.run("SELECT seq, status FROM events ORDER BY seq", &[]) {
            Ok(rows) => rows,
            // There are no tables before the object was first opened.
            Err(_) if self.events.is_empty() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let mut known = 0;
        for row in &rows {
            let id = sequence(row.integer(0).map_err(|error| error.to_string())?);
            let shown = status(row.text(1).map_err(|error| error.to_string())?);
            match self.events.get_mut(&id) {
                Some(event) => {
                    known += 1;
                    if event.shown != shown {
                        event.shown = shown;
                        self.compare(db, id, now)?;
                    }
                }
                None => {
                    self.adopt(db, id, now)?;
                    known += 1;
                }
            }
        }
        if known == self.events.len() {
            return Ok(());
        }
        let stored: Vec<Sequence> = rows
            .iter()
            .filter_map(|row| row.integer(0).ok().map(sequence))
            .collect();
        let gone = self.events.keys().find(|id| !stored.contains(id));
        Err(format!("an event is stored no more: {gone:?}"))
    }

    /// All of it, in depth.
    pub(crate) fn look_at_all(
        &mut self,
        db: &NativeDatabase,
        now: Timestamp,
    ) -> Result<(), String> {
        self.look(db, now)?;
        let all: Vec<Sequence> = self.events.keys().copied().collect();
        all.into_iter().try_for_each(|id| self.compare(db, id, now))
    }

    /// An event that is stored though its sender was not told so.
    fn adopt(&mut self, db: &NativeDatabase, id: Sequence, now: Timestamp) -> Result<(), String> {
        let rows = db
            .run(
                "SELECT key, test, object_id, status FROM events WHERE seq = ?",
                &[Value::Integer(id.number())],
            )
            .map_err(|error| error.to_string())?;
        let row = rows.first().ok_or("an event that is not there")?;
        let read = || -> Result<_, tram_core::database::DatabaseError> {
            Ok((
                row.blob(0)?.to_vec(),
                row.integer(1)?,
                row.text(2)?,
                row.text(3)?,
            ))
        };
        let (key, test, name, shown) = read().map_err(|error| error.to_string())?;
        if test == 0 {
            self.name_key(key.try_into().map_err(|_| "a key of another length")?, id)?;
        }
        let event = Event {
            name: name.to_owned(),
            acknowledged: false,
            shown: status(shown),
            loose: true,
            deliveries: Vec::new(),
        };
        self.events.insert(id, event);
        self.compare(db, id, now)
    }

    fn name_key(&mut self, key: DedupeKey, id: Sequence) -> Result<(), String> {
        match self.keys.insert(key, id) {
            Some(other) if other != id => {
                Err(format!("one event is stored twice: {other:?}, {id:?}"))
            }
            _ => Ok(()),
        }
    }

    /// An event was acknowledged as new.
    pub(crate) fn acknowledged(
        &mut self,
        id: Sequence,
        key: Option<DedupeKey>,
        name: &str,
        destinations: &[u8],
        now: Timestamp,
    ) -> Result<(), String> {
        if self.events.contains_key(&id) {
            return Err(format!("the id {id:?} was given twice"));
        }
        if let Some(key) = key {
            self.name_key(key, id)?;
        }
        let begun = self.begun;
        let event = Event {
            name: name.to_owned(),
            acknowledged: true,
            shown: Status::Pending,
            loose: false,
            deliveries: destinations
                .iter()
                .map(|to| Delivery {
                    probed_by: now.max(begun[usize::from(*to)].plus(PROBED_WITHIN)),
                    ..Delivery::new(*to, now)
                })
                .collect(),
        };
        self.events.insert(id, event);
        Ok(())
    }

    /// Its failed deliveries to these were queued again by a repeat.
    pub(crate) fn wished(&mut self, id: Sequence, destinations: u8, now: Timestamp) {
        let Some(event) = self.events.get_mut(&id) else {
            return;
        };
        for delivery in &mut event.deliveries {
            if delivery.status == Status::Failed && has(destinations, delivery.to) {
                delivery.restart(now);
                event.shown = Status::Pending;
            }
        }
    }

    /// Its deliveries to these were queued again by the operator.
    pub(crate) fn resent(&mut self, id: Sequence, destinations: &[u8], now: Timestamp) {
        let Some(event) = self.events.get_mut(&id) else {
            return;
        };
        for to in destinations {
            event.shown = Status::Pending;
            match event.deliveries.iter_mut().find(|known| known.to == *to) {
                Some(delivery) => {
                    // One whose first attempt is still to be made, as far as is written
                    // down, keeps its time.
                    let unsure = delivery.unwritten + delivery.probes;
                    let is_first = delivery.status == Status::Pending && delivery.tries <= unsure;
                    let since = delivery.since;
                    delivery.restart(now);
                    if is_first {
                        // Or begins anew, by a clock that went back.
                        delivery.since = since.min(now);
                    }
                }
                None => event.deliveries.push(Delivery::new(*to, now)),
            }
        }
        for to in destinations {
            self.probed_by(*to, now);
        }
    }

    /// Compares one event's deliveries with what is stored.
    pub(crate) fn compare(
        &mut self,
        db: &NativeDatabase,
        id: Sequence,
        now: Timestamp,
    ) -> Result<(), String> {
        let rows = db
            .run(
                "SELECT deliveries FROM events WHERE seq = ?",
                &[Value::Integer(id.number())],
            )
            .map_err(|error| error.to_string())?;
        let text = rows.first().and_then(|row| row.text(0).ok());
        let text = text.ok_or_else(|| format!("{id:?} is not there"))?;
        let stored: Vec<Stored> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(event) = self.events.get(&id) else {
            return Ok(());
        };
        let (name, loose) = (event.name.clone(), event.loose);
        for stored in stored {
            let to = (0..DESTINATIONS)
                .find(|number| destination_id(*number) == stored.destination)
                .ok_or("an unknown destination")?;
            let shown = state(&stored.state);
            let known = self.delivery(id, to).map(|delivery| delivery.clone());
            let about = || format!("event {name} to destination {to}");
            match (known, shown) {
                (None, _) if loose => {
                    let mut delivery = Delivery::new(to, now);
                    delivery.since = id.at().min(now);
                    delivery.status = shown;
                    if let Some(event) = self.events.get_mut(&id) {
                        event.deliveries.push(delivery);
                    }
                }
                (None, _) => return Err(format!("{}: nobody asked for it", about())),
                (Some(known), shown) if known.status == shown => {}
                (Some(known), Status::Failed | Status::Cancelled) if known.was_delivered => {
                    return Err(format!("{}: it was delivered, and is {shown:?}", about()));
                }
                (Some(known), Status::Delivered) if known.received || known.was_delivered => {}
                (Some(_), Status::Delivered) => {
                    return Err(format!(
                        "{}: delivered, it says, but the origin has not got it",
                        about()
                    ));
                }
                (Some(known), Status::Failed) if known.status == Status::Pending => {
                    let end = known.since.plus(self.give_up_after(known.since));
                    if !known.used_up && now < end {
                        return Err(format!(
                            "{}: failed, but neither its schedule nor its time is over",
                            about()
                        ));
                    }
                }
                (Some(known), Status::Cancelled)
                    if known.status == Status::Pending && known.removed => {}
                (Some(_), Status::Pending) if loose => {
                    if let Some(delivery) = self.delivery(id, to) {
                        delivery.restart(now);
                    }
                }
                (Some(known), shown) => {
                    return Err(format!(
                        "{}: it was {:?}, and is {shown:?}",
                        about(),
                        known.status
                    ));
                }
            }
            if let Some(delivery) = self.delivery(id, to) {
                delivery.status = shown;
            }
        }
        if let Some(event) = self.events.get_mut(&id) {
            event.loose = false;
        }
        Ok(())
    }
}

/// Whether that destination is among those.
pub(crate) const fn has(destinations: u8, number: u8) -> bool {
    destinations & (1 << number) != 0
}

fn sequence(number: i64) -> Sequence {
    Sequence::from_number(number).expect("a number in the database")
}

fn status(text: &str) -> Status {
    match text {
        "pending" => Status::Pending,
        "delivered" => Status::Delivered,
        "failed" => Status::Failed,
        "cancelled" => Status::Cancelled,
        other => panic!("an unknown status: {other}"),
    }
}

fn state(text: &str) -> Status {
    match text {
        "fresh" | "waiting" => Status::Pending,
        other => status(other),
    }
}
