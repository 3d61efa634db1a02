//! Writes the log's lines, each in one call of the runtime. What stands in them is the
//! core's to say.

use std::fmt;
use tram_core::log;
use worker::web_sys::console;

/// Writes the line of something that happened.
pub(crate) fn write(line: String) {
    console::log_1(&line.into());
}

/// Writes what the station itself could not do.
pub(crate) fn trouble(what: fmt::Arguments<'_>) {
    console::error_1(&log::trouble(&what.to_string()).into());
}
