//! Casso as a sender: the plainest provider, for tests that are about something
//! else than proof.

use crate::{api::Webhook, client::Answer, origin::Origin, station::Station};
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

/// A retry schedule of these waits.
#[must_use]
pub fn waits(delays_seconds: &[f64]) -> Value {
    json!({"schedule": "custom", "delays_seconds": delays_seconds})
}

impl Station {
    /// A webhook of Casso's to this origin, tried again soon and often, with `more`
    /// fields over that.
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
