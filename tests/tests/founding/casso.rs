//! Casso's webhook API (version 1): its calls, in Trạm's words.

use crate::{assert_told, change, json_of, mistakes, payload, shown};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tram_tests::{Origin, Station, Webhook, assert_signed, casso, transaction};

const SUCCESS: &str = r#"{"success":true}"#;

/// What Casso's request asks for, as Trạm is asked for it.
fn in_our_words(request: &Value) -> Value {
    // The example of a change sends "false" as a text.
    let income_only = request["income_only"] == true;
    json!({
        "webhook_url": request["webhook"], "secret": request["secure_token"],
        "type": if income_only { "IN" } else { "ALL" },
    })
}

/// The webhook of Casso's example.
#[track_caller]
fn example(station: &Station) -> Webhook {
    let mut webhook = in_our_words(&json_of(payload!("casso-create.json")));
    webhook["provider"] = json!("casso");
    station.create_webhook(&webhook)
}

#[test]
fn a_webhook_is_created_with_what_casso_s_example_sends() {
    let station = Station::shared();
    let webhook = example(&station);
    assert!(webhook.id.starts_with("wh_"), "{}", webhook.id);
    for (field, value) in [
        ("provider", "casso"),
        (
            "webhook_url",
            "https://ten-mien-cua-ban.com/wc/handler-bank-transfer.php",
        ),
        ("secret", "@123#abc"),
        ("type", "IN"),
    ] {
        assert_eq!(webhook.shown[field], value, "{field}");
    }
    // Short enough to be guessed: taken, and said.
    assert_eq!(webhook.shown["warnings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_webhook_is_shown_by_its_id_and_its_token_is_not() {
    let station = Station::shared();
    let webhook = example(&station);
    let mut expected = webhook.shown.clone();
    expected["secret"] = json!("***");
    let tail = &webhook.signing_secret[webhook.signing_secret.len() - 4..];
    expected["signing_secret"] = json!(format!("***{tail}"));
    assert_eq!(shown(&station, &webhook), expected);
}

#[test]
fn a_webhook_is_changed_to_what_casso_s_example_sends() {
    let station = Station::shared();
    let webhook = example(&station);
    let changed = in_our_words(&json_of(payload!("casso-update.json")));
    let answered = change(&station, &webhook, &changed);
    for (field, value) in [
        ("id", webhook.id.as_str()),
        ("webhook_url", "https://ten-mien-cua-ban.com/api/bank"),
        // New, so it is shown this once.
        ("secret", "@xyz@123"),
        ("type", "ALL"),
    ] {
        assert_eq!(answered[field], value, "{field}");
    }
}

#[test]
fn the_names_of_casso_s_fields_are_refused_and_named() {
    let station = Station::shared();
    let found = mistakes(&station, &json_of(payload!("casso-create.json")));
    for pointer in ["/webhook", "/secure_token", "/income_only"] {
        assert!(found.contains(pointer), "{pointer}: {found:?}");
    }
    // A truth value is one, and no text.
    let found = mistakes(
        &station,
        &json!({"provider": "casso", "webhook_url": "https://shop.example/", "type": false}),
    );
    assert_eq!(found, BTreeSet::from(["/type".to_owned()]));
}

#[test]
fn income_only_is_type_in() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"type": "IN"}));
    let money_out = |id: u32| {
        let mut transaction = transaction(id);
        transaction["amount"] = json!(-250_000);
        station.post_casso(&webhook, casso(&[transaction]))
    };
    assert_told(&money_out(1), "filtered", SUCCESS);
    let id = station.send_transaction(&webhook, 2);
    let _ = station.relayed(&origin, &id);

    change(&station, &webhook, &json!({"type": "ALL"}));
    let ids = assert_told(&money_out(3), "accepted", SUCCESS);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.json()["data"][0]["amount"], -250_000);
    assert_eq!(station.event(&ids[0])["summary"]["direction"], "out");

    change(&station, &webhook, &json!({"type": "OUT"}));
    assert_told(
        &station.post_transactions(&webhook, &[4]),
        "filtered",
        SUCCESS,
    );
    assert_eq!(origin.count(), 2);
}

#[test]
fn all_webhooks_to_one_address_are_deleted_and_then_there_is_none() {
    let station = Station::shared();
    let url = "https://websitecuaban.com/api/webhook";
    let create = || {
        let webhook = json!({"provider": "casso", "webhook_url": url});
        station.create_webhook(&webhook).id
    };
    let created = BTreeSet::from([create(), create(), create()]);
    let path = format!("/webhooks?webhook_url={url}");
    let deleted = station.api_expecting(200, "DELETE", &path, None);
    let deleted: BTreeSet<String> = deleted["deleted"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|webhook| {
            assert_eq!(webhook["webhook_url"], url);
            webhook["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(deleted, created);
    let none = station.api("DELETE", &path, None);
    assert_eq!(none.problem(404), "webhook_not_found");
}

/// The body of Casso's own sample, <https://github.com/CassoHQ/casso-webhook-handler-sample>.
#[test]
fn a_transaction_of_casso_s_sample_goes_its_whole_way() {
    let known = json_of(include_str!("../../vectors/providers.json"));
    let sample = known
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "official curl sample"))
        .expect("Casso's sample");
    let text = |field: &str| sample[field].as_str().expect("a text").to_owned();
    let (secret, body) = (text("secret"), text("body"));
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"secret": secret}));

    let forged = station.post(&webhook.path, &[("secure-token", "eogrBiWqaQ")], &body);
    forged.assert_refused(401, "unauthenticated");
    let ids = assert_told(&station.post_casso(&webhook, &body), "accepted", SUCCESS);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("secure-token"), Some(secret.as_str()));
    assert_eq!(assert_signed(&request, &webhook.signing_secret), ids[0]);
    assert_told(&station.post_casso(&webhook, &body), "duplicate", SUCCESS);

    let listed = station.events(&webhook);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["object_id"], "1");
    assert_eq!(
        listed[0]["summary"],
        json!({
            "bank": null, "account": "123456789", "direction": "in", "amount": "200500",
            "transaction_id": "TF80307914", "description": "DH35",
            "payer": null, "currency": null, "occurred_at": "2020-11-01T17:00:00.000Z",
        })
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_batch_is_split_and_the_handler_s_own_check_still_holds() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    assert_told(
        &station.post_transactions(&webhook, &[1]),
        "accepted",
        SUCCESS,
    );
    let answer = station.post_transactions(&webhook, &[1, 2, 3]);
    let ids = assert_told(&answer, "accepted", SUCCESS);
    assert_eq!(ids.len(), 2, "one of them is old");
    for (id, number) in ids.iter().zip([2_u64, 3]) {
        let request = station.relayed(&origin, id);
        // As Casso's sample: the token, then each transaction of the array.
        assert_eq!(
            request.header("secure-token"),
            Some(webhook.secret.as_str())
        );
        assert_eq!(request.text(), casso(&[transaction(number)]));
        assert_eq!(assert_signed(&request, &webhook.signing_secret), *id);
    }
}
