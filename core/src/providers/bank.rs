//! Bank transactions: what most Vietnamese providers send, under different names.

use super::{Facts, Identity};
use crate::{
    event::{Direction, Summary},
    json::Object,
    time::Timestamp,
};

/// Under which names the parts of a transaction stand. Of several names the first
/// that holds something counts; none means that the provider does not say it.
pub(super) struct Transaction {
    /// What makes it the same transaction.
    pub(super) identity: &'static [&'static str],
    /// The id that people see.
    pub(super) object_id: &'static [&'static str],
    pub(super) bank: &'static [&'static str],
    pub(super) account: &'static [&'static str],
    /// `in`, `out`, `credit` or `debit` in any case. Where there is no such field, money
    /// out is a negative amount.
    pub(super) direction: &'static [&'static str],
    pub(super) amount: &'static [&'static str],
    pub(super) transaction_id: &'static [&'static str],
    pub(super) description: &'static [&'static str],
    /// In Vietnamese local time unless it says otherwise.
    pub(super) occurred_at: &'static [&'static str],
    /// Who is at the other end.
    pub(super) payer: &'static [&'static str],
    pub(super) payer_account: &'static [&'static str],
    pub(super) currency: &'static [&'static str],
}

impl Transaction {
    /// What it says of itself.
    pub(super) fn facts(&self, transaction: &Object<'_>) -> Facts {
        let shown = |names: &[&str]| names.iter().find_map(|name| transaction.shown(name));
        let amount = shown(self.amount);
        let direction = if self.direction.is_empty() {
            amount.as_deref().and_then(sign)
        } else {
            shown(self.direction).and_then(|word| direction(&word))
        };
        Facts {
            name: None,
            object_id: shown(self.object_id),
            summary: Summary {
                bank: shown(self.bank),
                account: shown(self.account),
                direction,
                amount: amount.as_deref().and_then(unsigned),
                transaction_id: shown(self.transaction_id),
                description: shown(self.description),
                occurred_at: shown(self.occurred_at)
                    .and_then(|when| Timestamp::parse_vietnamese(&when))
                    .map(Timestamp::to_rfc3339),
                payer: shown(self.payer),
                payer_account: shown(self.payer_account),
                currency: shown(self.currency),
            },
            test: false,
            identity: self.identity(transaction),
        }
    }

    fn identity(&self, transaction: &Object<'_>) -> Identity {
        let mut ids = self
            .identity
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some((at, name, transaction.id(name)?)));
        match ids.next() {
            Some((0, _, id)) => Identity::Proven(id),
            // Kept apart from ids of the usual kind.
            Some((_, name, id)) => Identity::Proven([name, " ", &id].concat()),
            None => Identity::Bytes,
        }
    }
}

/// Whether it has the id 0, as the test calls of Casso ("Gọi thử") and SePay ("Gửi thử").
pub(super) fn has_test_id(facts: &Facts) -> bool {
    facts.identity == Identity::Proven("0".to_owned())
}

fn direction(word: &str) -> Option<Direction> {
    let is = |known: [&str; 2]| {
        known
            .iter()
            .any(|known| word.trim().eq_ignore_ascii_case(known))
    };
    if is(["in", "credit"]) {
        Some(Direction::In)
    } else if is(["out", "debit"]) {
        Some(Direction::Out)
    } else {
        None
    }
}

/// Money out is negative. `None` when the text is no decimal number.
fn sign(amount: &str) -> Option<Direction> {
    let digits = unsigned(amount)?;
    let is_zero = digits.bytes().all(|letter| matches!(letter, b'0' | b'.'));
    if amount.trim().starts_with('-') && !is_zero {
        Some(Direction::Out)
    } else {
        Some(Direction::In)
    }
}

/// The digits of a decimal number, to the last one. `None` when it is none.
pub(super) fn unsigned(amount: &str) -> Option<String> {
    let text = amount.trim();
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_digit()));
    is_number.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    const SIGNED: Transaction = Transaction {
        identity: &["id"],
        object_id: &["id"],
        bank: &["bank", "code"],
        account: &["account"],
        direction: &[],
        amount: &["amount"],
        transaction_id: &[],
        description: &[],
        occurred_at: &["when"],
        payer: &["from"],
        payer_account: &["from_account"],
        currency: &["currency"],
    };
    const WORDED: Transaction = Transaction {
        identity: &["checksum", "id"],
        direction: &["type"],
        ..SIGNED
    };

    fn facts(of: &Transaction, text: &str) -> Facts {
        of.facts(&Json::parse(text.as_bytes()).unwrap().object().unwrap())
    }

    #[test]
    fn amounts_keep_every_digit() {
        use Direction::{In, Out};
        for (written, direction, amount) in [
            ("200500", Some(In), Some("200500")),
            ("-1", Some(Out), Some("1")),
            ("0", Some(In), Some("0")),
            ("-0", Some(In), Some("0")),
            ("-0.01", Some(Out), Some("0.01")),
            (r#""-1250.50""#, Some(Out), Some("1250.50")),
            (r#"" +5 ""#, Some(In), Some("5")),
            ("9007199254740993", Some(In), Some("9007199254740993")),
            (r#""1,000""#, None, None),
            ("1e3", None, None),
            (r#""-""#, None, None),
            (r#""1.""#, None, None),
            ("null", None, None),
            ("[1]", None, None),
        ] {
            let summary = facts(&SIGNED, &format!(r#"{{"id":1,"amount":{written}}}"#)).summary;
            assert_eq!(summary.direction, direction, "{written}");
            assert_eq!(summary.amount.as_deref(), amount, "{written}");
        }
    }

    #[test]
    fn directions_are_words_in_any_case() {
        for (word, direction) in [
            ("in", Some(Direction::In)),
            ("IN", Some(Direction::In)),
            ("credit", Some(Direction::In)),
            ("out", Some(Direction::Out)),
            ("Out", Some(Direction::Out)),
            ("DEBIT", Some(Direction::Out)),
            ("both", None),
            ("", None),
        ] {
            let text = format!(r#"{{"type":"{word}","amount":-5}}"#);
            let summary = facts(&WORDED, &text).summary;
            assert_eq!(summary.direction, direction, "{word}");
            assert_eq!(summary.amount.as_deref(), Some("5"));
        }
        assert_eq!(facts(&WORDED, r#"{"amount":-5}"#).summary.direction, None);
    }

    #[test]
    fn the_first_name_that_holds_something_counts() {
        let proven = |id: &str| Identity::Proven(id.into());
        for (text, identity) in [
            (r#"{"checksum":"c","id":"1"}"#, proven("c")),
            (r#"{"checksum":" ","id":"1"}"#, proven("id 1")),
            (r#"{"checksum":null,"id":1}"#, proven("id 1")),
            (
                r#"{"id":123456789012345678901}"#,
                proven("id 123456789012345678901"),
            ),
            (r#"{"checksum":"\ud800"}"#, Identity::Bytes),
            (r#"{"checksum":[1],"id":{}}"#, Identity::Bytes),
            ("{}", Identity::Bytes),
        ] {
            assert_eq!(facts(&WORDED, text).identity, identity, "{text}");
        }
        let text = r#"{"id":7,"bank":"","code":"ACB","account":12,"when":"2025-10-14 10:59:30"}"#;
        let facts = facts(&WORDED, text);
        assert_eq!(facts.object_id.as_deref(), Some("7"));
        assert_eq!(facts.summary.bank.as_deref(), Some("ACB"));
        assert_eq!(facts.summary.account.as_deref(), Some("12"));
        assert_eq!(
            facts.summary.occurred_at.as_deref(),
            Some("2025-10-14T03:59:30.000Z")
        );
    }
}
