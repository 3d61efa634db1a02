//! All shards of a station, some at a time, and the figures that they have told.

use super::{
    RegistryError,
    store::{integer, number, text},
};
use crate::{
    database::{Database, DatabaseError, Row, Value},
    ids::WebhookId,
    mailbox::{
        merge::MOST_MAILBOXES,
        stats::{Hour, Stats, Tally, oldest_hour},
    },
    messages::ShardPlace,
    time::Timestamp,
    webhook::Webhook,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Shards whose figures one answer adds up at most.
const MOST_TOLD: usize = 10_000;

/// One shard of one webhook.
pub type ShardId = (WebhookId, u8);

/// Shards from a place on, of one webhook or of all; and where to go on, when there are
/// more.
pub(super) fn page(
    db: &impl Database,
    webhook: Option<WebhookId>,
    from: ShardPlace,
) -> Result<(Vec<ShardId>, Option<ShardPlace>), RegistryError> {
    let mut sql =
        "SELECT number, id, ifnull(json_extract(json, '$.shards'), 1) FROM webhooks WHERE number <= ?"
            .to_owned();
    let mut values = vec![Value::Integer(from.webhook)];
    if let Some(webhook) = webhook {
        sql.push_str(" AND id = ?");
        values.push(text(webhook));
    }
    sql.push_str(" ORDER BY number DESC LIMIT ?");
    values.push(integer(MOST_MAILBOXES.saturating_add(1)));
    let mut found = Vec::new();
    for row in db.run(&sql, &values)? {
        let place = row.integer(0)?;
        let id = shard_of(&row, 1)?;
        let shards: u8 = number(&row, 2)?;
        let begin = if place == from.webhook { from.shard } else { 0 };
        for shard in begin..shards.max(1) {
            if found.len() >= MOST_MAILBOXES {
                let next = ShardPlace {
                    webhook: place,
                    shard,
                };
                return Ok((found, Some(next)));
            }
            found.push((id, shard));
        }
    }
    Ok((found, None))
}

fn shard_of(row: &Row, column: usize) -> Result<WebhookId, DatabaseError> {
    WebhookId::parse(row.text(column)?).ok_or_else(|| DatabaseError::unexpected(column))
}

/// Which of these shards there are, of as many as one request may ask.
pub(super) fn known(db: &impl Database, shards: &[ShardId]) -> Result<Vec<ShardId>, DatabaseError> {
    let mut known = Vec::new();
    for (webhook, shard) in shards.iter().take(MOST_MAILBOXES) {
        let rows = db.run(
            "SELECT 1 FROM figures WHERE webhook = ? AND shard = ?",
            &[text(*webhook), integer(*shard)],
        )?;
        if !rows.is_empty() {
            known.push((*webhook, *shard));
        }
    }
    Ok(known)
}

/// The shards that told their figures longest ago, of one webhook or of all: those to be
/// asked anew. All of them where they are few.
pub(super) fn to_ask(
    db: &impl Database,
    webhook: Option<WebhookId>,
) -> Result<Vec<ShardId>, RegistryError> {
    let (condition, mut values) = of(webhook);
    values.push(integer(MOST_MAILBOXES));
    let sql = format!(
        "SELECT webhook, shard FROM figures{condition} ORDER BY told_at, webhook, shard LIMIT ?"
    );
    let rows = db.run(&sql, &values)?;
    rows.iter()
        .map(|row| Ok((shard_of(row, 0)?, number(row, 1)?)))
        .collect()
}

fn of(webhook: Option<WebhookId>) -> (&'static str, Vec<Value>) {
    match webhook {
        Some(webhook) => (" WHERE webhook = ?", vec![text(webhook)]),
        None => ("", Vec::new()),
    }
}

/// Keeps what shards have told: a row each, and one for each hour that has changed.
pub(super) fn told(
    db: &impl Database,
    told: &[(ShardId, Stats)],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let mut changes = Changes::default();
    for ((webhook, shard), stats) in told {
        let key = [text(*webhook), integer(*shard)];
        let rows = db.run(
            "SELECT hours FROM figures WHERE webhook = ? AND shard = ?",
            &key,
        )?;
        // Its webhook may have been deleted meanwhile.
        let Some(row) = rows.first() else { continue };
        changes.add(&hours_of(row, 0)?.unwrap_or_default(), -1);
        changes.add(&stats.hours, 1);
        let hours = json(&stats.hours)?;
        let lasting = Stats {
            hours: Vec::new(),
            ..stats.clone()
        };
        let [webhook, shard] = key;
        db.run(
            "UPDATE figures SET told_at = ?, stats = ?, hours = ? WHERE webhook = ? AND shard = ?",
            &[
                Value::Integer(now.millis()),
                json(&lasting)?,
                hours,
                webhook,
                shard,
            ],
        )?;
    }
    changes.write(db, now)
}

/// Forgets what the shards of deleted webhooks have told.
pub(super) fn forget(
    db: &impl Database,
    webhooks: &[Webhook],
    now: Timestamp,
) -> Result<(), RegistryError> {
    let mut changes = Changes::default();
    for webhook in webhooks {
        let id = [text(webhook.id)];
        for row in db.run("SELECT hours FROM figures WHERE webhook = ?", &id)? {
            changes.add(&hours_of(&row, 0)?.unwrap_or_default(), -1);
        }
        db.run("DELETE FROM figures WHERE webhook = ?", &id)?;
    }
    changes.write(db, now)
}

fn json(figures: &impl Serialize) -> Result<Value, RegistryError> {
    serde_json::to_string(figures)
        .map(Value::Text)
        .map_err(|_| RegistryError::Unreadable("figures".to_owned()))
}

/// The hours that a shard has told. `None` when it never has, or when they cannot be read:
/// what they were added to forgets them within a week.
fn hours_of(row: &Row, column: usize) -> Result<Option<Vec<Hour>>, DatabaseError> {
    let json = row.optional(column, Row::text)?;
    Ok(json.and_then(|json| serde_json::from_str(json).ok()))
}

/// What is to be added to the hours of all shards.
#[derive(Default)]
struct Changes(BTreeMap<i64, [i64; 6]>);

impl Changes {
    fn add(&mut self, hours: &[Hour], times: i64) {
        for hour in hours {
            let sums = self.0.entry(hour.begins).or_default();
            for (sum, count) in sums.iter_mut().zip(hour.figures()) {
                *sum = sum.saturating_add(i64::from(count).saturating_mul(times));
            }
        }
    }

    /// Hours that are not told any more go.
    fn write(&self, db: &impl Database, now: Timestamp) -> Result<(), RegistryError> {
        let oldest = oldest_hour(now);
        for (begins, change) in self.0.range(oldest..) {
            if *change == [0; 6] {
                continue;
            }
            let mut values = vec![Value::Integer(*begins)];
            values.extend(change.map(Value::Integer));
            db.run(
                "INSERT INTO figure_hours (hour, received, delivered, failed, refused, duplicate, filtered)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (hour) DO UPDATE SET
                     received = received + excluded.received,
                     delivered = delivered + excluded.delivered,
                     failed = failed + excluded.failed,
                     refused = refused + excluded.refused,
                     duplicate = duplicate + excluded.duplicate,
                     filtered = filtered + excluded.filtered",
                &values,
            )?;
        }
        db.run(
            "DELETE FROM figure_hours WHERE hour < ?",
            &[Value::Integer(oldest)],
        )?;
        Ok(())
    }
}

/// The hours of all shards, added up.
fn hours_of_all(db: &impl Database, now: Timestamp) -> Result<Vec<Hour>, RegistryError> {
    let rows = db.run(
        "SELECT hour, received, delivered, failed, refused, duplicate, filtered
         FROM figure_hours WHERE hour >= ? ORDER BY hour",
        &[Value::Integer(oldest_hour(now))],
    )?;
    let hour = |row: &Row| {
        let count = |column| {
            let count = row.integer(column)?.max(0);
            Ok::<_, DatabaseError>(u32::try_from(count).unwrap_or(u32::MAX))
        };
        Ok(Hour {
            begins: row.integer(0)?,
            received: count(1)?,
            delivered: count(2)?,
            failed: count(3)?,
            tally: Tally {
                refused: count(4)?,
                duplicate: count(5)?,
                filtered: count(6)?,
            },
        })
    };
    let mut hours: Vec<Hour> = rows
        .iter()
        .map(hour)
        .collect::<Result<_, DatabaseError>>()?;
    hours.retain(|hour| hour.figures() != [0; 6]);
    Ok(hours)
}

/// What the shards have told, added up, and when the first of them did. Where one never
/// has, or there are more than can be added up, the figures say that they are partial.
/// The hours of all are kept added up: of each shard only its counts and destinations are
/// read.
pub(super) fn sum(
    db: &impl Database,
    webhook: Option<WebhookId>,
    now: Timestamp,
) -> Result<Stats, RegistryError> {
    let (condition, mut values) = of(webhook);
    values.push(integer(MOST_TOLD.saturating_add(1)));
    // The shards of one webhook are few: their hours are added up here.
    let hours = if webhook.is_some() { "hours" } else { "NULL" };
    let sql = format!(
        "SELECT webhook, told_at, stats, {hours} FROM figures{condition} ORDER BY webhook, shard LIMIT ?"
    );
    let rows = db.run(&sql, &values)?;
    let mut all = Stats {
        is_partial: rows.len() > MOST_TOLD,
        ..Stats::default()
    };
    let told = rows.get(..MOST_TOLD).unwrap_or(&rows);
    for rows in told.chunk_by(|one, next| one.0.first() == next.0.first()) {
        let mut of_one = Stats::default();
        for row in rows {
            let stats = row
                .optional(2, Row::text)?
                .and_then(|json| serde_json::from_str::<Stats>(json).ok());
            match stats {
                Some(mut stats) => {
                    stats = stats.of(shard_of(row, 0)?);
                    stats.as_of = Some(row.integer(1)?);
                    stats.hours = hours_of(row, 3)?.unwrap_or_default();
                    of_one.add(stats);
                }
                None => all.is_partial = true,
            }
        }
        // No two webhooks share a destination.
        all.destinations.append(&mut of_one.destinations);
        all.add(of_one);
    }
    if webhook.is_none() {
        all.hours = hours_of_all(db, now)?;
    }
    Ok(all)
}
