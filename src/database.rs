//! The object's SQLite behind the core's [`Database`] trait. A shim: it decides
//! nothing.

use crate::thrown::Thrown;
use std::cell::Cell;
use tram_core::{
    database::{Database, DatabaseError, Row, Value},
    time::Timestamp,
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{
    State,
    js_sys::{self, futures::JsFuture},
};

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

    #[wasm_bindgen(method, catch, js_name = getAlarm)]
    fn get_alarm(this: &ObjectStorage) -> Result<js_sys::Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/sql.js")]
extern "C" {
    /// Runs a statement: see there.
    #[wasm_bindgen(catch)]
    fn statement(storage: &ObjectStorage, sql: &str, packed: &[u8]) -> Result<Vec<u8>, JsValue>;
}

/// The SQLite database and the alarm of one object.
pub(crate) struct SqlDatabase {
    storage: ObjectStorage,
    written: Cell<u64>,
    read: Cell<u64>,
}

impl SqlDatabase {
    /// Of the object with this state.
    pub(crate) fn new(state: &State) -> Self {
        Self {
            storage: JsValue::from(state.storage().as_raw()).unchecked_into(),
            written: Cell::new(0),
            read: Cell::new(0),
        }
    }

    /// When the alarm is to fire, if one is set.
    ///
    /// # Errors
    /// When the runtime does not say.
    #[allow(dead_code, reason = "the Worker that runs the SQL suite never asks")]
    pub(crate) async fn alarm(&self) -> Result<Option<Timestamp>, Thrown> {
        let set = JsFuture::from(self.storage.get_alarm()?).await?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number far below 2^53"
        )]
        Ok(set.as_f64().map(|at| Timestamp::from_millis(at as i64)))
    }

    /// Rows written so far as the platform bills them, alarms included.
    #[allow(dead_code, reason = "the Worker that runs the SQL suite reads it")]
    pub(crate) fn rows_written(&self) -> u64 {
        self.written.get()
    }

    /// Rows read so far as the platform bills them.
    #[allow(dead_code, reason = "the Worker that runs the SQL suite reads it")]
    pub(crate) fn rows_read(&self) -> u64 {
        self.read.get()
    }
}

fn count(rows: &Cell<u64>, more: u32) {
    rows.set(rows.get().saturating_add(more.into()));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "times are far below 2^53 milliseconds"
)]
fn millis(at: Timestamp) -> f64 {
    at.millis() as f64
}

fn thrown(error: JsValue) -> DatabaseError {
    DatabaseError::failed(Thrown::from(error).0)
}

/// What goes before a value in `sql.js`.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const NUMBER: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const BLOB: u8 = 3;
}

fn pack(parameters: &[Value]) -> Result<Vec<u8>, DatabaseError> {
    let mut packed = Vec::with_capacity(256);
    for value in parameters {
        let (tag, bytes) = match value {
            Value::Null => {
                packed.push(tag::NULL);
                continue;
            }
            Value::Integer(number) => {
                packed.push(tag::NUMBER);
                packed.extend(number_of(*number)?.to_le_bytes());
                continue;
            }
            Value::Text(text) => (tag::TEXT, text.as_bytes()),
            Value::Blob(bytes) => (tag::BLOB, bytes.as_slice()),
        };
        let length = u32::try_from(bytes.len())
            .map_err(|_| DatabaseError::failed("a parameter is too long".into()))?;
        packed.push(tag);
        packed.extend(length.to_le_bytes());
        packed.extend(bytes);
    }
    Ok(packed)
}

/// Numbers cross as floating point, exactly within 53 bits.
fn number_of(number: i64) -> Result<f64, DatabaseError> {
    const EXACT: u64 = 1 << 53;
    if number.unsigned_abs() > EXACT {
        return Err(DatabaseError::failed("a number is beyond 53 bits".into()));
    }
    #[expect(clippy::cast_precision_loss, reason = "within 53 bits")]
    let number = number as f64;
    Ok(number)
}

/// What `sql.js` returns, read from the front.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.chunk()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.size()?;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    fn value(&mut self) -> Option<Value> {
        let [tag] = self.chunk()?;
        Some(match tag {
            tag::NULL => Value::Null,
            tag::NUMBER => {
                let number = f64::from_le_bytes(self.chunk()?);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the other side sends whole numbers within 53 bits"
                )]
                let number = number as i64;
                Value::Integer(number)
            }
            tag::TEXT => Value::Text(String::from_utf8(self.bytes()?.to_vec()).ok()?),
            tag::BLOB => Value::Blob(self.bytes()?.to_vec()),
            _ => return None,
        })
    }
}

/// The rows, and how many were written and read.
fn unpack(packed: &[u8]) -> Result<(Vec<Row>, u32, u32), DatabaseError> {
    let mut packed = Packed(packed);
    let (Some(written), Some(read), Some(columns)) =
        (packed.chunk(), packed.chunk(), packed.size())
    else {
        return Err(DatabaseError::unexpected(0));
    };
    let mut rows = Vec::new();
    while !packed.0.is_empty() && columns > 0 {
        let mut row = Vec::with_capacity(columns);
        for column in 0..columns {
            row.push(
                packed
                    .value()
                    .ok_or_else(|| DatabaseError::unexpected(column))?,
            );
        }
        rows.push(Row(row));
    }
    Ok((rows, u32::from_le_bytes(written), u32::from_le_bytes(read)))
}

impl Database for SqlDatabase {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let answer = statement(&self.storage, sql, &pack(parameters)?).map_err(thrown)?;
        let (rows, written, read) = unpack(&answer)?;
        count(&self.written, written);
        count(&self.read, read);
        Ok(rows)
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        // The write is buffered at once; were it to fail, the output gate would hold
        // back every answer, so its promise need not be awaited.
        let _ = self.storage.set_alarm(millis(at)).map_err(thrown)?;
        count(&self.written, 1);
        Ok(())
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut work = Some(work);
        self.outcome_of(&mut || work.take().map(|work| work()))
    }
}

/// Beneath [`Database::atomically`], in ever fewer copies: one for each kind of outcome,
/// and one for all.
impl SqlDatabase {
    fn outcome_of<T, E: From<DatabaseError>>(
        &self,
        work: &mut dyn FnMut() -> Option<Result<T, E>>,
    ) -> Result<T, E> {
        let mut outcome = None;
        let committed = self.transaction(&mut || {
            outcome = work();
            matches!(outcome, Some(Ok(_)))
        });
        match (outcome, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => {
                Err(DatabaseError::failed("the transaction did not run".into()).into())
            }
        }
    }

    /// What `work` does is kept when it says so.
    fn transaction(&self, work: &mut dyn FnMut() -> bool) -> Result<(), DatabaseError> {
        let committed = self.storage.transaction_sync(&mut || {
            // Only an exception makes the runtime roll back.
            if work() {
                Ok(JsValue::UNDEFINED)
            } else {
                Err(JsValue::from_str("rolled back"))
            }
        });
        committed.map(|_| ()).map_err(thrown)
    }
}
