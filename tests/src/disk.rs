//! What a station has on disk while it is off: the rows and alarms of its objects, to
//! look at, to damage, or to make older than they are.
//!
//! How the runtime of local development lays them out is its own affair: an alarm
//! stands in the object's database, where the object asks for it, and in that of its
//! class, from where it is fired.

use crate::{
    station::Station,
    wait::{PATIENCE, wait_until},
};
use rusqlite::{Connection, OptionalExtension as _, types::Value};
use std::{fs, path::PathBuf};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// A Durable Object of a station that is off.
#[derive(Clone, Debug)]
pub struct StoredObject {
    /// What it is called: a Mailbox `wh_…/shard`.
    pub name: String,
    id: String,
    database: PathBuf,
    class: PathBuf,
}

/// The database of a [`StoredObject`] as it once was.
#[derive(Clone, Debug)]
pub struct DatabaseCopy([Option<Vec<u8>>; 3]);

impl Station {
    /// The objects of a class, by name.
    ///
    /// # Panics
    /// When the station runs, or its files are not as they should be.
    #[must_use]
    #[track_caller]
    pub fn objects_on_disk(&self, class: &str) -> Vec<StoredObject> {
        assert!(self.is_off(), "a running station's files are its own");
        let folder = self.state().join("v3/do").join(format!("tram-{class}"));
        let class = folder.join("metadata.sqlite");
        let mut objects: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|end| end == "sqlite") && *path != class)
            .map(|database| StoredObject {
                name: open(&database)
                    .query_row("SELECT name FROM __miniflare_do_name", [], |row| row.get(0))
                    .expect("an object's name"),
                id: database
                    .file_stem()
                    .and_then(|id| id.to_str())
                    .expect("an id")
                    .to_owned(),
                database,
                class: class.clone(),
            })
            .collect();
        objects.sort_by(|one, other| one.name.cmp(&other.name));
        objects
    }
}

impl Station {
    /// Lets every alarm fire that is set, however far away, and waits until none is
    /// left. The station is off before and after.
    ///
    /// # Panics
    /// When one is set again and again.
    #[track_caller]
    pub fn fire_alarms(&self, classes: &[&str]) {
        let mut objects: Vec<_> = classes
            .iter()
            .flat_map(|class| self.objects_on_disk(class))
            .collect();
        objects.retain(|object| object.alarm().is_some());
        for object in &objects {
            object.move_alarm(1);
        }
        self.restart();
        for object in &objects {
            let what = format!("{} to need no alarm", object.name);
            wait_until(&what, PATIENCE, || object.alarm().is_none().then_some(()));
        }
        self.kill();
    }
}

fn open(path: &PathBuf) -> Connection {
    Connection::open(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

impl StoredObject {
    /// Runs a statement in the object's database; the rows it changed.
    ///
    /// # Panics
    /// When the statement is none.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> usize {
        open(&self.database)
            .execute(sql, [])
            .unwrap_or_else(|why| panic!("{sql}: {why}"))
    }

    /// The one number that a question to the object's database gives.
    ///
    /// # Panics
    /// When it gives none.
    #[must_use]
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        open(&self.database)
            .query_row(sql, [], |row| row.get(0))
            .unwrap_or_else(|why| panic!("{sql}: {why}"))
    }

    /// Every row of every table, the runtime's own among them.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    #[track_caller]
    pub fn rows(&self) -> Vec<String> {
        let database = open(&self.database);
        let mut tables = database
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            .expect("a database");
        let tables: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .and_then(Iterator::collect)
            .expect("names of tables");
        let mut rows = Vec::new();
        for table in tables {
            let mut all = database
                .prepare(&format!("SELECT * FROM {table}"))
                .expect("a table");
            let columns = all.column_count();
            let read = all.query_map([], |row| {
                (0..columns)
                    .map(|column| row.get::<_, Value>(column))
                    .collect::<Result<Vec<_>, _>>()
            });
            for row in read.expect("rows") {
                rows.push(format!("{table}: {:?}", row.expect("a row")));
            }
        }
        rows.sort();
        rows
    }

    /// The object's database as it is now, to be [put back](Self::put_back) later.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn copy(&self) -> DatabaseCopy {
        DatabaseCopy(self.files().map(|path| fs::read(path).ok()))
    }

    /// The object is restored to an earlier point.
    ///
    /// # Panics
    /// When it cannot be.
    #[track_caller]
    pub fn put_back(&self, copy: &DatabaseCopy) {
        for (path, bytes) in self.files().iter().zip(&copy.0) {
            let _ = fs::remove_file(path);
            if let Some(bytes) = bytes {
                fs::write(path, bytes).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            }
        }
    }

    /// The database, and what it has not taken in yet.
    fn files(&self) -> [PathBuf; 3] {
        ["sqlite", "sqlite-wal", "sqlite-shm"].map(|end| self.database.with_extension(end))
    }

    /// When the alarm is to be fired, in milliseconds since 1970. May be asked while the
    /// station runs.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn alarm(&self) -> Option<i64> {
        let nanos: Option<i64> = open(&self.class)
            .query_row(
                "SELECT scheduled_time FROM _cf_ALARM WHERE actor_id = ?",
                [&self.id],
                |row| row.get(0),
            )
            .optional()
            .expect("an alarm, or none");
        nanos.map(|nanos| nanos / NANOS_PER_MILLI)
    }

    /// Sets the alarm that is set already to another time.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn move_alarm(&self, to_millis: i64) {
        let nanos = to_millis * NANOS_PER_MILLI;
        let moved = open(&self.class)
            .execute(
                "UPDATE _cf_ALARM SET scheduled_time = ?1 WHERE actor_id = ?2",
                (nanos, &self.id),
            )
            .expect("the alarms of a class");
        assert_eq!(moved, 1, "{} has no alarm", self.name);
        self.believe_in_alarm(Some(nanos));
    }

    /// The runtime loses the alarm, so that it will not be fired. The object, when it
    /// asks, is told that there is none, or that there was one at `believed`.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn lose_alarm(&self, believed: Option<i64>) {
        let lost = open(&self.class)
            .execute("DELETE FROM _cf_ALARM WHERE actor_id = ?", [&self.id])
            .expect("the alarms of a class");
        assert_eq!(lost, 1, "{} has no alarm", self.name);
        self.believe_in_alarm(believed.map(|millis| millis * NANOS_PER_MILLI));
    }

    fn believe_in_alarm(&self, nanos: Option<i64>) {
        let told = open(&self.database)
            .execute("UPDATE _cf_METADATA SET value = ?1 WHERE key = 1", [nanos])
            .expect("the object's own alarm");
        assert_eq!(told, 1, "{} has never had an alarm", self.name);
    }
}
