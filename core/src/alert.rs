//! What the operator is told of without asking: a Standard Webhooks message to
//! `alert_url`, or to the station's `ALERT_URL`.
//!
//! Out of scope: when there is something to tell (the Mailbox), and sending.

use crate::{
    destination_url::{self, Station},
    ids::{DestinationId, EventId, WebhookId},
    own_json,
    relay::{self, Outgoing},
    time::Timestamp,
    webhook::Webhook,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of one kind and destination at most one alert goes out in this time; what comes
/// meanwhile is counted and told with the next.
pub const AT_MOST_ONE_IN: Duration = Duration::from_secs(300);

/// How long the receiver has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The waits between the tries of an alert. It is soon given up: the next one tells
/// more.
pub const TRIES_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A delivery has failed: its schedule is used up, or it was given up.
    #[serde(rename = "delivery.failed")]
    DeliveryFailed,
    /// A destination counts as down.
    #[serde(rename = "destination.down")]
    DestinationDown,
    /// It is back, and what waited is released.
    #[serde(rename = "destination.recovered")]
    DestinationRecovered,
    /// The oldest pending event has waited for `alert_after_minutes`.
    #[serde(rename = "events.waiting")]
    EventsWaiting,
}

impl Kind {
    /// As the message has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeliveryFailed => "delivery.failed",
            Self::DestinationDown => "destination.down",
            Self::DestinationRecovered => "destination.recovered",
            Self::EventsWaiting => "events.waiting",
        }
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// Which destination.
    pub destination: DestinationId,
    /// Which shard tells it: each judges for itself.
    pub shard: u8,
    /// When it is told.
    pub at: Timestamp,
    /// How many deliveries: failed since the last alert, released (with the one that
    /// got through first), or waiting.
    pub count: u32,
    /// The last that failed, or the oldest that waits.
    pub event: Option<EventId>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: Kind,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    webhook_id: WebhookId,
    webhook_name: &'a str,
    provider: &'a str,
    shard: u8,
    destination_id: DestinationId,
    url: &'a str,
    count: u32,
    event_id: Option<EventId>,
}

impl Alert {
    /// The message.
    #[must_use]
    pub fn body(&self, webhook: &Webhook) -> String {
        let url = webhook
            .destinations
            .iter()
            .find(|known| known.id == self.destination)
            // What stands in its query may be a secret, and is not the receiver's.
            .map_or("", |known| known.url.split(['?', '#']).next().unwrap_or(""));
        let body = Body {
            r#type: self.kind,
            timestamp: self.at.to_rfc3339(),
            data: Data {
                webhook_id: webhook.id,
                webhook_name: &webhook.name,
                provider: &webhook.provider,
                shard: self.shard,
                destination_id: self.destination,
                url,
                count: self.count,
                event_id: self.event,
            },
        };
        // Strings and numbers always serialise.
        own_json::write(&body).unwrap_or_default()
    }

    /// The request that tells it to `url`, signed as events are.
    ///
    /// # Errors
    /// Why nothing may be sent there, or that it cannot be signed.
    pub fn outgoing<'a>(
        &self,
        url: &str,
        body: &'a str,
        webhook: &Webhook,
        station: &Station,
        version: &str,
        now: Timestamp,
    ) -> Result<Outgoing<'a>, String> {
        let url = destination_url::check(url, station)
            .map_err(|why| ["the alert URL ", &why.to_string()].concat())?;
        let id = [
            "alert_",
            self.kind.name(),
            "_",
            &self.destination.to_string(),
            "_",
            &self.shard.to_string(),
            "_",
            &self.at.millis().to_string(),
        ];
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), ["tram/", version].concat()),
            // A station that takes it counts on.
            ("x-tram-hops".to_owned(), "1".to_owned()),
        ];
        let message = relay::Message::new(&id.concat(), now);
        relay::sign(&mut headers, webhook, &message, body.as_bytes(), now)?;
        Ok(Outgoing {
            method: "POST".to_owned(),
            url: url.as_str().to_owned(),
            headers,
            body: Some(body.as_bytes()),
            timeout: TIMEOUT,
            read_limit: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::Sequence,
        signature::standard_webhooks_signature,
        testing::samples::{START, destination, webhook},
    };

    fn alert() -> Alert {
        Alert {
            kind: Kind::DestinationRecovered,
            destination: destination(0).id,
            shard: 3,
            at: START,
            count: 5_000,
            event: Some(EventId {
                sequence: Sequence::first_at(START),
                webhook: webhook(1).id,
                shard: 3,
            }),
        }
    }

    #[test]
    fn the_message_says_what_and_where() {
        let webhook = webhook(1);
        let body: serde_json::Value = serde_json::from_str(&alert().body(&webhook)).unwrap();
        let event_id = alert().event.unwrap().to_string();
        let expected = serde_json::json!({
            "type": "destination.recovered",
            "timestamp": "2026-11-20T07:00:00.000Z",
            "data": {
                "webhook_id": webhook.id.to_string(),
                "webhook_name": webhook.name,
                "provider": "casso",
                "shard": 3,
                "destination_id": destination(0).id.to_string(),
                "url": "https://shop.example/0",
                "count": 5_000,
                "event_id": event_id,
            }
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn it_is_signed_and_goes_to_public_hosts_only() {
        let webhook = webhook(1);
        let body = alert().body(&webhook);
        let make =
            |url| alert().outgoing(url, &body, &webhook, &Station::default(), "1.2.3", START);
        let outgoing = make("https://ops.example/alerts").unwrap();
        let header = |name: &str| {
            let found = outgoing.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str()).unwrap()
        };
        let id = header("webhook-id");
        let signature = standard_webhooks_signature(
            &webhook.signing_secret,
            id,
            &START.seconds().to_string(),
            body.as_bytes(),
        );
        assert_eq!(Some(header("webhook-signature")), signature.as_deref());
        assert_eq!(header("webhook-timestamp"), START.seconds().to_string());
        for url in [
            "http://ops.example/",
            "https://10.0.0.1/",
            "https://localhost/",
        ] {
            let why = make(url).unwrap_err();
            assert!(why.starts_with("the alert URL "), "{why}");
        }
    }
}
