//! A database as the first release left it: its schema and its rows, letter for
//! letter. Never edit what stands here when the schema changes: it is the past.

use crate::{
    chance::hash,
    model::{Delivery, Event, Model, destination_id},
    plan::DESTINATIONS,
    post::{body_of, key},
};
use std::time::Duration;
use tram_core::{
    database::{Database, Value},
    delivery::Status,
    ids::Sequence,
    testing::native::NativeDatabase,
    time::Timestamp,
    webhook::Webhook,
};

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    "CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        fresh INTEGER NOT NULL,
        status TEXT NOT NULL,
        test INTEGER NOT NULL,
        conflicts INTEGER NOT NULL,
        key BLOB NOT NULL,
        body_sha256 BLOB NOT NULL,
        name TEXT,
        object_id TEXT,
        summary TEXT NOT NULL,
        deliveries TEXT NOT NULL,
        envelope TEXT,
        body BLOB
    ) STRICT",
    "CREATE UNIQUE INDEX events_by_key ON events (key) WHERE test = 0",
    "CREATE TABLE payloads (
        seq INTEGER PRIMARY KEY,
        envelope TEXT NOT NULL,
        body BLOB
    ) STRICT",
    "CREATE TABLE waiting (
        destination TEXT NOT NULL,
        seq INTEGER NOT NULL,
        due INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        since INTEGER NOT NULL,
        made INTEGER NOT NULL,
        attempts TEXT NOT NULL,
        PRIMARY KEY (destination, seq)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX waiting_by_due ON waiting (destination, due)",
];

const SUMMARY: &str = r#"{"bank":null,"account":null,"direction":null,"amount":null,"transaction_id":null,"description":null,"occurred_at":null}"#;
const ENVELOPE: &str =
    r#"{"method":"POST","query":"","headers":[["content-type","application/json"]]}"#;
const REFUSED: &str = r#"{"number":1,"started_at":1795157900000,"duration_ms":12,"status_code":500,"error":"the origin answered 500"}"#;
const TAKEN: &str = r#"{"number":1,"started_at":1795157900000,"duration_ms":12,"status_code":200}"#;

/// Where a delivery stood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stood {
    Fresh,
    Waiting,
    Delivered,
    Failed,
}

/// Writes it: events 0 to `count`, from some seconds before `now` on, and what the
/// model has to know of them.
pub(crate) fn write(
    db: &NativeDatabase,
    webhook: &Webhook,
    count: u8,
    seed: u64,
    model: &mut Model,
    now: Timestamp,
) {
    let run = |sql: &str, values: &[Value]| {
        db.run(sql, values).expect("the first release could do it");
    };
    for statement in SCHEMA {
        run(statement, &[]);
    }
    let set = "INSERT INTO meta (name, value) VALUES (?, ?)";
    let config = serde_json::to_string(webhook).expect("a configuration is JSON");
    let text = |text: &str| Value::Text(text.to_owned());
    run(set, &[text("schema"), Value::Integer(1)]);
    run(set, &[text("config"), Value::Text(config)]);
    run(set, &[text("shard"), Value::Integer(0)]);
    for number in 0..count {
        let age = Duration::from_secs(u64::from(count - number));
        let at = now.minus(age);
        let id = Sequence::first_at(at);
        let name = number.to_string();
        let large = hash(&[seed, u64::from(number), 2]).is_multiple_of(8);
        let mut body = body_of(&name).into_bytes();
        body.resize(if large { 6_000 } else { 40 }, b' ');
        body.push(b'}');
        let mut records = Vec::new();
        let mut known = Vec::new();
        for to in 0..DESTINATIONS {
            let destination = destination_id(to);
            if !webhook.destinations.iter().any(|one| one.id == destination) {
                continue;
            }
            let chance = hash(&[seed, u64::from(number), u64::from(to)]);
            let stood = match chance % 8 {
                0 => Stood::Failed,
                1 | 2 => Stood::Delivered,
                3 | 4 => Stood::Waiting,
                _ => Stood::Fresh,
            };
            let mut delivery = Delivery::new(to, at);
            records.push(match stood {
                Stood::Fresh => format!(r#"{{"destination":"{destination}","state":"fresh"}}"#),
                Stood::Waiting => {
                    let due = at.plus(Duration::from_secs(chance % 90));
                    delivery.latest = due;
                    delivery.tries = 1;
                    delivery.made = 1;
                    run(
                        "INSERT INTO waiting (destination, seq, due, tries, since, made, attempts)
                         VALUES (?, ?, ?, 1, ?, 1, ?)",
                        &[
                            Value::Text(destination.to_string()),
                            Value::Integer(id.number()),
                            Value::Integer(due.millis()),
                            Value::Integer(at.millis()),
                            Value::Text(format!("[{REFUSED}]")),
                        ],
                    );
                    format!(r#"{{"destination":"{destination}","state":"waiting"}}"#)
                }
                Stood::Delivered => {
                    delivery.status = Status::Delivered;
                    delivery.received = true;
                    delivery.made = 1;
                    format!(r#"{{"destination":"{destination}","state":"delivered","made":1,"attempts":[{TAKEN}]}}"#)
                }
                Stood::Failed => {
                    delivery.status = Status::Failed;
                    delivery.made = 1;
                    format!(r#"{{"destination":"{destination}","state":"failed","made":1,"attempts":[{REFUSED}]}}"#)
                }
            });
            known.push((delivery, stood));
        }
        let fresh = known.iter().any(|(_, stood)| *stood == Stood::Fresh);
        let any = |status| known.iter().any(|(delivery, _)| delivery.status == status);
        let (shown, status) = if any(Status::Pending) {
            (Status::Pending, "pending")
        } else if any(Status::Failed) {
            (Status::Failed, "failed")
        } else {
            (Status::Delivered, "delivered")
        };
        let envelope = if large { Value::Null } else { text(ENVELOPE) };
        let inline = if large {
            Value::Null
        } else {
            Value::Blob(body.clone())
        };
        run(
            "INSERT INTO events (seq, fresh, status, test, conflicts, key, body_sha256, name,
                 object_id, summary, deliveries, envelope, body)
             VALUES (?, ?, ?, 0, 0, ?, ?, NULL, ?, ?, ?, ?, ?)",
            &[
                Value::Integer(id.number()),
                Value::Integer(i64::from(fresh)),
                text(status),
                Value::Blob(key(&name).to_vec()),
                Value::Blob(key(&format!("{name}false")).to_vec()),
                text(&name),
                text(SUMMARY),
                Value::Text(format!("[{}]", records.join(","))),
                envelope,
                inline,
            ],
        );
        if large {
            run(
                "INSERT INTO payloads (seq, envelope, body) VALUES (?, ?, ?)",
                &[
                    Value::Integer(id.number()),
                    text(ENVELOPE),
                    Value::Blob(body),
                ],
            );
        }
        model.keys.insert(key(&name), id);
        let event = Event {
            name,
            acknowledged: true,
            shown,
            loose: false,
            deliveries: known.into_iter().map(|(delivery, _)| delivery).collect(),
        };
        model.events.insert(id, event);
    }
}
