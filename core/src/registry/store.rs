//! The Registry's tables: webhooks as JSON in the order of their creation, and
//! which Mailboxes still have to be told of a change.
//!
//! A deleted webhook lives on only in its `pushes`, until each of its Mailboxes
//! knows that it is gone.

use super::{Payload, Push, RegistryError, next_version};
use crate::own_json::fields::read_in_place;
use crate::{
    database::{Database, DatabaseError, Row, Value},
    ids::WebhookId,
    own_json,
    time::Timestamp,
    webhook::Webhook,
};

/// What brings the database from each version to the next. Never changed, only
/// added to: a deploy meets yesterday's tables.
const MIGRATIONS: [&[&str]; 4] = [
    &[
        // `number` grows with every creation and orders the list.
        "CREATE TABLE webhooks (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT",
        "CREATE TABLE pushes (webhook TEXT NOT NULL, shard INTEGER NOT NULL, version INTEGER NOT NULL, retire INTEGER NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY (webhook, shard)) STRICT, WITHOUT ROWID",
    ],
    &[
        "CREATE TABLE visits (webhook TEXT NOT NULL, shard INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (webhook, shard)) STRICT, WITHOUT ROWID",
    ],
    &[
        "CREATE TABLE jobs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, done INTEGER NOT NULL, stepped INTEGER NOT NULL, job TEXT NOT NULL) STRICT",
        // What each shard has told of its figures: a row for each that there is.
        "CREATE TABLE figures (webhook TEXT NOT NULL, shard INTEGER NOT NULL, told_at INTEGER NOT NULL, stats TEXT, PRIMARY KEY (webhook, shard)) STRICT, WITHOUT ROWID",
        "INSERT INTO figures (webhook, shard, told_at)
         WITH RECURSIVE shard(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM shard WHERE n < 63)
         SELECT id, n, 0 FROM webhooks, shard WHERE n < max(1, ifnull(json_extract(json, '$.shards'), 1))",
    ],
    &[
        // The hours of each shard apart from its other figures, and those of all added up.
        "ALTER TABLE figures ADD COLUMN hours TEXT",
        "UPDATE figures SET told_at = 0, stats = NULL",
        // When the shards of a job are asked again.
        "ALTER TABLE jobs ADD COLUMN due INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE figure_hours (hour INTEGER PRIMARY KEY, received INTEGER NOT NULL, delivered INTEGER NOT NULL, failed INTEGER NOT NULL, refused INTEGER NOT NULL, duplicate INTEGER NOT NULL, filtered INTEGER NOT NULL) STRICT",
    ],
];

/// Webhooks that are read at once when all are looked at.
const BATCH: u32 = 100;

/// Creates the tables or brings them up to date.
pub(super) fn migrate(db: &impl Database) -> Result<(), DatabaseError> {
    migrate_to(db, MIGRATIONS.len())
}

/// The same up to a version.
pub(super) fn migrate_to(db: &impl Database, latest: usize) -> Result<(), DatabaseError> {
    db.atomically(|| {
        db.run(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT",
            &[],
        )?;
        let version = match db.run("SELECT version FROM schema_version", &[])?.first() {
            Some(row) => number(row, 0)?,
            None => {
                db.run("INSERT INTO schema_version VALUES (0)", &[])?;
                0
            }
        };
        if version > latest {
            return Err(DatabaseError::failed(
                "the tables are of a later version than this program".to_owned(),
            ));
        }
        if version == latest {
            return Ok(());
        }
        let missing = MIGRATIONS.iter().take(latest).skip(version);
        for statement in missing.copied().flatten() {
            db.run(statement, &[])?;
        }
        db.run("UPDATE schema_version SET version = ?", &[integer(latest)])?;
        Ok(())
    })
}

/// A webhook; `None` when there is none with this id.
pub(super) fn load(db: &impl Database, id: WebhookId) -> Result<Option<Webhook>, RegistryError> {
    let rows = db.run("SELECT json FROM webhooks WHERE id = ?", &[text(id)])?;
    rows.first().map(|row| read(row, 0)).transpose()
}

/// Stores a new webhook and notes that its Mailboxes have to be told.
pub(super) fn insert(db: &impl Database, webhook: &Webhook) -> Result<(), RegistryError> {
    db.run(
        "INSERT INTO webhooks (id, json) VALUES (?, ?)",
        &[text(webhook.id), json(webhook)?],
    )?;
    for shard in 0..webhook.shards.max(1) {
        db.run(
            "INSERT INTO figures (webhook, shard, told_at) VALUES (?, ?, 0)",
            &[text(webhook.id), integer(shard)],
        )?;
    }
    note(db, webhook, webhook.version, false)
}

/// Stores a changed webhook and notes that its Mailboxes have to be told.
pub(super) fn replace(db: &impl Database, webhook: &Webhook) -> Result<(), RegistryError> {
    db.run(
        "UPDATE webhooks SET json = ? WHERE id = ?",
        &[json(webhook)?, text(webhook.id)],
    )?;
    note(db, webhook, webhook.version, false)
}

/// Forgets a webhook but for the duty to tell its Mailboxes, and its figures.
pub(super) fn delete(
    db: &impl Database,
    webhook: &Webhook,
    now: Timestamp,
) -> Result<(), RegistryError> {
    db.run("DELETE FROM webhooks WHERE id = ?", &[text(webhook.id)])?;
    note(db, webhook, next_version(webhook, now), true)
}

fn note(
    db: &impl Database,
    webhook: &Webhook,
    version: u64,
    retire: bool,
) -> Result<(), RegistryError> {
    for shard in 0..webhook.shards.max(1) {
        db.run(
            "INSERT INTO pushes (webhook, shard, version, retire, tries) VALUES (?, ?, ?, ?, 0) \
             ON CONFLICT (webhook, shard) DO UPDATE SET version = excluded.version, retire = excluded.retire, tries = 0",
            &[
                text(webhook.id),
                integer(shard),
                integer(version),
                integer(u8::from(retire)),
            ],
        )?;
    }
    Ok(())
}

/// Where a page of the list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(i64);

impl Place {
    /// Reads a cursor.
    pub(super) fn parse(cursor: &str) -> Option<Self> {
        let digits = cursor.strip_prefix('w')?;
        let number: i64 = digits.parse().ok()?;
        // One place has one spelling, and fits what crosses into the object.
        (digits == number.to_string() && (0..1 << 53).contains(&number)).then_some(Self(number))
    }

    /// As an opaque text.
    pub(super) fn to_cursor(self) -> String {
        format!("w{}", self.0)
    }
}

/// Webhooks from the newest, after `before`; and where to go on, when there are
/// more.
pub(super) fn page(
    db: &impl Database,
    per_page: u32,
    before: Option<Place>,
) -> Result<(Vec<Webhook>, Option<Place>), RegistryError> {
    let limit = integer(per_page.saturating_add(1));
    let mut rows = match before {
        None => db.run(
            "SELECT number, json FROM webhooks ORDER BY number DESC LIMIT ?",
            &[limit],
        )?,
        Some(Place(number)) => db.run(
            "SELECT number, json FROM webhooks WHERE number < ? ORDER BY number DESC LIMIT ?",
            &[Value::Integer(number), limit],
        )?,
    };
    let per_page = usize::try_from(per_page).unwrap_or(usize::MAX);
    let more = rows.len() > per_page;
    rows.truncate(per_page);
    let next = match rows.last() {
        Some(last) if more => Some(Place(last.integer(0)?)),
        _ => None,
    };
    let webhooks = rows
        .iter()
        .map(|row| read(row, 1))
        .collect::<Result<_, _>>()?;
    Ok((webhooks, next))
}

/// All webhooks for which `wanted` holds, from the newest.
pub(super) fn select(
    db: &impl Database,
    wanted: impl Fn(&Webhook) -> bool,
) -> Result<Vec<Webhook>, RegistryError> {
    let mut selected = Vec::new();
    let mut place = None;
    loop {
        let (webhooks, next) = page(db, BATCH, place)?;
        selected.extend(webhooks.into_iter().filter(&wanted));
        if next.is_none() {
            return Ok(selected);
        }
        place = next;
    }
}

/// What is still to be told, and counts that it was tried.
pub(super) fn pending(db: &impl Database, limit: u32) -> Result<Vec<Push>, RegistryError> {
    let rows = db.run(
        "SELECT webhook, shard, version, retire, json FROM pushes LEFT JOIN webhooks ON id = webhook \
         ORDER BY tries, webhook, shard LIMIT ?",
        &[integer(limit)],
    )?;
    let mut pushes = Vec::with_capacity(rows.len());
    for row in &rows {
        let name = row.text(0)?;
        db.run(
            "UPDATE pushes SET tries = tries + 1 WHERE webhook = ? AND shard = ?",
            &[
                Value::Text(name.to_owned()),
                Value::Integer(row.integer(1)?),
            ],
        )?;
        let payload = if row.integer(3)? == 0 {
            match read(row, 4) {
                Ok(webhook) => Payload::Configure(Box::new(webhook)),
                // It stays pending and does not hold up the others.
                Err(RegistryError::Unreadable(_)) => continue,
                Err(error) => return Err(error),
            }
        } else {
            Payload::Retire
        };
        pushes.push(Push {
            webhook: WebhookId::parse(name).ok_or_else(|| DatabaseError::unexpected(0))?,
            shard: number(row, 1)?,
            version: number(row, 2)?,
            payload,
        });
    }
    Ok(pushes)
}

/// Strikes off what was told, unless there is a later change.
pub(super) fn pushed(db: &impl Database, push: &Push) -> Result<(), DatabaseError> {
    db.run(
        "DELETE FROM pushes WHERE webhook = ? AND shard = ? AND version = ?",
        &[
            text(push.webhook),
            integer(push.shard),
            integer(push.version),
        ],
    )?;
    Ok(())
}

/// How often the least tried push was tried; `None` when nothing is to be told.
pub(super) fn fewest_tries(db: &impl Database) -> Result<Option<u32>, DatabaseError> {
    let rows = db.run("SELECT min(tries) FROM pushes", &[])?;
    rows.first().map_or(Ok(None), |row| row.optional(0, number))
}

pub(super) fn text(id: WebhookId) -> Value {
    Value::Text(id.to_string())
}

fn json(webhook: &Webhook) -> Result<Value, RegistryError> {
    own_json::write(webhook)
        .map(Value::Text)
        .map_err(|_| RegistryError::Unwritable(webhook.id))
}

/// A stored webhook. The parser's own words are dropped: they could repeat a
/// secret.
fn read(row: &Row, column: usize) -> Result<Webhook, RegistryError> {
    let json = row.text(column)?;
    own_json::read(json).map_err(|_| {
        struct Named {
            id: WebhookId,
        }
        impl Named {
            const fn blank() -> Self {
                Self {
                    id: WebhookId::from_random([0; 16]),
                }
            }
        }
        read_in_place! { Named, unknown skipped, required { id }, optional {} }
        RegistryError::Unreadable(
            own_json::read::<Named>(json)
                .map_or_else(|_| "a webhook".to_owned(), |named| named.id.to_string()),
        )
    })
}

pub(super) fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

pub(super) fn number<N: TryFrom<i64>>(row: &Row, column: usize) -> Result<N, DatabaseError> {
    N::try_from(row.integer(column)?).map_err(|_| DatabaseError::unexpected(column))
}
