//! SePay Bank Hub's webhook configuration: what it shows, what it hides, and which
//! events it lets through.

use crate::{assert_told, change, json_of, mistakes, payload, shown};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{Answer, Origin, Station, Webhook};

const SUCCESS: &str = r#"{"success":true}"#;

/// The names of Bank Hub's document.
fn names() -> Vec<String> {
    let names = json_of(payload!("sepay-bankhub-events.json"));
    serde_json::from_value(names).expect("names")
}

#[track_caller]
fn webhook(station: &Station, origin: &Origin, allow_events: &Value) -> Webhook {
    station.create_webhook(&json!({
        "provider": "sepay-bankhub", "secret": "sk_sandbox_12345678",
        "webhook_url": origin.url("/hook"), "allow_events": allow_events,
    }))
}

/// Posts one of every name, told from others by `round`; the outcomes.
fn post_all(station: &Station, webhook: &Webhook, round: &str) -> Vec<String> {
    let outcomes = names().into_iter().map(|name| {
        let answer = post(station, webhook, &name, round);
        assert_eq!((answer.status, answer.text().as_str()), (200, SUCCESS));
        answer.outcome().to_owned()
    });
    outcomes.collect()
}

fn post(station: &Station, webhook: &Webhook, name: &str, round: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-secret-key", webhook.secret.as_str()),
    ];
    let body = json!({
        "timestamp": 1_768_312_100, "xid": format!("{name} {round}"), "version": "1.0", "event": name,
        "metadata": {"purpose": "LINK_BANK_ACCOUNT", "link_token_xid": "628af450", "link_session_xid": null},
    });
    station.post(&webhook.path, &headers, body.to_string())
}

#[test]
fn without_a_webhook_there_is_an_empty_list() {
    let station = Station::start();
    let list = station.api_expecting(200, "GET", "/webhooks", None);
    assert_eq!(list, json!({"data": [], "next_cursor": null}));
}

#[test]
fn the_configuration_is_shown_with_its_key_masked() {
    let (station, origin) = (Station::shared(), Origin::start());
    let example = json_of(payload!("sepay-bankhub-config.json"))["data"].clone();
    let webhook = webhook(&station, &origin, &example["allow_events"]);
    // Whole when it is created, and when a new one is set.
    assert_eq!(webhook.shown["secret"], "sk_sandbox_12345678");
    let now = shown(&station, &webhook);
    assert_eq!(now["secret"], example["secret_key"]);
    assert_eq!(now["allow_events"], example["allow_events"]);
    assert_eq!(now["webhook_url"], origin.url("/hook"));
    assert_eq!(now["is_active"], true);

    let renamed = change(&station, &webhook, &json!({"name": "Bank Hub"}));
    assert_eq!(renamed["secret"], "***5678");
    let changed = change(
        &station,
        &webhook,
        &json!({"secret": "sk_sandbox_87654321"}),
    );
    assert_eq!(changed["secret"], "sk_sandbox_87654321");
    assert_eq!(shown(&station, &webhook)["secret"], "***4321");
    // What was read can be sent back: the mask stands for what it hides.
    let sent_back = change(&station, &webhook, &json!({"secret": "***4321"}));
    assert_eq!(sent_back["secret"], "***4321");
}

#[test]
fn the_secret_key_proves_bank_hub_and_goes_on_with_the_content_type() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!(["*"]));
    for headers in [
        &[][..],
        &[("x-secret-key", "***5678")],
        &[("x-secret-key", "sk_sandbox_12345679")],
        &[("authorization", "Bearer sk_sandbox_12345678")],
    ] {
        let refused = station.post(&webhook.path, headers, "{}");
        refused.assert_refused(401, "unauthenticated");
    }
    let answer = post(&station, &webhook, "BANK_ACCOUNT_LINKED", "1");
    let ids = assert_told(&answer, "accepted", SUCCESS);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-secret-key"), Some("sk_sandbox_12345678"));
}

#[test]
fn a_star_lets_all_thirteen_through() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!(["*"]));
    assert_eq!(post_all(&station, &webhook, "1"), ["accepted"; 13]);
    let events: BTreeSet<String> = origin
        .wait_for(13)
        .iter()
        .map(|request| request.json()["event"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(events, names().into_iter().collect());
}

#[test]
fn null_and_an_empty_list_let_nothing_through() {
    let (station, origin) = (Station::shared(), Origin::start());
    for nothing in [json!(null), json!([])] {
        let webhook = webhook(&station, &origin, &nothing);
        assert_eq!(webhook.shown["allow_events"], json!([]));
        assert_eq!(post_all(&station, &webhook, "1"), ["filtered"; 13]);
        assert_eq!(station.events(&webhook), [] as [Value; 0]);
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn only_the_named_events_come_through() {
    let (station, origin) = (Station::shared(), Origin::start());
    let allowed = ["BANK_ACCOUNT_LINKED", "BANK_ACCOUNT_UNLINKED"];
    let webhook = webhook(&station, &origin, &json!(allowed));
    let outcomes = post_all(&station, &webhook, "1");
    for (name, outcome) in names().iter().zip(outcomes) {
        let expected = if allowed.contains(&name.as_str()) {
            "accepted"
        } else {
            "filtered"
        };
        assert_eq!(outcome, expected, "{name}");
    }
    let events: Vec<Value> = origin
        .wait_for(2)
        .iter()
        .map(|request| request.json()["event"].clone())
        .collect();
    assert!(
        allowed.iter().all(|name| events.contains(&json!(name))),
        "{events:?}"
    );
}

#[test]
fn either_spelling_of_an_inactive_account_lets_both_through() {
    let (station, origin) = (Station::shared(), Origin::start());
    let spellings = ["BANK_ACCOUNT_INACTIVATED", "BANK_ACCOUNT_INACTIVED"];
    for allowed in spellings {
        let webhook = webhook(&station, &origin, &json!([allowed]));
        assert_eq!(webhook.shown["allow_events"], json!([allowed]));
        for name in spellings {
            let answer = post(&station, &webhook, name, "1");
            assert_eq!(answer.outcome(), "accepted", "{allowed} {name}");
        }
        let other = post(&station, &webhook, "BANK_ACCOUNT_LINKED", "1");
        assert_eq!(other.outcome(), "filtered");
    }
}

#[test]
fn the_provider_table_names_the_thirteen_and_others_are_refused() {
    let (station, origin) = (Station::shared(), Origin::start());
    let table = station.api_expecting(200, "GET", "/providers", None);
    let providers = table["data"].as_array().expect("a list");
    let bankhub = providers
        .iter()
        .find(|one| one["id"] == "sepay-bankhub")
        .expect("Bank Hub");
    assert_eq!(bankhub["events"], json!(names()));

    let all = webhook(&station, &origin, &json!(names()));
    assert_eq!(all.shown["allow_events"], json!(names()));
    let wrong = json!({
        "provider": "sepay-bankhub", "webhook_url": origin.url("/hook"),
        "allow_events": ["BANK_ACCOUNT_LINKED", "BANK_ACCOUNT_BORROWED"],
    });
    let expected = BTreeSet::from(["/allow_events/1".to_owned()]);
    assert_eq!(mistakes(&station, &wrong), expected);
    let path = format!("/webhooks/{}", all.id);
    let change = json!({"allow_events": ["bank_account_linked"]});
    let found = station.api("PUT", &path, Some(&change)).mistakes();
    assert_eq!(found, BTreeSet::from(["/allow_events/0".to_owned()]));
}

#[test]
fn off_is_off_whatever_events_are_allowed() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!(["*"]));
    change(&station, &webhook, &json!({"is_active": false}));
    assert_eq!(shown(&station, &webhook)["is_active"], false);
    for name in names() {
        let refused = post(&station, &webhook, &name, "1");
        refused.assert_refused(503, "webhook_inactive");
    }
    assert_eq!(station.events(&webhook), [] as [Value; 0]);
    change(&station, &webhook, &json!({"is_active": true}));
    let ids = assert_told(
        &post(&station, &webhook, &names()[0], "1"),
        "accepted",
        SUCCESS,
    );
    let _ = station.relayed(&origin, &ids[0]);
    assert_eq!(origin.count(), 1);
}
