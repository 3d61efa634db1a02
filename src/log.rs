//! One line of JSON per thing that happened. Never a body, never a secret.

use serde::Serialize;
use worker::console_log;

/// An inbound request, answered.
#[derive(Serialize)]
pub(crate) struct Inbound<'a> {
    pub(crate) webhook_id: &'a str,
    /// As in `x-tram-outcome`.
    pub(crate) outcome: &'a str,
    pub(crate) status: u16,
    pub(crate) ms: u64,
    /// Why it was refused: for the operator, the sender hears nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// Writes the line.
pub(crate) fn inbound(line: &Inbound<'_>) {
    // Texts and numbers always serialise.
    console_log!("{}", serde_json::to_string(line).unwrap_or_default());
}
