//! How a destination is doing, as this shard sees it: up, down and probed, or back
//! and being sent what has waited.
//!
//! Pure: told the time, writes nothing. It is kept in the table `health`, one row a
//! destination about which there is something to know; a healthy one has none.

use super::{MailboxError, alerts::Told, sql};
use crate::{
    database::Database,
    ids::{DestinationId, Sequence},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So many failures in a row of the kind that says the server is down …
const DOWN_AFTER: u32 = 10;
/// One probe at a time goes out to a destination that is down, at most this often.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(30);
/// No two attempts are spaced out further: one a second over 64 shards, and air.
const LONGEST_PACE: Duration = Duration::from_secs(70);
/// Pacing makes up for timers that come late, but for no more than this.
const PACE_SLACK: Duration = Duration::from_millis(200);

/// What an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The destination counts as down from now on.
    Down,
    /// It is back: everything that waits is released.
    Recovered,
}

/// The health of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Health {
    /// Failures in a row that say the server is down.
    streak: u32,
    /// The event of the first of them, and whether another event had one too.
    first: i64,
    several: bool,
    /// Down since then.
    down_since: Option<Timestamp>,
    /// When the last probe was begun (or the destination went down).
    probed_at: Timestamp,
    /// The event that was probed last: the next has its turn.
    turn: i64,
    /// It asked to be left alone until then.
    held_until: Option<Timestamp>,
    /// Where a release began and how far it goes, in events' numbers.
    release: Option<(i64, i64)>,
    /// What the operator is told, and that the oldest waits too long.
    pub(super) told: Vec<Told>,
    pub(super) told_of_waiting: bool,
    /// The probe that is out: its event, and when it was begun.
    #[serde(skip)]
    probing: Option<(i64, Timestamp)>,
    /// How far the release is.
    #[serde(skip)]
    at: Option<Place>,
    /// The next attempt may be made then: what is released goes out at the
    /// destination's rate.
    #[serde(skip)]
    pace: Option<Timestamp>,
    /// What was due up to then is sent at that rate as well.
    #[serde(skip)]
    calm: Option<Timestamp>,
    /// A write of it failed and may have stuck: the next writes it in any case.
    #[serde(skip)]
    pub(super) unsure: bool,
    /// Nothing that waits for it is given up before then.
    #[serde(skip)]
    pub(super) expiry: Option<Timestamp>,
}

/// How far a release is. One that was broken off goes on behind where it broke off,
/// and comes to what lies before that in its second round: what fails again and again
/// does not stand before what has not had its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    after: i64,
    second_round: bool,
}

/// The stretch of events that a release goes through now: numbers greater than
/// `after`, up to `upto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) after: Sequence,
    pub(super) upto: Sequence,
}

fn number(number: i64) -> Sequence {
    Sequence::from_number(number).unwrap_or_default()
}

impl Health {
    /// Whether it counts as down.
    pub(super) const fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// Since when it counts as down.
    pub(super) const fn down_since(&self) -> Option<Timestamp> {
        self.down_since
    }

    /// An attempt has failed.
    pub(super) fn failed(
        &mut self,
        event: Sequence,
        server_down: bool,
        now: Timestamp,
    ) -> Option<Turn> {
        self.forget_past_hold(now);
        if self.is_down() {
            if let Some((turn, at)) = self.probing.take() {
                (self.turn, self.probed_at) = (turn, at);
            }
            return None;
        }
        if !server_down {
            self.streak = 0;
            return None;
        }
        if self.streak == 0 {
            self.first = event.number();
            self.several = false;
        }
        self.streak = self.streak.saturating_add(1);
        self.several |= self.first != event.number();
        if self.streak < DOWN_AFTER || !self.several {
            return None;
        }
        self.down_since = Some(now);
        self.probed_at = now;
        // What a release that breaks off now had not come to goes first in the next.
        if let Some((from, _)) = self.release {
            let after = self.place(from).after;
            self.release = Some((after, after));
        }
        self.at = None;
        Some(Turn::Down)
    }

    /// An attempt was taken. `last` is the last event there is.
    pub(super) fn taken(&mut self, last: Sequence, now: Timestamp) -> Option<Turn> {
        self.forget_past_hold(now);
        self.streak = 0;
        self.down_since.take()?;
        let from = self.release.map_or(0, |(from, _)| from);
        self.turn = 0;
        self.probing = None;
        self.release = Some((from, last.number()));
        self.at = None;
        Some(Turn::Recovered)
    }

    /// The destination asks to be left alone.
    pub(super) fn hold(&mut self, until: Timestamp) {
        self.held_until = self.held_until.max(Some(until));
    }

    fn forget_past_hold(&mut self, now: Timestamp) {
        self.held_until = self.held_until.filter(|until| *until > now);
    }

    /// A new configuration: what was asked of the one before does not bind.
    pub(super) const fn lift(&mut self) -> bool {
        self.held_until.take().is_some()
    }

    /// What is due by now is sent at the destination's rate: much may have gathered.
    pub(super) const fn catch_up(&mut self, now: Timestamp) {
        self.calm = Some(now);
    }

    /// Nothing is left of what had gathered.
    pub(super) const fn caught_up(&mut self) {
        self.calm = None;
    }

    /// When what would be due at `due` may be sent.
    pub(super) fn earliest(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let mut earliest = due;
        if let Some(until) = self.held_until {
            earliest = earliest.max(until);
        }
        if self.is_down() {
            let probed_at = self.probing.map_or(self.probed_at, |(_, at)| at);
            // A clock that went back must not put the probe off.
            if probed_at <= now {
                earliest = earliest.max(probed_at.plus(PROBE_EVERY));
            }
        } else if self.is_paced()
            && let Some(pace) = self.pace
            && pace <= now.plus(LONGEST_PACE)
        {
            earliest = earliest.max(pace);
        }
        earliest
    }

    /// Whether it is held, or down and not to be probed: not merely paced.
    pub(super) fn is_closed(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| until > now)
            || (self.is_down() && self.earliest(now, now) > now)
    }

    /// The event that was probed last.
    pub(super) fn turn(&self) -> Sequence {
        number(self.probing.map_or(self.turn, |(turn, _)| turn))
    }

    /// A probe goes out.
    pub(super) const fn probed(&mut self, event: Sequence, now: Timestamp) {
        self.probing = Some((event.number(), now));
    }

    /// Whether attempts are spaced out.
    pub(super) const fn is_paced(&self) -> bool {
        !self.is_down() && (self.release.is_some() || self.calm.is_some())
    }

    /// An attempt of what has gathered goes out; the next may after `interval`.
    pub(super) fn paced(&mut self, interval: Duration, now: Timestamp) {
        let late = now.minus(PACE_SLACK);
        // As far as the clock can be believed.
        let from = self.pace.map_or(now, |pace| pace.max(late).min(now));
        self.pace = Some(from.plus(interval));
    }

    /// Up to when due deliveries belong to what has gathered.
    pub(super) const fn calm_until(&self) -> Option<Timestamp> {
        self.calm
    }

    fn place(&self, from: i64) -> Place {
        self.at.unwrap_or(Place {
            after: from,
            second_round: false,
        })
    }

    /// Where the release is; `None` when there is none.
    pub(super) fn stretch(&self) -> Option<Stretch> {
        let (from, to) = self.release.filter(|_| !self.is_down())?;
        let place = self.place(from);
        let upto = if place.second_round { from } else { to };
        Some(Stretch {
            after: number(place.after),
            upto: number(upto),
        })
    }

    /// The last event that the release is about.
    pub(super) fn released_to(&self) -> Option<Sequence> {
        self.release
            .filter(|_| !self.is_down())
            .map(|(_, to)| number(to))
    }

    /// An event of the stretch goes out.
    pub(super) fn advance(&mut self, event: Sequence) {
        if let Some((from, _)) = self.release {
            let place = self.place(from);
            self.at = Some(Place {
                after: place.after.max(event.number()),
                ..place
            });
        }
    }

    /// An event of the release was not attempted after all: it has its turn again.
    pub(super) fn go_back(&mut self, event: Sequence) {
        if let Some((from, _)) = self.release {
            let place = self.place(from);
            self.at = Some(Place {
                after: place.after.min(event.number().saturating_sub(1)),
                ..place
            });
        }
    }

    /// The stretch is done; whether another round is to be made.
    pub(super) fn next_round(&mut self) -> bool {
        match self.release {
            Some((from, _)) if from > 0 && !self.place(from).second_round => {
                self.at = Some(Place {
                    after: 0,
                    second_round: true,
                });
                true
            }
            _ => false,
        }
    }

    /// All that waited has been sent.
    pub(super) const fn end_release(&mut self) {
        self.release = None;
        self.at = None;
    }

    /// What of it is stored.
    pub(super) fn stored(&self) -> Self {
        Self {
            probing: None,
            at: None,
            pace: None,
            calm: None,
            unsure: false,
            expiry: None,
            // Left over from an outage that is past.
            first: if self.streak == 0 { 0 } else { self.first },
            several: self.streak > 0 && self.several,
            probed_at: if self.is_down() {
                self.probed_at
            } else {
                Timestamp::default()
            },
            ..self.clone()
        }
    }
}

/// Whether nothing that is stored differs.
pub(super) fn is_stored(before: &Health, after: &Health) -> bool {
    before.stored() == after.stored() && !before.unsure
}

/// Writes what has changed of a destination's health: one row, or none.
pub(super) fn save(
    db: &impl Database,
    destination: DestinationId,
    before: &Health,
    after: &Health,
) -> Result<(), MailboxError> {
    if is_stored(before, after) {
        return Ok(());
    }
    let after = after.stored();
    if after == Health::default() {
        return forget(db, destination);
    }
    db.run(
        "INSERT INTO health (destination, state) VALUES (?, ?)
         ON CONFLICT (destination) DO UPDATE SET state = excluded.state",
        &[sql::destination(destination), sql::packed(&after)?],
    )?;
    Ok(())
}

/// Forgets a destination: one row.
pub(super) fn forget(db: &impl Database, destination: DestinationId) -> Result<(), MailboxError> {
    db.run(
        "DELETE FROM health WHERE destination = ?",
        &[sql::destination(destination)],
    )?;
    Ok(())
}

/// What is known of all destinations.
pub(super) fn load(db: &impl Database) -> Result<Vec<(DestinationId, Health)>, MailboxError> {
    db.run("SELECT destination, state FROM health", &[])?
        .iter()
        .map(|row| {
            Ok((
                sql::read_destination(row, 0)?,
                // Whatever cannot be read is found out again.
                sql::read_packed(row, 1, "a destination's health").unwrap_or_default(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn event(n: i64) -> Sequence {
        Sequence::from_number(n).unwrap()
    }

    fn down() -> Health {
        let mut health = Health::default();
        for n in [1, 2].repeat(5) {
            health.failed(event(n), true, NOW);
        }
        assert!(health.is_down());
        health
    }

    /// `d` is a failure of the server, `e` one of the event, `t` taken; a digit names
    /// the event of what follows.
    fn check(story: &str, expected_down: bool) {
        let (mut health, mut of) = (Health::default(), 1);
        for step in story.chars() {
            match step {
                'd' => _ = health.failed(event(of), true, NOW),
                'e' => _ = health.failed(event(of), false, NOW),
                't' => _ = health.taken(event(9), NOW),
                digit => of = i64::from(digit.to_digit(10).unwrap()),
            }
        }
        assert_eq!(health.is_down(), expected_down, "{story}");
    }

    #[test]
    fn ten_failures_in_a_row_of_at_least_two_events_put_it_down() {
        check("1dddddddd2dd", true);
        check("1dddddddd2d", false);
        check("1dddddddddddddddddddd", false);
        check("1dddddddddddddddddddd2d", true);
        check("1ddddddddd2td", false);
        check("1ddddddddd2ed", false);
        check("1dddd2ddddtdddddddddd", false);
        check("1dddd2ddddt1ddddd2ddddd", true);
        check("1dddddddd2ddee", true);
        check("1dddddddd2ddt", false);
    }

    #[test]
    fn it_is_probed_every_30_seconds_whatever_the_clock_does() {
        let mut health = down();
        let first = NOW.plus(PROBE_EVERY);
        assert_eq!(health.earliest(NOW, NOW), first);
        assert_eq!(
            health.earliest(first.plus(PROBE_EVERY), NOW),
            first.plus(PROBE_EVERY)
        );
        assert!(health.is_closed(NOW) && !health.is_closed(first));
        health.probed(event(2), first);
        assert_eq!(health.earliest(NOW, first), first.plus(PROBE_EVERY));
        let past = Timestamp::from_millis(5);
        assert_eq!(health.earliest(past, past), past);
        health.hold(first.plus(PROBE_EVERY * 3));
        assert_eq!(health.earliest(NOW, first), first.plus(PROBE_EVERY * 3));
    }

    #[test]
    fn the_first_success_releases_and_a_broken_release_goes_on_where_it_broke_off() {
        let stretch = |health: &Health| {
            health
                .stretch()
                .map(|s| (s.after.number(), s.upto.number()))
        };
        let mut health = down();
        assert_eq!(stretch(&health), None);
        assert_eq!(health.taken(event(100), NOW), Some(Turn::Recovered));
        assert_eq!(health.taken(event(100), NOW), None);
        assert_eq!(stretch(&health), Some((0, 100)));
        health.advance(event(7));
        health.advance(event(30));
        health.go_back(event(30));
        assert_eq!(stretch(&health), Some((29, 100)));
        // A new instance begins again where this release began.
        assert_eq!(stretch(&health.stored()), Some((0, 100)));
        for n in 0..10 {
            health.failed(event(n), true, NOW);
        }
        assert_eq!((health.is_down(), stretch(&health)), (true, None));
        health.taken(event(200), NOW);
        assert_eq!(stretch(&health), Some((29, 200)));
        health.advance(event(200));
        assert!(health.next_round());
        assert_eq!(stretch(&health), Some((0, 29)));
        assert!(!health.next_round());
        health.end_release();
        assert_eq!(stretch(&health), None);
        assert_eq!(health.stored(), Health::default());
    }

    #[test]
    fn a_release_that_is_not_broken_has_one_round() {
        let mut health = down();
        health.taken(event(100), NOW);
        assert!(!health.next_round());
    }

    #[test]
    fn pacing_spaces_attempts_out_and_makes_up_for_late_timers_only_a_little() {
        let mut health = down();
        health.taken(event(100), NOW);
        let interval = Duration::from_millis(50);
        health.paced(interval, NOW);
        let second = NOW.plus(interval);
        assert_eq!(health.earliest(NOW, NOW), second);
        // 30 ms late: the next is due at its old time.
        health.paced(interval, second.plus(Duration::from_millis(30)));
        assert_eq!(health.earliest(NOW, NOW), NOW.plus(interval * 2));
        let late = NOW.plus(Duration::from_secs(60));
        health.paced(interval, late);
        assert_eq!(
            health.earliest(NOW, late),
            late.minus(PACE_SLACK).plus(interval)
        );
        health.end_release();
        assert_eq!(health.earliest(NOW, late), NOW);
        health.catch_up(late);
        assert!(health.is_paced());
        health.caught_up();
        assert!(!health.is_paced());
    }

    #[test]
    fn what_was_stored_by_position_is_read() {
        let mut health = down();
        health.taken(event(100), NOW);
        health.hold(NOW);
        let stored = hex::decode("010000000000000180897a0100c8010000").unwrap();
        assert_eq!(messages::from_bytes(&stored), Ok(health.stored()));
        let bytes = messages::to_bytes(&health.stored()).unwrap();
        assert_eq!(messages::from_bytes(&bytes), Ok(health.stored()));
    }
}
