//! Casso as a sender: the plainest provider, for all tests that are about something
//! else than proof.

use crate::{
    api::{Webhook, waits},
    client::Answer,
    origin::Origin,
    station::Station,
};
use serde_json::{Value, json};

/// A bank transaction as Casso tells of it, told from others by its id. Id 0 is a
/// test call.
#[must_use]
pub fn transaction(id: impl Into<Value>) -> Value {
    let id = id.into();
    let number = id.as_u64().unwrap_or_default();
    let text = id.as_str().unwrap_or_default();
    json!({
        "id": id,
        "tid": if text.is_empty() { format!("FT{number:06}") } else { format!("FT {text}") },
        "description": format!("Khách hàng chuyển tiền đơn hàng DH{number}{text}"),
        "amount": 100_000 + number,
        "cusum_balance": 5_000_000,
        "when": "2026-11-20 10:30:00",
        "bank_sub_acc_id": "88888888",
        "subAccId": "88888888",
        "bankName": "VPBank",
    })
}

/// Casso's body with these transactions.
#[must_use]
pub fn casso(transactions: &[Value]) -> String {
    json!({"error": 0, "data": transactions}).to_string()
}

/// Casso's body with one transaction for each of these ids.
#[must_use]
pub fn casso_body(ids: &[u64]) -> String {
    let transactions: Vec<Value> = ids.iter().map(|id| transaction(*id)).collect();
    casso(&transactions)
}

impl Station {
    /// A webhook of Casso's to this origin, tried again soon and often.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    #[track_caller]
    pub fn casso_webhook(&self, origin: &Origin) -> Webhook {
        self.casso_webhook_with(origin, &json!({}))
    }

    /// The same with `more` fields over that.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    #[track_caller]
    pub fn casso_webhook_with(&self, origin: &Origin, more: &Value) -> Webhook {
        let mut webhook = json!({"provider": "casso", "retry": waits(&[0.1; 20])});
        if more.get("destinations").is_none() {
            webhook["webhook_url"] = json!(origin.url("/hook"));
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            webhook[name] = value.clone();
        }
        self.create_webhook(&webhook)
    }

    /// A POST as Casso makes it, with this webhook's secret.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_casso(&self, webhook: &Webhook, body: impl AsRef<[u8]>) -> Answer {
        self.post_casso_with(webhook, &[], body)
    }

    /// The same with further header fields.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_casso_with(
        &self,
        webhook: &Webhook,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let casso = [
            ("content-type", "application/json"),
            ("secure-token", webhook.secret.as_str()),
        ];
        self.post(&webhook.path, &[&casso, headers].concat(), body)
    }

    /// Posts one transaction for each of these ids.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_transactions(&self, webhook: &Webhook, ids: &[u64]) -> Answer {
        self.post_casso(webhook, casso_body(ids))
    }

    /// Posts one new transaction, and returns its event's id.
    ///
    /// # Panics
    /// When it is not accepted.
    #[track_caller]
    pub fn send_transaction(&self, webhook: &Webhook, id: u64) -> String {
        let answer = self.post_transactions(webhook, &[id]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.assert_taken("accepted").remove(0)
    }
}
