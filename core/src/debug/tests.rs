use super::*;
use crate::{
    delivery::{Failure, Job, Response},
    destination_url::Station,
    explain,
    ids::{DestinationId, WebhookId},
    messages::{Accept, MailboxRequest, RegistryReply, Reveal},
    receive::receive,
    refusals::{Judged, Objection},
    registry::{Payload, Push},
    relay,
    secret::Secret,
    testing::samples::{self, START, event_id},
    webhook::{CustomAnswer, PreviousSecret},
};
use std::rc::Rc;

/// In everything that may carry a secret.
const CANARY: &str = "canary0secret1canary2secret";
/// The same where it has to be base64.
const SIGNING: &str = "whsec_Y2FuYXJ5MHNlY3JldDFjYW5hcnkyc2VjcmV0";

fn url() -> String {
    ["https://shop.example/?token=", CANARY].concat()
}

fn headers() -> Headers {
    let fields = ["secure-token", "x-other"].map(|name| (name, CANARY));
    fields.into_iter().collect()
}

fn webhook() -> Webhook {
    let previous = || PreviousSecret {
        secret: Secret::new(SIGNING.into()),
        until: START,
    };
    let mut webhook = samples::webhook(2);
    webhook.secrets = vec![Secret::new(CANARY.into())];
    webhook.signing_secret = Secret::new(SIGNING.into());
    webhook.previous_signing_secret = Some(previous());
    webhook.older_signing_secrets = vec![previous()];
    webhook.alert_url = Some(url());
    webhook.headers = [("x-key".to_owned(), CANARY.to_owned())].into();
    webhook.settings = Settings {
        url: Some(url()),
        access_key: Some(CANARY.into()),
        answer: Some(CustomAnswer {
            status: 200,
            body: CANARY.into(),
        }),
        ..Settings::default()
    };
    for destination in &mut webhook.destinations {
        destination.url = url();
        destination.headers = webhook.headers.clone();
    }
    webhook
}

#[track_caller]
fn check(shown: &impl Debug) {
    let bytes = format!("{:?}", CANARY.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    for shown in [format!("{shown:?}"), format!("{shown:#?}")] {
        // A list of bytes is a text as well, one to a line where it is pretty.
        let flat: String = shown.split_whitespace().collect();
        let flat = flat.to_ascii_lowercase();
        for secret in [CANARY, SIGNING, &bytes.replace(' ', "")] {
            let secret = secret.strip_prefix("whsec_").unwrap_or(secret);
            assert!(!flat.contains(&secret.to_ascii_lowercase()), "{shown}");
        }
    }
}

#[test]
fn configuration_and_what_is_said_of_it_shows_none() {
    let webhook = webhook();
    let (id, boxed) = (webhook.id, Box::new(webhook.clone()));
    check(&webhook);
    check(&webhook.destinations);
    check(&webhook.settings);
    let write = || Write {
        body: ["{\"secret\":\"", CANARY].concat(),
        station: Station::default(),
    };
    check(&write());
    for request in [
        RegistryRequest::Load(id),
        RegistryRequest::Create(write()),
        RegistryRequest::List {
            per_page: 1,
            cursor: Some(CANARY.into()),
        },
        RegistryRequest::Get(id),
        RegistryRequest::Update(id, write()),
        RegistryRequest::Toggle(id),
        RegistryRequest::Delete(id),
        RegistryRequest::DeleteByUrl(url()),
        RegistryRequest::Pause(id, true),
        RegistryRequest::Note {
            webhook: id,
            shard: 0,
        },
        RegistryRequest::MakeRound,
        RegistryRequest::RotateSecret(id, CANARY.into()),
        RegistryRequest::LoadNewer {
            webhook: id,
            than: 7,
        },
    ] {
        check(&request);
    }
    check(&RegistryReply::Webhook {
        webhook: boxed.clone(),
        reveal: Reveal::default(),
        warnings: Vec::new(),
    });
    check(&RegistryReply::Webhooks {
        webhooks: vec![webhook.clone()],
        next_cursor: None,
    });
    check(&RegistryReply::Deleted(vec![webhook]));
    check(&MailboxRequest::Configure {
        webhook: boxed.clone(),
        shard: 0,
    });
    check(&Push {
        webhook: id,
        shard: 0,
        version: 1,
        payload: Payload::Configure(boxed),
    });
    check(&DestinationStats {
        webhook: Some(id),
        id: DestinationId::from_random([0; 8]),
        url: url(),
        down_since: None,
        pending: 0,
    });
}

#[test]
fn requests_and_events_on_their_way_show_none() {
    let webhook = webhook();
    let inbound = Inbound {
        method: "POST".into(),
        url: url(),
        query: CANARY.into(),
        headers: headers(),
        body: CANARY.into(),
        nonce: [0; 16],
        decoded: Some(CANARY.into()),
    };
    check(&inbound);
    let judged = Judged {
        webhook: &webhook,
        inbound: &inbound,
        body_was_read: true,
        at: START,
    };
    check(&judged);
    check(&receive(&webhook, &inbound, START).expect("an intake"));
    let mut forged = inbound.clone();
    forged.headers = [("secure-token", CANARY.to_uppercase())]
        .into_iter()
        .collect();
    let refusal = receive(&webhook, &forged, START).expect_err("a refusal");
    check(&refusal);
    let objection = Objection::Unproven(refusal);
    check(&judged.refused(objection.clone()));
    check(&objection);
    let question =
        serde_json::json!({"headers": {"x-key": CANARY}, "query": CANARY, "body": CANARY});
    let question = explain::read(
        &webhook,
        "https://a.example",
        question.to_string().as_bytes(),
        START,
    );
    check(&question.expect("a question"));
    let wrong = serde_json::json!({"headers": CANARY, "body": [CANARY], "nonsense": 1});
    let wrong = explain::read(
        &webhook,
        "https://a.example",
        wrong.to_string().as_bytes(),
        START,
    );
    check(&wrong.expect_err("mistakes"));

    let envelope = Envelope {
        method: "POST".into(),
        query: CANARY.into(),
        headers: headers(),
    };
    let mut event = samples::event("1", CANARY.as_bytes());
    event.header_changes = vec![("digest".into(), Some(CANARY.into()))];
    let accept = Accept {
        config_version: 1,
        envelope: envelope.clone(),
        events: vec![event],
    };
    check(&accept);
    let job = Job {
        event: Rc::new(StoredEvent {
            id: event_id(0),
            envelope,
            body: CANARY.into(),
            test: false,
        }),
        destination: webhook.destinations[0].id,
        number: 1,
        connection_may_be_kept: false,
    };
    check(&job);
    let destination = &webhook.destinations[0];
    let station = Station::default();
    let outgoing = relay::outgoing(&webhook, destination, &job, &[], &station, "1", START);
    check(&outgoing.expect("a request"));
    for result in [
        Ok(Answer {
            status: 200,
            retry_after: None,
            body: CANARY.into(),
            body_incomplete: None,
        }),
        Err(Failure::Timeout),
    ] {
        let response = Response {
            started_at: START,
            duration_ms: 1,
            result,
        };
        check(&response);
        check(&relay::judge(destination, 1, response, START));
    }
    assert_eq!(format!("{:?}", headers()), r#"["secure-token", "x-other"]"#);
    assert!(format!("{webhook:?}").contains(&WebhookId::from_random([7; 16]).to_string()));
}
