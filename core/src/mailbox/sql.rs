//! Values into and out of the Mailbox's tables.

use super::MailboxError;
use crate::{
    database::{Row, Value},
    delivery::Status,
    ids::{DestinationId, Sequence},
    own_json,
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

pub(super) const fn integer(number: i64) -> Value {
    Value::Integer(number)
}

pub(super) fn count(number: u32) -> Value {
    Value::Integer(i64::from(number))
}

pub(super) fn size(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn flag(on: bool) -> Value {
    Value::Integer(i64::from(on))
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn optional_text(optional: Option<&str>) -> Value {
    optional.map_or(Value::Null, text)
}

pub(super) fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

pub(super) const fn sequence(sequence: Sequence) -> Value {
    Value::Integer(sequence.number())
}

pub(super) const fn timestamp(at: Timestamp) -> Value {
    Value::Integer(at.millis())
}

pub(super) fn destination(id: DestinationId) -> Value {
    Value::Text(id.to_string())
}

/// `value` as JSON text.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Value, MailboxError> {
    own_json::write(value)
        .map(Value::Text)
        .map_err(|_| MailboxError::unreadable("a value that is no JSON"))
}

pub(super) fn read_json<T: DeserializeOwned>(
    row: &Row,
    column: usize,
    what: &'static str,
) -> Result<T, MailboxError> {
    own_json::read(row.text(column)?).map_err(|_| MailboxError::unreadable(what))
}

pub(super) fn read_count(row: &Row, column: usize) -> Result<u32, MailboxError> {
    u32::try_from(row.integer(column)?).map_err(|_| MailboxError::unreadable("a count"))
}

pub(super) fn read_sequence(row: &Row, column: usize) -> Result<Sequence, MailboxError> {
    Sequence::from_number(row.integer(column)?)
        .ok_or_else(|| MailboxError::unreadable("an event's number"))
}

pub(super) fn read_timestamp(row: &Row, column: usize) -> Result<Timestamp, MailboxError> {
    Ok(Timestamp::from_millis(row.integer(column)?))
}

pub(super) fn read_destination(row: &Row, column: usize) -> Result<DestinationId, MailboxError> {
    DestinationId::parse(row.text(column)?)
        .ok_or_else(|| MailboxError::unreadable("a destination's id"))
}

/// The bytes of a column; an empty blob may have been stored as NULL.
pub(super) fn read_bytes(row: &Row, column: usize) -> Result<Vec<u8>, MailboxError> {
    Ok(row
        .optional(column, Row::blob)?
        .map(<[u8]>::to_vec)
        .unwrap_or_default())
}

/// A status as it stands in `events.status`.
pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Delivered => "delivered",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

/// Reads [`status`].
pub(super) fn read_status(row: &Row, column: usize) -> Result<Status, MailboxError> {
    match row.text(column)? {
        "pending" => Ok(Status::Pending),
        "delivered" => Ok(Status::Delivered),
        "failed" => Ok(Status::Failed),
        "cancelled" => Ok(Status::Cancelled),
        _ => Err(MailboxError::unreadable("an event's status")),
    }
}

/// The number after `sequence`.
pub(super) fn after(sequence: Sequence) -> Sequence {
    Sequence::from_number(sequence.number().saturating_add(1)).unwrap_or(sequence)
}
