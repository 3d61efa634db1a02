//! All shards of a station, some at a time, and the figures that they have told.

use super::{
    RegistryError,
    store::{integer, number, text},
};
use crate::{
    database::{Database, DatabaseError, Row, Value},
    ids::WebhookId,
    mailbox::{merge::MOST_MAILBOXES, stats::Stats},
    messages::ShardPlace,
    time::Timestamp,
};

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

/// Keeps what a shard has told: one row.
pub(super) fn told(
    db: &impl Database,
    (webhook, shard): ShardId,
    stats: &Stats,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let json = serde_json::to_string(stats)
        .map_err(|_| RegistryError::Unreadable("figures".to_owned()))?;
    db.run(
        "UPDATE figures SET told_at = ?, stats = ? WHERE webhook = ? AND shard = ?",
        &[
            Value::Integer(now.millis()),
            Value::Text(json),
            text(webhook),
            integer(shard),
        ],
    )?;
    Ok(())
}

/// What the shards have told, added up, and when the first of them did. Where one never
/// has, or there are more than can be added up, the figures say that they are partial.
pub(super) fn sum(db: &impl Database, webhook: Option<WebhookId>) -> Result<Stats, RegistryError> {
    let (condition, mut values) = of(webhook);
    values.push(integer(MOST_TOLD.saturating_add(1)));
    let sql = format!("SELECT webhook, told_at, stats FROM figures{condition} LIMIT ?");
    let rows = db.run(&sql, &values)?;
    let mut all = Stats {
        is_partial: rows.len() > MOST_TOLD,
        ..Stats::default()
    };
    for row in rows.iter().take(MOST_TOLD) {
        let stats = row
            .optional(2, Row::text)?
            .and_then(|json| serde_json::from_str::<Stats>(json).ok());
        match stats {
            Some(stats) => {
                let mut stats = stats.of(shard_of(row, 0)?);
                stats.as_of = Some(row.integer(1)?);
                all.add(stats);
            }
            None => all.is_partial = true,
        }
    }
    Ok(all)
}
