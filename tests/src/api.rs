//! The operator's side: webhooks and events through `/api/v1`.

use crate::{
    client::Answer,
    origin::{Origin, Received},
    station::Station,
    wait::{PATIENCE, ask},
};
use serde_json::{Value, json};

/// A webhook as it was created, its secrets in full.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `wh_…`
    pub id: String,
    /// `/in/wh_…`, where the provider posts to.
    pub path: String,
    /// What the provider shares.
    pub secret: String,
    /// What the station signs with.
    pub signing_secret: String,
    /// The whole answer.
    pub shown: Value,
}

/// A retry schedule of these waits.
#[must_use]
pub fn waits(delays_seconds: &[f64]) -> Value {
    json!({"schedule": "custom", "delays_seconds": delays_seconds})
}

/// The attempts of an event's delivery to its `destination`th destination.
///
/// # Panics
/// When the event is shown without.
#[must_use]
#[track_caller]
pub fn attempts_to(event: &Value, destination: usize) -> Vec<Value> {
    event["deliveries"][destination]["attempts"]
        .as_array()
        .unwrap_or_else(|| panic!("no attempts in {event:#}"))
        .clone()
}

/// One field of each attempt of an event with one destination.
///
/// # Panics
/// When the event is shown without.
#[must_use]
#[track_caller]
pub fn each_attempt(event: &Value, field: &str) -> Vec<Value> {
    let attempts = attempts_to(event, 0);
    attempts
        .iter()
        .map(|attempt| attempt[field].clone())
        .collect()
}

/// Milliseconds since 1970 of a time as the API writes it, `2026-11-20T07:00:00.000Z`.
///
/// # Panics
/// When it is no such time.
#[must_use]
#[track_caller]
pub fn millis(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    let numbers: Vec<i64> = text
        .split(['-', 'T', ':', '.', 'Z'])
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().expect("digits"))
        .collect();
    let [year, month, day, hour, minute, second, milli] = numbers[..] else {
        panic!("not a time with milliseconds: {text}");
    };
    // Days of the Gregorian calendar, counted from a March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milli
}

impl Station {
    /// Asks the management API, with its own token; `path` stands behind `/api/v1`.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = format!("Bearer {}", self.admin_token());
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.map(Value::to_string).unwrap_or_default();
        let path = format!("/api/v1{path}");
        self.client().send(method, &path, &headers, body.as_bytes())
    }

    /// Asks the management API and expects this status and JSON.
    ///
    /// # Panics
    /// When something else is answered.
    #[track_caller]
    pub fn api_expecting(
        &self,
        status: u16,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        let answer = self.api(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// Creates a webhook.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    #[track_caller]
    pub fn create_webhook(&self, webhook: &Value) -> Webhook {
        let shown = self.api_expecting(201, "POST", "/webhooks", Some(webhook));
        let text = |field: &str| {
            shown[field]
                .as_str()
                .unwrap_or_else(|| panic!("no {field} in {shown}"))
                .to_owned()
        };
        let id = text("id");
        Webhook {
            path: format!("/in/{id}"),
            id,
            // One secret is a text; several are an array, of which any will do.
            secret: shown["secret"]
                .as_str()
                .or_else(|| shown["secret"][0].as_str())
                .unwrap_or_default()
                .to_owned(),
            signing_secret: text("signing_secret"),
            shown,
        }
    }

    /// The newest events of a webhook, at most 100, with their attempts.
    ///
    /// # Panics
    /// When there is no list.
    #[must_use]
    #[track_caller]
    pub fn events(&self, webhook: &Webhook) -> Vec<Value> {
        let path = format!(
            "/events?webhook_id={}&include=attempts&per_page=100",
            webhook.id
        );
        let list = self.api_expecting(200, "GET", &path, None);
        list["data"]
            .as_array()
            .unwrap_or_else(|| panic!("no data in {list}"))
            .clone()
    }

    /// One event, whole.
    ///
    /// # Panics
    /// When there is none of that id.
    #[must_use]
    #[track_caller]
    pub fn event(&self, id: &str) -> Value {
        self.api_expecting(200, "GET", &format!("/events/{id}"), None)
    }

    /// Waits until the event is as `condition` wants it, and returns it.
    ///
    /// # Panics
    /// When it does not come to that within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_event(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        ask(PATIENCE, || {
            last = self.event(id);
            condition(&last).then(|| last.clone())
        })
        .unwrap_or_else(|| panic!("the event stayed at {last:#}"))
    }

    /// Waits until the event's `status` is this one, and returns the event.
    ///
    /// # Panics
    /// When it is not within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_status(&self, id: &str, status: &str) -> Value {
        self.wait_for_event(id, |event| event["status"] == status)
    }

    /// Waits until the event is delivered, and returns the request that carried it to
    /// this origin: there is exactly one.
    ///
    /// # Panics
    /// When there is not.
    #[must_use]
    #[track_caller]
    pub fn relayed(&self, origin: &Origin, id: &str) -> Received {
        let _ = self.wait_for_status(id, "delivered");
        let mut requests = origin.received();
        requests.retain(|request| request.header("x-tram-event-id") == Some(id));
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// Waits until the webhook's events are as `condition` wants them, newest first.
    ///
    /// # Panics
    /// When they do not come to that within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_events(
        &self,
        webhook: &Webhook,
        condition: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let mut last = Vec::new();
        ask(PATIENCE, || {
            last = self.events(webhook);
            condition(&last).then(|| last.clone())
        })
        .unwrap_or_else(|| panic!("the events stayed at {:#}", Value::Array(last)))
    }
}
