//! The small synchronous database that the objects' logic runs on: SQLite in a
//! Durable Object, SQLite through rusqlite in tests and simulation.
//!
//! Numbers cross into the object as floating point, so integers must stay within
//! 53 bits. `BEGIN`, `SAVEPOINT` and `PRAGMA user_version` are refused there; at
//! most 100 parameters are bound.

use crate::time::Timestamp;
use std::fmt;

/// A value that is bound or read.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A whole number within 53 bits.
    Integer(i64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Why a statement did not do what was asked: a pointer, so that each of the many places
/// that pass it on passes on one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseError(Box<DatabaseTrouble>);

/// The kinds of [`DatabaseError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseTrouble {
    /// The database refused or could not.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A row does not hold what the statement promises.
    #[error("column {0} does not hold what was expected")]
    Unexpected(usize),
}

impl DatabaseError {
    /// The database refused or could not, and says so.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn failed(why: String) -> Self {
        Self(Box::new(DatabaseTrouble::Failed(why)))
    }

    /// This column of a row does not hold what the statement promises.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn unexpected(column: usize) -> Self {
        Self(Box::new(DatabaseTrouble::Unexpected(column)))
    }

    /// Which kind it is.
    #[must_use]
    pub fn trouble(&self) -> &DatabaseTrouble {
        &self.0
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for DatabaseError {}

/// A row of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn value(&self, column: usize) -> Result<&Value, DatabaseError> {
        self.0
            .get(column)
            .ok_or_else(|| DatabaseError::unexpected(column))
    }

    /// Whether the column is NULL.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn is_null(&self, column: usize) -> Result<bool, DatabaseError> {
        Ok(matches!(self.value(column)?, Value::Null))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn integer(&self, column: usize) -> Result<i64, DatabaseError> {
        match self.value(column)? {
            Value::Integer(number) => Ok(*number),
            _ => Err(DatabaseError::unexpected(column)),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn text(&self, column: usize) -> Result<&str, DatabaseError> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            _ => Err(DatabaseError::unexpected(column)),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn blob(&self, column: usize) -> Result<&[u8], DatabaseError> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(DatabaseError::unexpected(column)),
        }
    }

    /// `None` for NULL, else what `read` makes of the column.
    ///
    /// # Errors
    /// When `read` fails.
    pub fn optional<'r, T>(
        &'r self,
        column: usize,
        read: impl FnOnce(&'r Self, usize) -> Result<T, DatabaseError>,
    ) -> Result<Option<T>, DatabaseError> {
        if self.is_null(column)? {
            Ok(None)
        } else {
            read(self, column).map(Some)
        }
    }
}

/// Synchronous SQL and the object's one alarm.
pub trait Database {
    /// Runs one statement with positional `?` parameters and returns its rows.
    ///
    /// # Errors
    /// When the database refuses it.
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError>;

    /// Sets the object's alarm, replacing the one before. Inside
    /// [`atomically`](Self::atomically) it is part of the transaction.
    ///
    /// # Errors
    /// When the platform refuses it.
    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError>;

    /// Runs `work` as one transaction: all of it is kept when it returns `Ok`,
    /// nothing of it when it returns `Err`. Not nested.
    ///
    /// # Errors
    /// What `work` returns, or the failure to begin or to commit.
    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>;
}
