//! Finding an event by what people remember of it: a text in any case, with or without
//! Vietnamese accents, or an amount as it stands on a receipt.

use crate::event::Summary;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Search {
    text: String,
    /// The digits, where the text is a grouped amount (`250.000`, `250,000`).
    amount: Option<String>,
}

impl Search {
    /// Of what the operator typed.
    #[must_use]
    pub fn new(q: &str) -> Self {
        Self {
            text: folded(q),
            amount: ungrouped(q),
        }
    }

    /// Whether nothing is left to search for, as of blanks or of an accent alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether one of the searched parts of an event holds it: transaction id,
    /// description, account, amount, payer and the payer's account. Nothing is found in
    /// none: all events must not match a text that says nothing.
    #[must_use]
    pub fn finds(&self, summary: &Summary) -> bool {
        if self.is_empty() {
            return false;
        }
        let parts = [
            &summary.transaction_id,
            &summary.description,
            &summary.account,
            &summary.amount,
            &summary.payer,
            &summary.payer_account,
        ];
        let text = parts
            .into_iter()
            .flatten()
            .any(|part| folded(part).contains(&self.text));
        text || self.amount.as_ref().is_some_and(|digits| {
            let amount = summary.amount.as_ref();
            amount.is_some_and(|amount| amount.contains(digits))
        })
    }
}

/// A text in lower case and without accents; `đ` is `d`.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd()
        .flat_map(char::to_lowercase)
        .filter(|letter| !is_combining_mark(*letter))
        .map(|letter| if letter == 'đ' { 'd' } else { letter })
        .collect()
}

/// The digits of an amount whose thousands are set apart by points or commas; a sign
/// before it and a currency behind it are passed over. `None` when it is none.
fn ungrouped(text: &str) -> Option<String> {
    let text = folded(text);
    let text = text.trim().trim_start_matches(['+', '-']);
    let text = ["vnd", "d", "₫"]
        .iter()
        .find_map(|currency| text.strip_suffix(currency))
        .unwrap_or(text)
        .trim_end();
    let separator = text
        .find(['.', ','])
        .and_then(|at| text.get(at..)?.chars().next())?;
    let mut groups = text.split(separator);
    let first = groups.next()?;
    let are_digits = |group: &str| group.bytes().all(|letter| letter.is_ascii_digit());
    let is_first = (1..=3).contains(&first.len()) && are_digits(first);
    let fit = groups.all(|group| group.len() == 3 && are_digits(group));
    (is_first && fit).then(|| text.replace(separator, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let text = |text: &str| Some(text.to_owned());
        Summary {
            bank: text("VCB"),
            account: text("0123456789"),
            amount: text("1250000"),
            transaction_id: text("FT26111330800001"),
            description: text("Đơn hàng DH1234: THANH TOÁN tiền nước"),
            payer: text("NGUYỄN VĂN ĐỨC"),
            payer_account: text("8888 7777"),
            ..Summary::default()
        }
    }

    #[test]
    fn neither_case_nor_accents_matter() {
        // As one letter each, and with the accents beside the letters.
        let composed = "thanh toán";
        let decomposed: String = composed.nfd().collect();
        assert_ne!(composed, decomposed);
        for found in [
            "thanh toan",
            "THANH TOAN",
            composed,
            &decomposed,
            "Thanh Toán",
            "don hang",
            "đơn hàng",
            "ĐƠN HÀNG",
            "nguyen van duc",
            "Nguyễn Văn Đức",
            "ft2611",
            "dh1234",
            "0123456789",
            "8888",
            "tien nuoc",
        ] {
            assert!(Search::new(found).finds(&summary()), "{found}");
            let mut decomposed = summary();
            let description = decomposed.description.iter().flat_map(|text| text.nfd());
            decomposed.description = Some(description.collect());
            assert!(Search::new(found).finds(&decomposed), "{found}");
        }
        for not in [
            "thanh toam",
            "vcb",
            "ft2612",
            "1234: thanh  toan",
            "wh_",
            "%",
        ] {
            assert!(!Search::new(not).finds(&summary()), "{not}");
        }
        // Each part for itself.
        assert!(!Search::new("0123456789\n1250000").finds(&summary()));
        assert!(!Search::new("x").finds(&Summary::default()));
    }

    #[test]
    fn what_folds_to_nothing_finds_nothing() {
        for nothing in ["", " ", "\u{301}", " \u{301}\u{300} ", "\u{a0}"] {
            let search = Search::new(nothing);
            assert!(search.is_empty(), "{nothing:?}");
            assert!(!search.finds(&summary()), "{nothing:?}");
        }
        assert!(!Search::new("đ").is_empty());
    }

    #[test]
    fn an_amount_is_found_as_a_receipt_writes_it() {
        for found in [
            "1250000",
            "1.250.000",
            "1,250,000",
            "+1.250.000 đ",
            "-1,250,000 VND",
            "1.250.000₫",
            "250.000",
            "250,000",
        ] {
            assert!(Search::new(found).finds(&summary()), "{found}");
        }
        for not in [
            "1.25",
            "1.250.00",
            "1250.000",
            "1.250,000",
            "1.251.000",
            "1.250.000 usd",
        ] {
            assert!(!Search::new(not).finds(&summary()), "{not}");
        }
        let of_cents = Summary {
            amount: Some("1250.50".into()),
            ..Summary::default()
        };
        assert!(Search::new("1250.5").finds(&of_cents));
        assert!(Search::new("1,250").finds(&of_cents));
    }
}
