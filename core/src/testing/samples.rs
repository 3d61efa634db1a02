//! Webhooks, events and verdicts as tests need them.

use crate::{
    delivery::{Attempt, Job, Verdict},
    event::{Envelope, NewEvent, Summary},
    ids::{DestinationId, EventId, Sequence, WebhookId},
    messages::Accept,
    refusals::Refused,
    secret::Secret,
    time::Timestamp,
    webhook::{Destination, DirectionFilter, Resign, Retry, Settings, Strict, Webhook},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// 2026-11-20T07:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_795_158_000_000);

/// A destination; `n` tells them apart.
#[must_use]
pub fn destination(n: u8) -> Destination {
    Destination {
        id: DestinationId::from_random([n; 8]),
        url: ["https://shop.example/", &n.to_string()].concat(),
        headers: BTreeMap::new(),
        timeout_seconds: 5,
        strict: Strict::Auto,
        sign: true,
        forward_credentials: n == 0,
        resign: Resign::default(),
        rate_per_second: 20,
    }
}

/// A webhook of version 1 with so many destinations, as a Mailbox is told of it.
#[must_use]
pub fn webhook(destinations: u8) -> Webhook {
    Webhook {
        id: WebhookId::from_random([7; 16]),
        version: 1,
        name: "Webhook đơn hàng".into(),
        provider: "casso".into(),
        settings: Settings::default(),
        secrets: vec![Secret::new("secret of the provider".into())],
        has_generated_secret: false,
        destinations: (0..destinations).map(destination).collect(),
        is_active: true,
        is_paused: false,
        signing_secret: Secret::new("whsec_c2VjcmV0IGZvciB0ZXN0cyBvbmx5".into()),
        previous_signing_secret: None,
        older_signing_secrets: Vec::new(),
        direction: DirectionFilter::All,
        accounts: Vec::new(),
        allow_events: vec!["*".into()],
        headers: BTreeMap::new(),
        retry: Retry::Fibonacci,
        give_up_after_hours: 72,
        retention_days: 30,
        dedupe_days: 400,
        alert_url: None,
        alert_after_minutes: 15,
        shards: 1,
        created_at: START,
        updated_at: START,
    }
}

/// An event named by `id`, with that body.
#[must_use]
pub fn event(id: &str, body: &[u8]) -> NewEvent {
    NewEvent {
        key: Sha256::digest(id.as_bytes()).into(),
        body_sha256: Sha256::digest(body).into(),
        name: Some("payment".into()),
        object_id: Some(id.to_owned()),
        summary: Summary {
            bank: Some("VCB".into()),
            amount: Some("200500".into()),
            transaction_id: Some(id.to_owned()),
            description: Some("Nguyễn Văn A chuyển tiền DH1234".into()),
            ..Summary::default()
        },
        test: false,
        body: body.to_vec(),
        header_changes: Vec::new(),
    }
}

/// One request with these events, proven with configuration 1.
#[must_use]
pub fn accept(events: Vec<NewEvent>) -> Accept {
    Accept {
        config_version: 1,
        envelope: Envelope {
            method: "POST".into(),
            query: String::new(),
            headers: [
                ("content-type", "application/json"),
                ("secure-token", "0123456789abcdef5678"),
            ]
            .into_iter()
            .collect(),
        },
        events,
    }
}

/// An event's id; `n` tells them apart.
#[must_use]
pub fn event_id(n: i64) -> EventId {
    EventId {
        sequence: Sequence::first_at(Timestamp::from_millis(START.millis().saturating_add(n))),
        webhook: WebhookId::from_random([7; 16]),
        shard: 0,
    }
}

/// So many refused requests, a millisecond apart.
#[must_use]
pub fn refused(from: Timestamp, count: i64) -> Vec<Refused> {
    let one = |n: i64| Refused {
        at: Timestamp::from_millis(from.millis().saturating_add(n)),
        json: ["{\"n\":", &n.to_string(), "}"].concat(),
    };
    (0..count).map(one).collect()
}

/// The origin answered `status` at `now`.
#[must_use]
pub fn verdict(job: &Job, status: u16, now: Timestamp) -> Verdict {
    let taken = (200..300).contains(&status);
    Verdict {
        attempt: Attempt {
            number: job.number,
            started_at: now,
            duration_ms: 120,
            status_code: Some(status),
            error: (!taken).then(|| ["status ", &status.to_string()].concat()),
            response_body: String::new(),
        },
        taken,
        server_down: status >= 500 || status == 429,
        not_before: None,
        broken_before: None,
    }
}
