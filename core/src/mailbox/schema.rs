//! The tables of a Mailbox and how an older database is brought up to date.
//!
//! Rows written are what a Durable Object is paid by, so there is one index on
//! `events` and one on `waiting`, and none for finding what is new:
//!
//! - `events`: one row an event. `fresh` is 1 while a first attempt is still to be
//!   made; such rows are found by their number, from the `cursor` on. The unique
//!   index is the judge of "seen before"; test calls stand outside of it.
//! - `payloads`: envelope and body of events whose payload is large, so that
//!   noting an attempt does not rewrite it.
//! - `waiting`: one row a delivery that is not at its first attempt any more (or
//!   was queued again). Gone when the delivery has ended.
//! - `refusals`: one row, the newest refused requests (shard 0 alone has it).
//! - `health`: one row a destination that is not simply well.
//! - `tallies`: one row an hour, what left no event (shard 0 alone has it).
//! - `hours`: one row an hour, the figures of the events that came in it, as far as they
//!   are counted.
//! - `jobs`: one row a job over many events, under way or lately done with.
//! - `meta`: schema version, configuration, shard, cursor, what is counted, retired.

use super::{
    MailboxError, MailboxTrouble,
    sql::{self, integer},
};
use crate::database::{Database, Value};

/// Brings the schema from one version to the next: statements, run as one
/// transaction.
pub(super) type Migration = &'static [&'static str];

/// All migrations; the schema's version is how many of them were run. Only ever
/// append: databases remember by number.
pub(super) const MIGRATIONS: &[Migration] = &[
    &[
        "CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        fresh INTEGER NOT NULL,
        status TEXT NOT NULL,
        test INTEGER NOT NULL,
        conflicts INTEGER NOT NULL,
        key BLOB NOT NULL,
        body_sha256 BLOB NOT NULL,
        name TEXT,
        object_id TEXT,
        summary TEXT NOT NULL,
        deliveries TEXT NOT NULL,
        envelope TEXT,
        body BLOB
    ) STRICT",
        "CREATE UNIQUE INDEX events_by_key ON events (key) WHERE test = 0",
        "CREATE TABLE payloads (
        seq INTEGER PRIMARY KEY,
        envelope TEXT NOT NULL,
        body BLOB
    ) STRICT",
        "CREATE TABLE waiting (
        destination TEXT NOT NULL,
        seq INTEGER NOT NULL,
        due INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        since INTEGER NOT NULL,
        made INTEGER NOT NULL,
        attempts TEXT NOT NULL,
        PRIMARY KEY (destination, seq)
    ) STRICT, WITHOUT ROWID",
        "CREATE INDEX waiting_by_due ON waiting (destination, due)",
    ],
    &["CREATE TABLE refusals (id INTEGER PRIMARY KEY CHECK (id = 1), data BLOB NOT NULL) STRICT"],
    &[
        "CREATE TABLE health (
        destination TEXT PRIMARY KEY,
        state BLOB NOT NULL
    ) STRICT, WITHOUT ROWID",
        "CREATE TABLE tallies (
        hour INTEGER PRIMARY KEY,
        refused INTEGER NOT NULL,
        duplicate INTEGER NOT NULL,
        filtered INTEGER NOT NULL
    ) STRICT",
    ],
    &[
        "CREATE TABLE hours (hour INTEGER PRIMARY KEY, counts TEXT NOT NULL) STRICT",
        "CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        done INTEGER NOT NULL,
        job TEXT NOT NULL
    ) STRICT",
    ],
    // When a delivery was last attempted since it was queued.
    &["ALTER TABLE waiting ADD COLUMN tried INTEGER NOT NULL DEFAULT 0"],
];

const SCHEMA: &str = "schema";

/// Makes the table `meta`, unless it is there.
pub(super) fn make_meta(db: &impl Database) -> Result<(), MailboxError> {
    db.run(
        "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
        &[],
    )?;
    Ok(())
}

/// Runs the migrations that this database, which has a `meta`, has not seen. Writes
/// nothing when it has seen them all.
///
/// # Errors
/// When the database is of a newer version (it is left untouched), or fails.
pub(super) fn migrate(
    db: &impl Database,
    migrations: &'static [Migration],
) -> Result<(), MailboxError> {
    let found = match meta(db, SCHEMA)? {
        Some(Value::Integer(version)) => usize::try_from(version)
            .map_err(|_| MailboxError::unreadable("the schema's version"))?,
        Some(_) => return Err(MailboxError::unreadable("the schema's version")),
        None => 0,
    };
    if found > migrations.len() {
        return Err(MailboxTrouble::Newer {
            found,
            known: migrations.len(),
        }
        .into());
    }
    for (before, migration) in migrations.iter().enumerate().skip(found) {
        db.atomically(|| -> Result<(), MailboxError> {
            for statement in *migration {
                db.run(statement, &[])?;
            }
            let version = integer(i64::try_from(before).unwrap_or(i64::MAX).saturating_add(1));
            set_meta(db, SCHEMA, version)
        })?;
    }
    Ok(())
}

/// Drops every table but `meta`: nothing of a deleted webhook is kept.
pub(super) fn drop_all(db: &impl Database) -> Result<(), MailboxError> {
    for table in [
        "events", "payloads", "waiting", "refusals", "health", "tallies", "hours", "jobs",
    ] {
        db.run(&["DROP TABLE IF EXISTS ", table].concat(), &[])?;
    }
    Ok(())
}

/// One value of `meta`.
pub(super) fn meta(db: &impl Database, name: &str) -> Result<Option<Value>, MailboxError> {
    let rows = db.run("SELECT value FROM meta WHERE name = ?", &[sql::text(name)])?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|row| row.0.into_iter().next()))
}

/// Sets one value of `meta`: one row.
pub(super) fn set_meta(db: &impl Database, name: &str, value: Value) -> Result<(), MailboxError> {
    db.run(
        "INSERT INTO meta (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[sql::text(name), value],
    )?;
    Ok(())
}

/// Takes one value of `meta` away: one row, if it was there.
pub(super) fn forget_meta(db: &impl Database, name: &str) -> Result<(), MailboxError> {
    db.run("DELETE FROM meta WHERE name = ?", &[sql::text(name)])?;
    Ok(())
}

/// Takes every value of `meta` away but one.
pub(super) fn forget_all_meta_but(db: &impl Database, name: &str) -> Result<(), MailboxError> {
    db.run("DELETE FROM meta WHERE name <> ?", &[sql::text(name)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::native::NativeDatabase;

    /// As the first release had it.
    const FIRST: &[Migration] = &[MIGRATIONS[0]];
    const LATER: &[Migration] = &[
        MIGRATIONS[0],
        &[
            "ALTER TABLE events ADD COLUMN note TEXT NOT NULL DEFAULT ''",
            "UPDATE events SET note = 'old'",
        ],
        &["CREATE TABLE notes (id INTEGER PRIMARY KEY)"],
    ];
    const BROKEN: &[Migration] = &[
        MIGRATIONS[0],
        &["CREATE TABLE notes (id INTEGER PRIMARY KEY)", "NOT SQL"],
    ];

    fn migrate(db: &impl Database, migrations: &'static [Migration]) -> Result<(), MailboxError> {
        make_meta(db)?;
        super::migrate(db, migrations)
    }

    fn insert(db: &NativeDatabase) {
        db.run(
            "INSERT INTO events (seq, fresh, status, test, conflicts, key, body_sha256, summary, deliveries)
             VALUES (1, 1, 'pending', 0, 0, x'01', x'02', '{}', '[]')",
            &[],
        )
        .unwrap();
    }

    #[test]
    fn an_older_database_is_brought_up_to_date_with_its_rows() {
        let db = NativeDatabase::in_memory().unwrap();
        migrate(&db, FIRST).unwrap();
        insert(&db);
        migrate(&db, LATER).unwrap();
        assert_eq!(meta(&db, SCHEMA).unwrap(), Some(integer(3)));
        let rows = db.run("SELECT note FROM events", &[]).unwrap();
        assert_eq!(rows[0].text(0), Ok("old"));
        db.run("SELECT id FROM notes", &[]).unwrap();
    }

    #[test]
    fn the_first_release_s_database_learns_of_refusals() {
        let db = NativeDatabase::in_memory().unwrap();
        migrate(&db, FIRST).unwrap();
        insert(&db);
        migrate(&db, MIGRATIONS).unwrap();
        assert_eq!(meta(&db, SCHEMA).unwrap(), Some(integer(5)));
        assert_eq!(db.run("SELECT seq FROM events", &[]).unwrap().len(), 1);
        let row = |id| {
            let values = [integer(id), sql::blob(b"x")];
            db.run("INSERT INTO refusals (id, data) VALUES (?, ?)", &values)
        };
        assert!(row(1).is_ok());
        assert!(row(2).is_err(), "there is one row");
    }

    #[test]
    fn running_them_again_writes_nothing() {
        let db = NativeDatabase::in_memory().unwrap();
        migrate(&db, LATER).unwrap();
        let before = db.changes();
        migrate(&db, LATER).unwrap();
        assert_eq!(db.changes(), before);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let db = NativeDatabase::in_memory().unwrap();
        assert!(migrate(&db, BROKEN).is_err());
        assert_eq!(meta(&db, SCHEMA).unwrap(), Some(integer(1)));
        assert!(db.run("SELECT id FROM notes", &[]).is_err());
        migrate(&db, LATER).unwrap();
    }

    #[test]
    fn a_newer_database_is_refused_and_left_as_it_is() {
        let db = NativeDatabase::in_memory().unwrap();
        migrate(&db, LATER).unwrap();
        insert(&db);
        let before = db.changes();
        assert_eq!(
            migrate(&db, FIRST),
            Err(MailboxTrouble::Newer { found: 3, known: 1 }.into())
        );
        assert_eq!(db.changes(), before);
        assert_eq!(db.run("SELECT seq FROM events", &[]).unwrap().len(), 1);
    }
}
