//! What an authentic request becomes: events, each with its identity and what
//! the operator sees of it at a glance.

use crate::headers::Headers;
use crate::own_json::fields::read_in_place;
use serde::{Deserialize, Serialize, Serializer};

/// SHA-256 over what identifies an event within its webhook. Always whole, never
/// truncated.
pub type DedupeKey = [u8; 32];

/// What a list shows of an event. Everything is optional: a provider says what
/// it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The bank or gateway.
    pub bank: Option<String>,
    /// The account number.
    pub account: Option<String>,
    /// `in`, `out` or nothing.
    pub direction: Option<Direction>,
    /// A non-negative integer or decimal, as text to the last digit.
    pub amount: Option<String>,
    /// The provider's transaction id.
    pub transaction_id: Option<String>,
    /// What the payer wrote, or what happened.
    pub description: Option<String>,
    /// When it happened, RFC 3339 UTC.
    pub occurred_at: Option<String>,
    /// Who paid, or at the other end was paid.
    pub payer: Option<String>,
    /// The currency's code, as the provider writes it.
    pub currency: Option<String>,
    /// The account at the other end: searched, and not shown.
    pub payer_account: Option<String>,
}

read_in_place! {
    Summary, unknown skipped,
    required {},
    optional { bank, account, direction, amount, transaction_id, description, occurred_at, payer, currency, payer_account },
    in_order { bank, account, direction, amount, transaction_id, description, occurred_at, payer, currency, payer_account },
}

impl Summary {
    fn blank() -> Self {
        Self::default()
    }

    /// Writes what is shown of it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn shown<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            bank: &'a Option<String>,
            account: &'a Option<String>,
            direction: Option<Direction>,
            amount: &'a Option<String>,
            transaction_id: &'a Option<String>,
            description: &'a Option<String>,
            payer: &'a Option<String>,
            currency: &'a Option<String>,
            occurred_at: &'a Option<String>,
        }
        let shown = Shown {
            bank: &self.bank,
            account: &self.account,
            direction: self.direction,
            amount: &self.amount,
            transaction_id: &self.transaction_id,
            description: &self.description,
            payer: &self.payer,
            currency: &self.currency,
            occurred_at: &self.occurred_at,
        };
        shown.serialize(to)
    }
}

/// Which way the money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Money in.
    In,
    /// Money out.
    Out,
}

/// One event on its way into a Mailbox. Made only from an authentic request.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identity. Test calls have one too, but it never enters dedupe memory.
    pub key: DedupeKey,
    /// SHA-256 of the element as it stood in the request (of the whole body where
    /// it was not split, of the fields where that is a form), to notice the same id with other content. Not of the bytes
    /// relayed: the same transaction alone and in a batch is no conflict.
    pub body_sha256: [u8; 32],
    /// The provider's event name or kind.
    pub name: Option<String>,
    /// The id of what it is about.
    pub object_id: Option<String>,
    /// What a list shows.
    pub summary: Summary,
    /// A test call of the provider's.
    pub test: bool,
    /// The bytes to relay.
    pub body: Vec<u8>,
    /// Header fields that differ from the request's: `Some` replaces, `None`
    /// drops. For elements cut out of a batch.
    pub header_changes: Vec<(String, Option<String>)>,
}

/// What all events of one request share.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// The HTTP method.
    pub method: String,
    /// The query without `?`.
    pub query: String,
    /// The header fields as they came.
    pub headers: Headers,
}

read_in_place! {
    Envelope, unknown skipped,
    required { method, query, headers },
    optional {},
    in_order { method, query, headers },
}

impl Envelope {
    fn blank() -> Self {
        Self::default()
    }
}
