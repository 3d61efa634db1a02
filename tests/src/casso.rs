//! Casso as a sender: the plainest provider, for tests that are about something
//! else than proof.

use crate::{api::Webhook, client::Answer, station::Station};
use serde_json::{Value, json};

/// A post of Casso's with one transaction for each of these ids.
#[must_use]
pub fn casso_body(ids: &[u64]) -> String {
    let transactions: Vec<Value> = ids.iter().map(|id| transaction(*id)).collect();
    json!({"error": 0, "data": transactions}).to_string()
}

fn transaction(id: u64) -> Value {
    json!({
        "id": id,
        "tid": format!("FT{id:06}"),
        "description": format!("Khách hàng chuyển tiền đơn hàng DH{id}"),
        "amount": 100_000 + id,
        "cusum_balance": 5_000_000,
        "when": "2026-11-20 10:30:00",
        "bank_sub_acc_id": "88888888",
        "bankName": "VPBank",
    })
}

impl Station {
    /// Posts these transactions as Casso does.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn post_transactions(&self, webhook: &Webhook, ids: &[u64]) -> Answer {
        let headers = [
            ("content-type", "application/json"),
            ("secure-token", webhook.secret.as_str()),
        ];
        self.post(&webhook.path, &headers, casso_body(ids))
    }

    /// Posts one new transaction as Casso does, and returns its event's id.
    ///
    /// # Panics
    /// When it is not accepted.
    #[track_caller]
    pub fn send_transaction(&self, webhook: &Webhook, id: u64) -> String {
        let answer = self.post_transactions(webhook, &[id]);
        let outcome = answer.header("x-tram-outcome");
        assert_eq!(
            (answer.status, outcome),
            (200, Some("accepted")),
            "{}",
            answer.text()
        );
        answer
            .header("x-tram-event-id")
            .expect("the id of the event")
            .to_owned()
    }
}
