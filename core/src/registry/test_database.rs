//! SQLite in memory behind the [`Database`] trait, with numbers bound as the
//! object binds them and failures on demand.

use crate::{
    database::{Database, DatabaseError, Row, Value},
    time::Timestamp,
};
use rusqlite::{Connection, params_from_iter, types};
use std::cell::Cell;

pub(crate) struct TestDatabase {
    connection: Connection,
    pub(crate) alarm: Cell<Option<Timestamp>>,
    pub(crate) alarm_fails: Cell<bool>,
}

impl TestDatabase {
    pub(crate) fn new() -> Self {
        Self {
            connection: Connection::open_in_memory().unwrap(),
            alarm: Cell::new(None),
            alarm_fails: Cell::new(false),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers stay within 53 bits")]
fn bound(value: &Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Integer(number) => types::Value::Real(*number as f64),
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Blob(bytes) => types::Value::Blob(bytes.clone()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers within 53 bits"
)]
fn read(value: types::Value) -> Value {
    match value {
        types::Value::Null => Value::Null,
        types::Value::Integer(number) => Value::Integer(number),
        types::Value::Real(number) => {
            assert_eq!(number.fract(), 0.0);
            Value::Integer(number as i64)
        }
        types::Value::Text(text) => Value::Text(text),
        types::Value::Blob(bytes) => Value::Blob(bytes),
    }
}

fn failed(error: rusqlite::Error) -> DatabaseError {
    DatabaseError::Failed(error.to_string())
}

impl Database for TestDatabase {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        assert!(parameters.len() <= 100);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let columns = statement.column_count();
        let rows = statement
            .query_map(params_from_iter(parameters.iter().map(bound)), |row| {
                (0..columns)
                    .map(|column| row.get(column).map(read))
                    .collect()
            })
            .map_err(failed)?;
        rows.map(|row| row.map(Row).map_err(failed)).collect()
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        if self.alarm_fails.get() {
            return Err(DatabaseError::Failed("no alarm today".to_owned()));
        }
        self.alarm.set(Some(at));
        Ok(())
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let alarm = self.alarm.get();
        self.connection.execute_batch("BEGIN").map_err(failed)?;
        let result = work();
        if result.is_ok() {
            self.connection.execute_batch("COMMIT").map_err(failed)?;
        } else {
            self.connection.execute_batch("ROLLBACK").map_err(failed)?;
            self.alarm.set(alarm);
        }
        result
    }
}
