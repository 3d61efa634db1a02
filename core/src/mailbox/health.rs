//! How a destination is doing, as this shard sees it: up, down and probed, or back
//! and being sent what has waited.
//!
//! Pure: told the time, writes nothing but its own row. It is kept in the table
//! `health`, one row a destination about which there is something to know; a healthy
//! one has none. A row is JSON, so that a later release may add a field.

mod v1;

use super::{MailboxError, alerts::Told, sql};
use crate::{
    database::{Database, Row, Value},
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

/// The health of one destination. What is not skipped is stored, by these names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    /// Failures in a row that say the server is down.
    failures_in_row: u32,
    /// The event of the first of them, and whether another event had one too.
    first_failed_event: i64,
    several_events_failed: bool,
    /// Down since then.
    down_since: Option<Timestamp>,
    /// When the last probe began (or the destination went down).
    probed_at: Timestamp,
    /// The event that was probed last in turn: the next has its turn.
    last_probed_event: i64,
    /// It asked to be left alone.
    retry_after: Option<RetryAfter>,
    /// What has waited is sent.
    release: Option<Release>,
    /// What the operator is told.
    #[serde(rename = "alerts")]
    pub(super) told: Vec<Told>,
    /// The operator was told that the oldest waits too long.
    #[serde(rename = "told_of_waiting")]
    pub(super) told_of_waiting: bool,
    /// The probe that is out.
    #[serde(skip)]
    probing: Option<Probe>,
    /// The operator asks for a probe now, whatever the time …
    #[serde(skip)]
    probe_at_once: bool,
    /// … and with this event, which goes before all others.
    #[serde(skip)]
    asked_for: Option<Sequence>,
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

/// A `Retry-After` of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RetryAfter {
    /// When it was heard. An answer to what was sent later ends it, unless it says
    /// "down" again.
    asked_at: Timestamp,
    until: Timestamp,
}

/// What waited when the destination came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Release {
    /// It began behind this event (the number), and comes to those before it last.
    after: i64,
    /// The last event that it is about.
    up_to: i64,
    /// When the destination came back. What was attempted since has had its turn.
    began_at: Timestamp,
}

/// A probe that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    event: Sequence,
    began_at: Timestamp,
    /// It was that event's turn.
    in_turn: bool,
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
    /// Only what was not attempted since then.
    pub(super) tried_before: Timestamp,
}

/// Later than anything, and the greatest number that a database in an object takes.
pub(super) const NEVER: Timestamp = Timestamp::from_millis((1 << 53) - 1);

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

    fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.retry_after.map(|asked| asked.until);
        until.filter(|until| *until > now)
    }

    /// Whether nothing but probes goes to it: it is down, or asked to be left alone.
    pub(super) fn takes_probes_only(&self, now: Timestamp) -> bool {
        self.is_down() || self.held_until(now).is_some()
    }

    /// An attempt has failed in a way that says the server is down.
    pub(super) fn failed(&mut self, event: Sequence, now: Timestamp) -> Option<Turn> {
        self.forget_past_hold(now);
        self.probe_ended(event);
        if self.is_down() {
            return None;
        }
        if self.failures_in_row == 0 {
            self.first_failed_event = event.number();
            self.several_events_failed = false;
        }
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.several_events_failed |= self.first_failed_event != event.number();
        if self.failures_in_row < DOWN_AFTER || !self.several_events_failed {
            return None;
        }
        self.down_since = Some(now);
        self.probed_at = now;
        self.probe_at_once = false;
        // What a release that breaks off now had not come to goes first in the next.
        if let Some(release) = self.release {
            let after = self.place(release.after).after;
            self.release = Some(Release {
                after,
                up_to: after,
                ..release
            });
        }
        self.at = None;
        Some(Turn::Down)
    }

    /// The server has answered what was sent at `began`, and not with what says that it
    /// is down: it lives, whether it took the event or refused it. `last` is the last
    /// event there is.
    pub(super) fn answered(
        &mut self,
        event: Sequence,
        began: Timestamp,
        last: Sequence,
        now: Timestamp,
    ) -> Option<Turn> {
        self.forget_past_hold(now);
        self.probe_ended(event);
        if self.retry_after.is_some_and(|asked| began > asked.asked_at) {
            self.retry_after = None;
            self.probe_at_once = false;
            // What has gathered goes now, and not all at once.
            self.catch_up(now);
        }
        self.failures_in_row = 0;
        self.down_since.take()?;
        self.probe_at_once = false;
        self.last_probed_event = 0;
        self.release = Some(Release {
            after: self.release.map_or(0, |release| release.after),
            up_to: last.number(),
            began_at: now,
        });
        self.at = None;
        Some(Turn::Recovered)
    }

    /// A probe of that event, if it was one, is not out any more.
    pub(super) fn probe_ended(&mut self, event: Sequence) {
        if let Some(probe) = self.probing.take_if(|probe| probe.event == event) {
            self.probed_at = probe.began_at;
            if probe.in_turn {
                self.last_probed_event = event.number();
            }
        }
    }

    /// The destination asks to be left alone.
    pub(super) fn hold(&mut self, until: Timestamp, now: Timestamp) {
        let known = self.retry_after.map(|asked| asked.until);
        self.retry_after = Some(RetryAfter {
            asked_at: now,
            until: known.map_or(until, |known| known.max(until)),
        });
    }

    fn forget_past_hold(&mut self, now: Timestamp) {
        self.retry_after = self.retry_after.filter(|asked| asked.until > now);
    }

    /// A new configuration: what was asked of the one before does not bind, and what
    /// was down may have been mended.
    pub(super) const fn configured_anew(&mut self) {
        self.retry_after = None;
        self.ask_for_probe();
    }

    /// The next probe goes out at once, if there is one to be made.
    pub(super) const fn ask_for_probe(&mut self) {
        self.probe_at_once = self.is_down() || self.retry_after.is_some();
    }

    /// The operator wants this event sent now.
    pub(super) const fn ask_for(&mut self, event: Sequence) {
        self.asked_for = Some(event);
    }

    /// The event that the operator wants sent now.
    pub(super) const fn asked_for(&self) -> Option<Sequence> {
        self.asked_for
    }

    /// It cannot be sent now.
    pub(super) const fn forget_asked_for(&mut self) {
        self.asked_for = None;
    }

    const fn asks_at_once(&self) -> bool {
        (self.probe_at_once || self.asked_for.is_some()) && self.probing.is_none()
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
        if self.takes_probes_only(now) && self.asks_at_once() {
            return due;
        }
        let mut earliest = due;
        if let Some(asked) = self.retry_after {
            earliest = earliest.max(asked.until);
        }
        if self.is_down() {
            let probed_at = self.probing.map_or(self.probed_at, |probe| probe.began_at);
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
        self.takes_probes_only(now) && self.earliest(now, now) > now
    }

    /// Whether another attempt may begin beside `out` others: of probes one at a time,
    /// though one that the operator asks for does not wait for what was sent before.
    pub(super) fn may_begin_beside(&self, out: usize, now: Timestamp) -> bool {
        out == 0 || !self.takes_probes_only(now) || self.asks_at_once()
    }

    /// Whether anything that waits may go, due or not: as a probe, or released.
    pub(super) fn sends_before_due(&self, now: Timestamp) -> bool {
        self.is_down()
            || self.release.is_some()
            || (self.takes_probes_only(now) && self.asks_at_once())
    }

    /// The event that was probed last in turn.
    pub(super) fn turn(&self) -> Sequence {
        let probing = self.probing.filter(|probe| probe.in_turn);
        probing.map_or(number(self.last_probed_event), |probe| probe.event)
    }

    /// An attempt of that event goes out: a probe where nothing else does.
    pub(super) fn begins(&mut self, event: Sequence, in_turn: bool, now: Timestamp) {
        self.asked_for.take_if(|asked| *asked == event);
        if self.takes_probes_only(now) {
            self.probe_at_once = false;
            self.probing = Some(Probe {
                event,
                began_at: now,
                in_turn,
            });
        }
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

    fn place(&self, after: i64) -> Place {
        self.at.unwrap_or(Place {
            after,
            second_round: false,
        })
    }

    /// Where the release is; `None` when there is none.
    pub(super) fn stretch(&self) -> Option<Stretch> {
        let release = self.release.filter(|_| !self.is_down())?;
        let place = self.place(release.after);
        let upto = if place.second_round {
            release.after
        } else {
            release.up_to
        };
        Some(Stretch {
            after: number(place.after),
            upto: number(upto),
            tried_before: release.began_at,
        })
    }

    /// The last event that the release is about.
    pub(super) fn released_to(&self) -> Option<Sequence> {
        self.release
            .filter(|_| !self.is_down())
            .map(|release| number(release.up_to))
    }

    /// An event of the stretch goes out.
    pub(super) fn advance(&mut self, event: Sequence) {
        if let Some(release) = self.release {
            let place = self.place(release.after);
            self.at = Some(Place {
                after: place.after.max(event.number()),
                ..place
            });
        }
    }

    /// An event of the release was not attempted after all: it has its turn again.
    pub(super) fn go_back(&mut self, event: Sequence) {
        if let Some(release) = self.release {
            let place = self.place(release.after);
            self.at = Some(Place {
                after: place.after.min(event.number().saturating_sub(1)),
                ..place
            });
        }
    }

    /// The stretch is done; whether another round is to be made.
    pub(super) fn next_round(&mut self) -> bool {
        match self.release {
            Some(release) if release.after > 0 && !self.place(release.after).second_round => {
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
        let is_down = self.is_down();
        // What is left over from an outage that is past is not.
        let has_failures = self.failures_in_row > 0;
        Self {
            probing: None,
            probe_at_once: false,
            asked_for: None,
            at: None,
            pace: None,
            calm: None,
            unsure: false,
            expiry: None,
            first_failed_event: if has_failures {
                self.first_failed_event
            } else {
                0
            },
            several_events_failed: has_failures && self.several_events_failed,
            probed_at: if is_down {
                self.probed_at
            } else {
                Timestamp::default()
            },
            last_probed_event: if is_down { self.last_probed_event } else { 0 },
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
    let Value::Text(json) = sql::json(&after)? else {
        return Err(MailboxError::unreadable("a destination's health"));
    };
    db.run(
        "INSERT INTO health (destination, state) VALUES (?, ?)
         ON CONFLICT (destination) DO UPDATE SET state = excluded.state",
        // The column was made for bytes.
        &[
            sql::destination(destination),
            Value::Blob(json.into_bytes()),
        ],
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
            // Whatever cannot be read is found out again.
            let health = read(row).unwrap_or_default();
            Ok((sql::read_destination(row, 0)?, health))
        })
        .collect()
}

/// JSON begins with a brace, what the releases before wrote with their version.
fn read(row: &Row) -> Option<Health> {
    let state = row.blob(1).ok()?;
    match state.first()? {
        b'{' => serde_json::from_slice(state).ok(),
        _ => v1::read(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn event(n: i64) -> Sequence {
        Sequence::from_number(n).unwrap()
    }

    fn down() -> Health {
        let mut health = Health::default();
        for n in [1, 2].repeat(5) {
            health.failed(event(n), NOW);
        }
        assert!(health.is_down());
        health
    }

    /// `d` is an attempt that says "down", `a` one that is answered, well or not; a digit
    /// names the event of what follows.
    fn check(story: &str, expected_down: bool) {
        let (mut health, mut of) = (Health::default(), 1);
        for step in story.chars() {
            match step {
                'd' => _ = health.failed(event(of), NOW),
                'a' => _ = health.answered(event(of), NOW, event(9), NOW),
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
        check("1ddddddddd2ad", false);
        check("1dddd2ddddadddddddddd", false);
        check("1dddd2dddda1ddddd2ddddd", true);
        check("1dddddddd2dda", false);
        check("1dddddddd2dd3addddd4dddd", false);
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
        health.begins(event(2), true, first);
        assert_eq!(health.earliest(NOW, first), first.plus(PROBE_EVERY));
        let past = Timestamp::from_millis(5);
        assert_eq!(health.earliest(past, past), past);
        health.hold(first.plus(PROBE_EVERY * 3), first);
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
        assert_eq!(
            health.answered(event(1), NOW, event(100), NOW),
            Some(Turn::Recovered)
        );
        assert_eq!(health.answered(event(1), NOW, event(100), NOW), None);
        assert_eq!(stretch(&health), Some((0, 100)));
        health.advance(event(7));
        health.advance(event(30));
        health.go_back(event(30));
        assert_eq!(stretch(&health), Some((29, 100)));
        // A new instance begins again where this release began.
        assert_eq!(stretch(&health.stored()), Some((0, 100)));
        for n in 0..10 {
            health.failed(event(n), NOW);
        }
        assert_eq!((health.is_down(), stretch(&health)), (true, None));
        health.answered(event(1), NOW, event(200), NOW);
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
        health.answered(event(1), NOW, event(100), NOW);
        assert!(!health.next_round());
    }

    #[test]
    fn pacing_spaces_attempts_out_and_makes_up_for_late_timers_only_a_little() {
        let mut health = down();
        health.answered(event(1), NOW, event(100), NOW);
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
    fn what_the_operator_asks_for_goes_at_once_and_once() {
        let mut health = down();
        health.ask_for(event(7));
        assert_eq!(health.earliest(NOW, NOW), NOW);
        assert!(!health.is_closed(NOW) && health.may_begin_beside(3, NOW));
        health.begins(event(7), false, NOW);
        assert_eq!((health.asked_for(), health.turn()), (None, event(0)));
        assert!(health.is_closed(NOW) && !health.may_begin_beside(1, NOW));
        // The next wish waits for the probe that is out, and not longer.
        health.ask_for_probe();
        assert!(health.is_closed(NOW));
        health.failed(event(3), NOW);
        assert!(health.is_closed(NOW), "another's end is not the probe's");
        health.failed(event(7), NOW);
        assert!(!health.is_closed(NOW));
        health.begins(event(8), true, NOW);
        health.probe_ended(event(8));
        assert!(health.is_closed(NOW) && health.turn() == event(8));
        // One that is well has nothing to be probed for.
        let mut well = Health::default();
        well.ask_for_probe();
        assert_eq!(well, Health::default());
    }

    #[test]
    fn an_answer_to_what_was_sent_after_a_retry_after_ends_it() {
        let mut health = Health::default();
        let until = NOW.plus(Duration::from_secs(600));
        health.hold(until, NOW);
        assert!(health.takes_probes_only(NOW) && health.is_closed(NOW));
        health.answered(event(1), NOW.minus(PACE_SLACK), event(9), NOW);
        assert_eq!(health.earliest(NOW, NOW), until, "sent before it was asked");
        health.ask_for(event(2));
        let later = NOW.plus(PACE_SLACK);
        health.begins(event(2), false, later);
        assert_eq!(health.answered(event(2), later, event(9), later), None);
        assert_eq!(health.stored(), Health::default());
        health.hold(until, NOW);
        health.configured_anew();
        assert_eq!(health.stored(), Health::default());
    }

    fn stored(health: &Health) -> String {
        serde_json::to_string(&health.stored()).unwrap()
    }

    #[test]
    fn the_stored_format_is_unchanged() {
        let mut health = down();
        health.answered(event(1), NOW, event(100), NOW);
        health.hold(NOW.plus(PROBE_EVERY), NOW);
        let json = r#"{"failures_in_row":0,"first_failed_event":0,"several_events_failed":false,"down_since":null,"probed_at":0,"last_probed_event":0,"retry_after":{"asked_at":1000000,"until":1030000},"release":{"after":0,"up_to":100,"began_at":1000000},"alerts":[],"told_of_waiting":false}"#;
        assert_eq!(stored(&health), json);
        let read: Health = serde_json::from_str(json).unwrap();
        assert_eq!(read, health.stored());
    }

    #[test]
    fn a_field_that_is_not_known_here_or_not_there_changes_nothing_of_the_others() {
        let json = r#"{"of_tomorrow":[1,{"a":"b"}],"down_since":1000000}"#;
        let read: Health = serde_json::from_str(json).unwrap();
        assert!(read.is_down());
        assert_eq!(read.down_since(), Some(NOW));
    }
}
