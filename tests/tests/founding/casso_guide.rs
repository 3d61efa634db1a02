//! Casso's guide to setting a webhook up by hand: what it asks of whoever receives
//! one, and what it promises.

use crate::{assert_told, shown};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tram_tests::{Origin, Reply, Station, casso, each_attempt, transaction};

const SUCCESS: &str = r#"{"success":true}"#;

#[test]
fn the_provider_table_says_where_to_click_at_casso() {
    let station = Station::shared();
    let table = station.api_expecting(200, "GET", "/providers", None);
    let providers = table["data"].as_array().expect("a list");
    let casso = providers
        .iter()
        .find(|one| one["id"] == "casso")
        .expect("Casso");
    let setup = casso["setup"].as_str().expect("a text");
    for words in [
        "Thiết lập > Tích hợp",
        "Webhook URL",
        "Key bảo mật",
        "Gọi thử",
        "Lưu",
    ] {
        assert!(setup.contains(words), "{words}: {setup}");
    }
    assert_eq!(casso["retry_window_seconds"], 12 * 3_600);
}

#[test]
fn chosen_accounts_are_relayed_and_without_a_choice_all() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(&origin, &json!({"accounts": ["19034567890011"]}));
    let of_account = |id: u32, account: &str| {
        let mut transaction = transaction(id);
        transaction["bank_sub_acc_id"] = json!(account);
        station.post_casso(&webhook, casso(&[transaction]))
    };
    let chosen = assert_told(&of_account(1, "19034567890011"), "accepted", SUCCESS);
    assert_told(&of_account(2, "88888888"), "filtered", SUCCESS);
    crate::change(&station, &webhook, &json!({"accounts": []}));
    let other = assert_told(&of_account(3, "88888888"), "accepted", SUCCESS);
    for id in [&chosen[0], &other[0]] {
        let _ = station.relayed(&origin, id);
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn the_key_alone_says_who_sends_from_whatever_address() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    for (id, address) in [(1, "203.0.113.7"), (2, "2001:db8::7")] {
        let from = [
            ("x-forwarded-for", address),
            ("cf-connecting-ip", address),
            ("user-agent", ""),
        ];
        let body = casso(&[transaction(id)]);
        let wrong = [&from[..], &[("secure-token", "another key")]].concat();
        let refused = station.post(&webhook.path, &wrong, &body);
        refused.assert_refused(401, "unauthenticated");
        let right = station.post_casso_with(&webhook, &from, &body);
        let ids = assert_told(&right, "accepted", SUCCESS);
        // The handler that checks the key today keeps working.
        let request = station.relayed(&origin, &ids[0]);
        assert_eq!(
            request.header("Secure-Token"),
            Some(webhook.secret.as_str())
        );
    }
}

#[test]
fn a_test_call_is_answered_and_relayed_and_is_no_payment() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let body = casso(&[transaction(0)]);
    let ids = assert_told(&station.post_casso(&webhook, &body), "test", SUCCESS);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.text(), body);
    assert_eq!(request.header("x-tram-test"), Some("true"));
    assert_eq!(station.event(&ids[0])["test"], true);

    // Casso saves the address when the call succeeds: that is for the station to say.
    origin.always(Reply::status(500));
    let mut other = transaction(0);
    other["description"] = json!("giao dich thu nghiem");
    assert_told(
        &station.post_casso(&webhook, casso(&[other])),
        "test",
        SUCCESS,
    );
}

#[test]
fn strict_mode_asks_for_success_and_without_it_the_status_is_enough() {
    let (station, origin) = (Station::shared(), Origin::start());
    for (strict, reply, taken) in [
        (json!(true), json!({"success": 1}), true),
        (json!(true), json!({"success": true}), true),
        (json!(true), json!({"success": 0}), false),
        (json!(true), json!({"success": false}), false),
        (json!(true), json!({}), false),
        (json!(false), json!({"success": 0}), true),
        (json!(false), json!({}), true),
        (json!("auto"), json!({"success": 0}), false),
        (json!("auto"), json!({}), true),
    ] {
        let webhook = station.casso_webhook_with(&origin, &json!({"strict": strict}));
        origin.then(Reply::json(&reply));
        origin.always(Reply::json(&json!({"success": true})));
        let id = station.send_transaction(&webhook, 1);
        let event = station.wait_for_status(&id, "delivered");
        // What was not taken has been sent again.
        let statuses = each_attempt(&event, "status_code");
        assert_eq!(
            statuses.len(),
            if taken { 1 } else { 2 },
            "{strict} {reply}"
        );
    }
}

#[test]
fn a_second_destination_sees_everything_while_you_develop() {
    let (station, site, debug) = (Station::shared(), Origin::start(), Origin::start());
    let webhook = station.casso_webhook_with(
        &site,
        &json!({"destinations": [{"url": site.url("/hook")}, {"url": debug.url("/inspect")}]}),
    );
    let id = station.send_transaction(&webhook, 1);
    let (at_site, at_debug) = (station.relayed(&site, &id), station.relayed(&debug, &id));
    assert_eq!(at_site.body, at_debug.body);
    // Casso's key is not for a service that shows what it gets.
    assert_eq!(
        at_site.header("secure-token"),
        Some(webhook.secret.as_str())
    );
    assert_eq!(at_debug.header("secure-token"), None);

    // Or one of its own, with another address for Casso.
    let second = station.casso_webhook(&debug);
    assert_ne!(second.shown["ingest_url"], webhook.shown["ingest_url"]);
    let id = station.send_transaction(&second, 1);
    let _ = station.relayed(&debug, &id);
    assert_eq!((site.count(), debug.count()), (1, 2));
}

#[test]
fn casso_is_answered_200_in_time_whatever_your_server_does() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.always(Reply::hang());
    let webhook = station.casso_webhook_with(&origin, &json!({"timeout_seconds": 1}));
    for id in 1..=3 {
        let begun = Instant::now();
        let answer = station.post_transactions(&webhook, &[id]);
        assert_told(&answer, "accepted", SUCCESS);
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn your_server_has_five_seconds_and_twelve_hours_of_fibonacci() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook =
        station.create_webhook(&json!({"provider": "casso", "webhook_url": origin.url("/hook")}));
    assert_eq!(webhook.shown["destinations"][0]["timeout_seconds"], 5);
    assert_eq!(webhook.shown["retry"], json!({"schedule": "fibonacci"}));
    assert_eq!(shown(&station, &webhook)["retry"]["schedule"], "fibonacci");
}

#[test]
fn a_replayed_transaction_is_recognised_by_its_id() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let id = station.send_transaction(&webhook, 6_889);
    let _ = station.relayed(&origin, &id);
    for _ in 0..3 {
        let again = station.post_transactions(&webhook, &[6_889]);
        assert_told(&again, "duplicate", SUCCESS);
    }
    let _ = station.send_transaction(&webhook, 6_890);
    origin.wait_for(2);
    assert_eq!(station.events(&webhook).len(), 2);
    assert_eq!(origin.count(), 2);
}

#[test]
fn all_transactions_can_be_checked_for_what_was_missed() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook_with(
        &origin,
        &json!({"retry": {"schedule": "custom", "delays_seconds": []}}),
    );
    origin.then(Reply::status(500));
    let missed = station.send_transaction(&webhook, 1);
    station.wait_for_status(&missed, "failed");
    for number in 2..=5 {
        let id = station.send_transaction(&webhook, number);
        station.wait_for_status(&id, "delivered");
    }
    let listed = |filter: &str| -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!(
                "/events?webhook_id={}&per_page=2{filter}{cursor}",
                webhook.id
            );
            let page = station.api_expecting(200, "GET", &path, None);
            found.extend(page["data"].as_array().expect("a list").clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    let all: BTreeSet<String> = listed("&from=2026-01-01T00:00:00%2B07:00")
        .iter()
        .map(|event| event["summary"]["transaction_id"].to_string())
        .collect();
    assert_eq!(all.len(), 5, "{all:?}");
    let failed = listed("&status=failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["id"], missed);
    let path = format!("/events/{missed}/resend");
    station.api_expecting(202, "POST", &path, None);
    station.wait_for_status(&missed, "delivered");
    assert_eq!(listed("&status=failed"), [] as [Value; 0]);
}

#[test]
fn the_data_is_always_an_array_also_of_one() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    for batch in [&[1_u64][..], &[2, 3]] {
        let ids = assert_told(
            &station.post_transactions(&webhook, batch),
            "accepted",
            SUCCESS,
        );
        for (id, number) in ids.iter().zip(batch) {
            let body = station.relayed(&origin, id).json();
            assert_eq!(body["error"], 0);
            assert_eq!(body["data"], json!([transaction(*number)]));
        }
    }
}
