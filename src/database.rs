//! The object's SQLite behind the core's [`Database`] trait. A shim: it decides
//! nothing.

use std::cell::Cell;
use tram_core::{
    database::{Database, DatabaseError, Row, Value},
    time::Timestamp,
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{SqlStorage, SqlStorageValue, State, js_sys};

#[wasm_bindgen]
extern "C" {
    /// The parts of `DurableObjectStorage` that the SDK does not bind, or binds
    /// only behind a future.
    #[derive(Clone)]
    type ObjectStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &ObjectStorage,
        work: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm(this: &ObjectStorage, at_millis: f64) -> Result<js_sys::Promise, JsValue>;
}

/// The SQLite database and the alarm of one object.
pub(crate) struct SqlDatabase {
    sql: SqlStorage,
    storage: ObjectStorage,
    written: Cell<u64>,
}

impl SqlDatabase {
    /// Of the object with this state.
    pub(crate) fn new(state: &State) -> Self {
        let storage = state.storage();
        Self {
            sql: storage.sql(),
            storage: JsValue::from(storage.as_raw()).unchecked_into(),
            written: Cell::new(0),
        }
    }

    /// Rows written so far as the platform bills them, alarms included.
    #[allow(dead_code, reason = "the Worker that runs the SQL suite reads it")]
    pub(crate) fn rows_written(&self) -> u64 {
        self.written.get()
    }

    fn count(&self, rows: u64) {
        self.written.set(self.written.get().saturating_add(rows));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "times are far below 2^53 milliseconds"
)]
fn millis(at: Timestamp) -> f64 {
    at.millis() as f64
}

fn failed(error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Failed(error.to_string())
}

fn thrown(error: JsValue) -> DatabaseError {
    failed(worker::Error::from(error))
}

fn bind(value: &Value) -> Result<SqlStorageValue, DatabaseError> {
    Ok(match value {
        Value::Null => SqlStorageValue::Null,
        Value::Integer(number) => SqlStorageValue::try_from_i64(*number).map_err(failed)?,
        Value::Text(text) => SqlStorageValue::String(text.clone()),
        Value::Blob(bytes) => SqlStorageValue::Blob(bytes.clone()),
    })
}

fn read(column: usize, value: SqlStorageValue) -> Result<Value, DatabaseError> {
    Ok(match value {
        SqlStorageValue::Null => Value::Null,
        SqlStorageValue::Integer(number) => Value::Integer(number),
        SqlStorageValue::String(text) => Value::Text(text),
        SqlStorageValue::Blob(bytes) => Value::Blob(bytes),
        SqlStorageValue::Boolean(_) | SqlStorageValue::Float(_) => {
            return Err(DatabaseError::Unexpected(column));
        }
    })
}

impl Database for SqlDatabase {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let bindings = parameters.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let cursor = self.sql.exec(sql, bindings).map_err(failed)?;
        let mut rows = Vec::new();
        for row in cursor.raw() {
            let row = row.map_err(failed)?;
            let values = row
                .into_iter()
                .enumerate()
                .map(|(column, value)| read(column, value));
            rows.push(Row(values.collect::<Result<_, _>>()?));
        }
        self.count(u64::try_from(cursor.rows_written()).unwrap_or(u64::MAX));
        Ok(rows)
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        // The write is buffered at once; were it to fail, the output gate would hold
        // back every answer, so its promise need not be awaited.
        let _ = self.storage.set_alarm(millis(at)).map_err(thrown)?;
        self.count(1);
        Ok(())
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut work = Some(work);
        let mut outcome = None;
        let committed = self.storage.transaction_sync(&mut || {
            let result = work.take().map(|work| work());
            let kept = matches!(result, Some(Ok(_)));
            outcome = result;
            // Only an exception makes the runtime roll back.
            if kept {
                Ok(JsValue::UNDEFINED)
            } else {
                Err(JsValue::from_str("rolled back"))
            }
        });
        match (outcome, committed) {
            (Some(Ok(value)), Ok(_)) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(thrown(error).into()),
            (None, Ok(_)) => {
                Err(DatabaseError::Failed("the transaction did not run".into()).into())
            }
        }
    }
}
