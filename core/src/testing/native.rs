//! SQLite through rusqlite, held to what a Durable Object allows.
//!
//! The same limits on statements, rows and patterns; every number bound as a
//! floating-point number; no transaction but through `atomically`; the alarm kept
//! in a table, so that it is rolled back with everything else.

use crate::{
    database::{Database, DatabaseError, Row, Value},
    time::Timestamp,
};
use rusqlite::{
    Connection,
    config::DbConfig,
    limits::Limit,
    types::{ToSqlOutput, ValueRef},
};
use std::{cell::Cell, path::Path};

/// The greatest whole number that crosses into JavaScript unharmed.
const MAX_INTEGER: i64 = (1 << 53) - 1;

const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
];

/// What the platform's authorizer refuses, by first word.
const REFUSED: &[&str] = &[
    "BEGIN",
    "SAVEPOINT",
    "COMMIT",
    "END",
    "ROLLBACK",
    "RELEASE",
    "PRAGMA",
    "ATTACH",
    "DETACH",
    "VACUUM",
];

/// A database that outlives the objects opened on it, as a Durable Object's does.
#[derive(Debug)]
pub struct NativeDatabase {
    connection: Connection,
    inside: Cell<bool>,
    statements: Cell<u64>,
    alarms: Cell<u64>,
    /// Rows of the alarm's table, which are not the object's.
    own_changes: Cell<u64>,
}

fn failed(error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::failed(error.to_string())
}

impl NativeDatabase {
    /// An empty one in memory.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        Self::new(Connection::open_in_memory().map_err(failed)?)
    }

    /// One in a file, made when there is none.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn at(path: &Path) -> Result<Self, DatabaseError> {
        Self::new(Connection::open(path).map_err(failed)?)
    }

    fn new(connection: Connection) -> Result<Self, DatabaseError> {
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS platform_alarm (id INTEGER PRIMARY KEY, at INTEGER)",
            )
            .map_err(failed)?;
        for (limit, value) in LIMITS {
            connection.set_limit(*limit, *value).map_err(failed)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        // Or statements are prepared anew whenever what is bound might change the
        // plan: a third of all time in simulation.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(failed)?;
        Ok(Self {
            connection,
            inside: Cell::new(false),
            statements: Cell::new(0),
            alarms: Cell::new(0),
            own_changes: Cell::new(0),
        })
    }

    /// The alarm that is set: what `getAlarm` would say.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn alarm(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT at FROM platform_alarm")
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => Ok(Some(Timestamp::from_millis(row.get(0).map_err(failed)?))),
            None => Ok(None),
        }
    }

    /// The alarm fires: the platform forgets it before it calls the object.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn clear_alarm(&self) -> Result<(), DatabaseError> {
        self.alarm_statement("DELETE FROM platform_alarm", &[])
    }

    fn alarm_statement(&self, sql: &str, values: &[i64]) -> Result<(), DatabaseError> {
        let before = self.connection.total_changes();
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)))
            .map_err(failed)?;
        let own = self.connection.total_changes().saturating_sub(before);
        self.own_changes
            .set(self.own_changes.get().saturating_add(own));
        Ok(())
    }

    /// Table rows inserted, updated and deleted since it was opened. Index rows,
    /// which the platform counts too, are not among them; nor are alarms.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.connection
            .total_changes()
            .saturating_sub(self.own_changes.get())
    }

    /// Alarms set to another value than before: the platform counts a row each.
    #[must_use]
    pub const fn alarms_set(&self) -> u64 {
        self.alarms.get()
    }

    /// Bytes of the pages in use.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn bytes(&self) -> Result<i64, DatabaseError> {
        let ask = |name: &str| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map_err(failed)
        };
        let pages = ask("page_count")?.saturating_sub(ask("freelist_count")?);
        Ok(pages.saturating_mul(ask("page_size")?))
    }

    /// Statements run through [`Database::run`].
    #[must_use]
    pub const fn statements(&self) -> u64 {
        self.statements.get()
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            // As it crosses from the Worker into the object.
            #[expect(clippy::cast_precision_loss, reason = "checked to be within 53 bits")]
            Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number as f64)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn read(value: ValueRef<'_>) -> Result<Value, DatabaseError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(within_53_bits(number)?),
        ValueRef::Real(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "compared afterwards")]
            let whole = number as i64;
            #[expect(clippy::cast_precision_loss, reason = "this is the comparison")]
            let same = whole as f64 == number;
            if !same {
                return Err(failed("a number that is not whole"));
            }
            Value::Integer(within_53_bits(whole)?)
        }
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(failed)?),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

fn within_53_bits(number: i64) -> Result<i64, DatabaseError> {
    (-MAX_INTEGER..=MAX_INTEGER)
        .contains(&number)
        .then_some(number)
        .ok_or_else(|| failed("an integer of more than 53 bits"))
}

impl Database for NativeDatabase {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        count(&self.statements);
        let first = sql.split_whitespace().next().unwrap_or_default();
        if REFUSED.iter().any(|word| first.eq_ignore_ascii_case(word)) {
            return Err(failed("not authorized"));
        }
        for value in parameters {
            if let Value::Integer(number) = value {
                within_53_bits(*number)?;
            }
        }
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement
            .query(rusqlite::params_from_iter(parameters.iter().map(Bound)))
            .map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let values: Result<Vec<Value>, DatabaseError> = (0..columns)
                .map(|column| read(row.get_ref(column).map_err(failed)?))
                .collect();
            found.push(Row(values?));
        }
        Ok(found)
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        if self.alarm()? == Some(at) {
            return Ok(());
        }
        count(&self.alarms);
        self.alarm_statement(
            "INSERT INTO platform_alarm (id, at) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET at = excluded.at",
            &[at.millis()],
        )
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.inside.replace(true) {
            return Err(failed("a transaction within a transaction").into());
        }
        let run = |sql| {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute([]).map(drop)
        };
        let begun = run("BEGIN").map_err(failed);
        let outcome = begun.map_err(E::from).and_then(|()| work());
        let end = if outcome.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        let ended = run(end).map_err(failed);
        self.inside.set(false);
        match (outcome, ended) {
            (Ok(_), Err(error)) => Err(error.into()),
            (outcome, _) => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, allowed: bool) {
        let db = NativeDatabase::in_memory().unwrap();
        assert_eq!(db.run(sql, &[]).is_ok(), allowed, "{sql}");
    }

    #[test]
    fn the_platform_s_limits_hold() {
        check("SELECT 1", true);
        check("BEGIN", false);
        check("SAVEPOINT a", false);
        check("PRAGMA user_version", false);
        check(&format!("SELECT 'a' LIKE '{}'", "a".repeat(50)), true);
        check(&format!("SELECT 'a' LIKE '{}'", "a".repeat(51)), false);
        check(&["SELECT 1"; 5].join(" UNION ALL "), true);
        check(&["SELECT 1"; 6].join(" UNION ALL "), false);
        check("SELECT zeroblob(1999999)", true);
        check("SELECT zeroblob(2000001)", false);
    }

    #[test]
    fn a_hundred_parameters_are_bound_and_no_more() {
        let db = NativeDatabase::in_memory().unwrap();
        for (count, allowed) in [(100, true), (101, false)] {
            let sql = format!("SELECT {}", vec!["?"; count].join(","));
            let values = vec![Value::Integer(1); count];
            assert_eq!(db.run(&sql, &values).is_ok(), allowed, "{count}");
        }
    }

    #[test]
    fn numbers_are_bound_as_real_and_read_back_whole() {
        let db = NativeDatabase::in_memory().unwrap();
        let row = &db
            .run("SELECT typeof(?1), ?1", &[Value::Integer(MAX_INTEGER)])
            .unwrap()[0];
        assert_eq!(row.text(0), Ok("real"));
        assert_eq!(row.integer(1), Ok(MAX_INTEGER));
        assert!(
            db.run("SELECT ?", &[Value::Integer(MAX_INTEGER + 1)])
                .is_err()
        );
    }

    #[test]
    fn a_file_outlives_its_connection() {
        let name = format!("tram-native-{}.sqlite", std::process::id());
        let path = std::env::temp_dir().join(name);
        let at = Timestamp::from_millis(5);
        NativeDatabase::at(&path).unwrap().set_alarm(at).unwrap();
        let alarm = NativeDatabase::at(&path).unwrap().alarm();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(alarm, Ok(Some(at)));
    }

    #[test]
    fn the_alarm_is_part_of_the_transaction() {
        let db = NativeDatabase::in_memory().unwrap();
        let early = Timestamp::from_millis(5);
        db.set_alarm(early).unwrap();
        let undone: Result<(), DatabaseError> = db.atomically(|| {
            db.run("CREATE TABLE a (b)", &[])?;
            db.set_alarm(Timestamp::from_millis(9))?;
            Err(failed("no"))
        });
        assert_eq!(undone, Err(failed("no")));
        assert_eq!(db.alarm(), Ok(Some(early)));
        assert!(db.run("SELECT b FROM a", &[]).is_err());
    }
}
