//! The figures in the text format of Prometheus, version 0.0.4. The same as
//! [`Stats::to_json`] tells, all of them as gauges: what they count can also grow less.
//!
//! Labels are ids, states and kinds of the station's own, so that nothing needs escaping;
//! there are as many lines as destinations, and no more for what anybody sends.

use super::stats::{DestinationStats, Hour, Stats, begin_of_hour};
use crate::time::Timestamp;

/// Its media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Stats {
    /// The body of `GET /metrics`.
    #[must_use]
    pub fn to_metrics(&self, now: Timestamp) -> String {
        let asked_at = now;
        let mut text = String::new();
        family(
            &mut text,
            "tram_events",
            "Events that are kept, by what has become of them.",
        );
        let statuses = ["pending", "delivered", "failed", "cancelled"];
        for (status, count) in statuses.into_iter().zip(self.counts) {
            let labels = ["{status=\"", status, "\"}"].concat();
            sample(&mut text, "tram_events", &labels, count.into());
        }
        family(
            &mut text,
            "tram_oldest_pending_seconds",
            "Age of the oldest pending event; 0 when none is pending.",
        );
        let age = self
            .oldest_pending
            .map_or(0, |came| now.since(Timestamp::from_millis(came)).as_secs());
        sample(&mut text, "tram_oldest_pending_seconds", "", age);
        family(
            &mut text,
            "tram_destination_up",
            "Whether the destination counts as up (1), or as down at any shard (0).",
        );
        for one in &self.destinations {
            let up = u64::from(one.down_since.is_none());
            sample(&mut text, "tram_destination_up", &labels(one), up);
        }
        family(
            &mut text,
            "tram_destination_pending",
            "Deliveries to the destination that are pending.",
        );
        for one in &self.destinations {
            let pending = one.pending.into();
            sample(&mut text, "tram_destination_pending", &labels(one), pending);
        }
        let this_hour = begin_of_hour(now);
        let (mut now, mut week) = ([0; 6], [0; 6]);
        for hour in &self.hours {
            add(&mut week, hour);
            if hour.begins == this_hour {
                add(&mut now, hour);
            }
        }
        hours(
            &mut text,
            "tram_this_hour",
            "Since the hour began: events received, those of them delivered or failed by now, requests refused, events repeated or filtered out (these three approximate).",
            now,
        );
        hours(
            &mut text,
            "tram_last_7_days",
            "The same of the last seven days, by whole hours.",
            week,
        );
        if self.is_partial {
            family(
                &mut text,
                "tram_figures_complete",
                "0 while figures are missing: of shards that were not asked yet, or of events that are not counted yet.",
            );
            sample(&mut text, "tram_figures_complete", "", 0);
        }
        if let Some(at) = self.as_of {
            family(
                &mut text,
                "tram_figures_age_seconds",
                "Age of the oldest figures among these: with more than 40 shards not all are asked each time.",
            );
            let age = asked_at.since(Timestamp::from_millis(at)).as_secs();
            sample(&mut text, "tram_figures_age_seconds", "", age);
        }
        text
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    let lines = ["# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n"];
    text.push_str(&lines.concat());
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    text.push_str(&[name, labels, " ", &value.to_string(), "\n"].concat());
}

fn labels(one: &DestinationStats) -> String {
    let webhook = one.webhook.map_or_else(String::new, |id| id.to_string());
    let id = one.id.to_string();
    let parts = [
        "{webhook_id=\"",
        &webhook,
        "\",destination_id=\"",
        &id,
        "\"}",
    ];
    parts.concat()
}

fn add(sums: &mut [u64; 6], hour: &Hour) {
    for (sum, count) in sums.iter_mut().zip(hour.figures()) {
        *sum = sum.saturating_add(count.into());
    }
}

fn hours(text: &mut String, name: &str, help: &str, sums: [u64; 6]) {
    family(text, name, help);
    for (kind, sum) in Hour::FIGURES.into_iter().zip(sums) {
        let labels = ["{kind=\"", kind, "\"}"].concat();
        sample(text, name, &labels, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mailbox::stats::Tally,
        testing::samples::{START, destination, event_id},
        time::HOUR,
    };
    use std::time::Duration;

    #[test]
    fn it_is_written_letter_for_letter() {
        let hour = |begins, received| Hour {
            begins,
            received,
            delivered: received,
            failed: 0,
            tally: Tally {
                refused: 9,
                ..Tally::default()
            },
        };
        let one = |n: u8, down_since| DestinationStats {
            webhook: None,
            id: destination(n).id,
            url: "https://shop.example/?token=\"secret\"\\\n".into(),
            down_since,
            pending: 3,
        };
        let stats = Stats {
            counts: [1, 2, 3, 4],
            oldest_pending: Some(START.millis()),
            destinations: vec![one(0, None), one(1, Some(START.millis()))],
            hours: vec![
                hour(START.minus(HOUR).millis(), 7),
                hour(START.millis(), u32::MAX),
            ],
            ..Stats::default()
        };
        let webhook = event_id(0).webhook;
        let stats = stats.of(webhook);
        let expected = "\
# HELP tram_events Events that are kept, by what has become of them.
# TYPE tram_events gauge
tram_events{status=\"pending\"} 1
tram_events{status=\"delivered\"} 2
tram_events{status=\"failed\"} 3
tram_events{status=\"cancelled\"} 4
# HELP tram_oldest_pending_seconds Age of the oldest pending event; 0 when none is pending.
# TYPE tram_oldest_pending_seconds gauge
tram_oldest_pending_seconds 60
# HELP tram_destination_up Whether the destination counts as up (1), or as down at any shard (0).
# TYPE tram_destination_up gauge
tram_destination_up{webhook_id=\"WEBHOOK\",destination_id=\"FIRST\"} 1
tram_destination_up{webhook_id=\"WEBHOOK\",destination_id=\"SECOND\"} 0
# HELP tram_destination_pending Deliveries to the destination that are pending.
# TYPE tram_destination_pending gauge
tram_destination_pending{webhook_id=\"WEBHOOK\",destination_id=\"FIRST\"} 3
tram_destination_pending{webhook_id=\"WEBHOOK\",destination_id=\"SECOND\"} 3
# HELP tram_this_hour Since the hour began: events received, those of them delivered or failed by now, requests refused, events repeated or filtered out (these three approximate).
# TYPE tram_this_hour gauge
tram_this_hour{kind=\"received\"} 4294967295
tram_this_hour{kind=\"delivered\"} 4294967295
tram_this_hour{kind=\"failed\"} 0
tram_this_hour{kind=\"refused\"} 9
tram_this_hour{kind=\"duplicate\"} 0
tram_this_hour{kind=\"filtered\"} 0
# HELP tram_last_7_days The same of the last seven days, by whole hours.
# TYPE tram_last_7_days gauge
tram_last_7_days{kind=\"received\"} 4294967302
tram_last_7_days{kind=\"delivered\"} 4294967302
tram_last_7_days{kind=\"failed\"} 0
tram_last_7_days{kind=\"refused\"} 18
tram_last_7_days{kind=\"duplicate\"} 0
tram_last_7_days{kind=\"filtered\"} 0
"
        .replace("WEBHOOK", &webhook.to_string())
        .replace("FIRST", &destination(0).id.to_string())
        .replace("SECOND", &destination(1).id.to_string());
        let at = START.plus(Duration::from_secs(60));
        assert_eq!(stats.to_metrics(at), expected);
    }

    #[test]
    fn of_nothing_it_tells_nothing_but_noughts() {
        let text = Stats::default().to_metrics(START);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values: Vec<_> = samples.filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(values, ["0"; 17]);
    }
}
