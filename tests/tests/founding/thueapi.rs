//! ThueAPI's webhook API: its calls, in Trạm's words, and its history.

use crate::{assert_told, change, json_of, mistakes, payload, shown};
use serde_json::{Value, json};
use tram_tests::{Answer, Origin, Reply, Station, Webhook, attempts_to, hex, hmac_sha256, waits};

const SUCCESS: &str = r#"{"success":true}"#;

/// A webhook of ThueAPI's to this origin, with `more` fields.
#[track_caller]
fn webhook(station: &Station, origin: &Origin, more: &Value) -> Webhook {
    let mut webhook = json!({
        "provider": "thueapi", "secret": "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
        "webhook_url": origin.url("/hook"), "retry": waits(&[0.1; 20]),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        webhook[name] = value.clone();
    }
    station.create_webhook(&webhook)
}

/// PHP's `hash_hmac('sha256', $body, $secret)`.
fn hash_hmac(body: &[u8], secret: &str) -> String {
    hex(&hmac_sha256(secret.as_bytes(), body))
}

fn post(station: &Station, webhook: &Webhook, transactions: &[Value]) -> Answer {
    let body = json!({ "transactions": transactions }).to_string();
    let signature = hash_hmac(body.as_bytes(), &webhook.secret);
    let headers = [
        ("content-type", "application/json"),
        ("x-webhook-signature", signature.as_str()),
    ];
    station.post(&webhook.path, &headers, body)
}

/// A transaction as ThueAPI tells of it, told from others by its number.
fn of_number(number: u32) -> Value {
    json!({
        "id": number.to_string(), "gateway": "ACB", "transactionDate": "2026-03-22 15:34:12",
        "transactionNumber": format!("FT{number}VN"), "accountNumber": "7465441",
        "content": "DH001234 Thanh toan don hang", "transferType": "IN",
        "transferAmount": 220_000, "checksum": format!("c{number}"),
    })
}

#[test]
fn a_webhook_is_created_with_what_thueapi_s_example_sends() {
    let station = Station::shared();
    let mut example = json_of(payload!("thueapi-create.json"));
    example["provider"] = json!("thueapi");
    let webhook = station.create_webhook(&example);
    for (field, value) in [
        ("name", json!("Webhook đơn hàng")),
        ("webhook_url", json!("https://your-domain.com/webhook")),
        ("type", json!("ALL")),
        ("accounts", json!([])),
        ("is_active", json!(true)),
    ] {
        assert_eq!(webhook.shown[field], value, "{field}");
    }
    let time = webhook.shown["created_at"].as_str().expect("a time");
    assert!(time.ends_with('Z'), "{time}");

    // The secret is shown this once.
    assert!(webhook.secret.len() >= 32, "{}", webhook.secret);
    let tail = &webhook.secret[webhook.secret.len() - 4..];
    assert_eq!(shown(&station, &webhook)["secret"], format!("***{tail}"));
}

#[test]
fn webhooks_are_listed_with_the_fields_of_thueapi_s_list() {
    let station = Station::shared();
    let mut example = json_of(payload!("thueapi-create.json"));
    example["provider"] = json!("thueapi");
    example["accounts"] = json!(["7465441"]);
    let webhook = station.create_webhook(&example);
    let list = station.api_expecting(200, "GET", "/webhooks?per_page=100", None);
    let listed = list["data"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["id"] == webhook.id))
        .expect("the new webhook");
    assert_eq!(*listed, shown(&station, &webhook));
    for field in ["name", "webhook_url", "type"] {
        assert_eq!(listed[field], example[field], "{field}");
    }
    assert_eq!(listed["accounts"], json!(["7465441"]));
    assert_eq!(listed["is_active"], true);
    assert_eq!(listed["created_at"], webhook.shown["created_at"]);
}

#[test]
fn a_change_is_thueapi_s_example_and_touches_nothing_else() {
    let station = Station::shared();
    let mut example = json_of(payload!("thueapi-create.json"));
    example["provider"] = json!("thueapi");
    example["accounts"] = json!(["7465441"]);
    let webhook = station.create_webhook(&example);
    let mut expected = shown(&station, &webhook);
    let sent = json_of(payload!("thueapi-update.json"));
    let changed = change(&station, &webhook, &sent);
    for field in ["name", "webhook_url", "type"] {
        expected[field] = sent[field].clone();
    }
    expected["destinations"][0]["url"] = sent["webhook_url"].clone();
    expected["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expected);
    let renamed = change(&station, &webhook, &json!({"name": "Chỉ tên"}));
    assert_eq!(renamed["type"], "IN");
    assert_eq!(renamed["webhook_url"], "https://new-domain.com/webhook");
}

#[test]
fn what_thueapi_requires_is_required_where_there_is_no_default() {
    let station = Station::shared();
    let found = mistakes(&station, &json!({"provider": "thueapi"}));
    assert!(found.contains("/webhook_url"), "{found:?}");
    let wrong = json!({"provider": "thueapi", "webhook_url": "https://shop.example/", "type": "BOTH", "bank_account_id": 2});
    let found = mistakes(&station, &wrong);
    assert!(
        found.contains("/type") && found.contains("/bank_account_id"),
        "{found:?}"
    );
    let least = json!({"provider": "thueapi", "webhook_url": "https://shop.example/"});
    let created = station.create_webhook(&least);
    assert_eq!(
        (&created.shown["name"], &created.shown["type"]),
        (&json!("ThueAPI"), &json!("ALL"))
    );
}

#[test]
fn type_and_account_decide_what_is_relayed() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(
        &station,
        &origin,
        &json!({"type": "OUT", "accounts": ["7465441"]}),
    );
    let with = |number: u32, direction: &str, account: &str| {
        let mut transaction = of_number(number);
        transaction["transferType"] = json!(direction);
        transaction["accountNumber"] = json!(account);
        post(&station, &webhook, &[transaction])
    };
    assert_told(&with(1, "IN", "7465441"), "filtered", SUCCESS);
    assert_told(&with(2, "OUT", "19354957"), "filtered", SUCCESS);
    let ids = assert_told(&with(3, "OUT", "7465441"), "accepted", SUCCESS);
    let _ = station.relayed(&origin, &ids[0]);
    // Without an account: all accounts.
    change(&station, &webhook, &json!({"type": "ALL", "accounts": []}));
    let ids = assert_told(&with(4, "IN", "19354957"), "accepted", SUCCESS);
    let _ = station.relayed(&origin, &ids[0]);
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_split_batch_still_verifies_as_thueapi_documents_it() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!({}));
    let batch = [of_number(1), of_number(2), of_number(3)];
    let ids = assert_told(&post(&station, &webhook, &batch), "accepted", SUCCESS);
    assert_eq!(ids.len(), 3);
    for (id, transaction) in ids.iter().zip(&batch) {
        let request = station.relayed(&origin, id);
        assert_eq!(request.json(), json!({"transactions": [transaction]}));
        // hash_equals(hash_hmac('sha256', $rawBody, $secret), $signature)
        let signature = request.header("X-Webhook-Signature").expect("a signature");
        assert_eq!(signature, hash_hmac(&request.body, &webhook.secret));
    }
    // The next batch repeats two and brings one.
    let batch = [of_number(2), of_number(3), of_number(4)];
    let ids = assert_told(&post(&station, &webhook, &batch), "accepted", SUCCESS);
    assert_eq!(ids.len(), 1);
    let request = station.relayed(&origin, &ids[0]);
    assert_eq!(request.json()["transactions"][0]["id"], "4");
    let signature = request.header("X-Webhook-Signature").expect("a signature");
    assert_eq!(signature, hash_hmac(&request.body, &webhook.secret));

    let altered = json!({"transactions": [of_number(5)]}).to_string();
    let headers = [("x-webhook-signature", signature)];
    let refused = station.post(&webhook.path, &headers, altered);
    refused.assert_refused(401, "unauthenticated");
}

/// The history entry of ThueAPI's document, seen here.
#[test]
fn the_history_says_all_that_thueapi_s_says() {
    let (station, origin) = (Station::shared(), Origin::start());
    let entry = json_of(payload!("thueapi-history.json"))["history"][0].clone();
    let webhook = webhook(&station, &origin, &json!({}));
    let mut transaction = of_number(1);
    for (ours, theirs) in [
        ("gateway", "bank"),
        ("transferType", "type"),
        ("accountNumber", "account"),
        ("transactionNumber", "transaction_id"),
        ("content", "description"),
        ("transferAmount", "amount"),
        ("transactionDate", "date"),
    ] {
        transaction[ours] = entry[theirs].clone();
    }
    origin.then(Reply::status(500));
    let ids = assert_told(
        &post(&station, &webhook, &[transaction]),
        "accepted",
        SUCCESS,
    );
    station.wait_for_status(&ids[0], "delivered");

    let path = format!(
        "/events?webhook_id={}&include=attempts&per_page=20",
        webhook.id
    );
    let list = station.api_expecting(200, "GET", &path, None);
    let [event] = &list["data"].as_array().expect("a list")[..] else {
        panic!("one event: {list:#}");
    };
    assert_eq!(event["id"], ids[0]);
    assert_eq!(event["webhook_id"], webhook.id);
    let summary = &event["summary"];
    for (ours, theirs) in [
        ("bank", "bank"),
        ("account", "account"),
        ("transaction_id", "transaction_id"),
        ("description", "description"),
    ] {
        assert_eq!(summary[ours], entry[theirs], "{theirs}");
    }
    assert_eq!(summary["direction"], "in");
    assert_eq!(summary["amount"], entry["amount"].to_string());
    // 15:34:12 in Vietnam.
    assert_eq!(summary["occurred_at"], "2026-03-22T08:34:12.000Z");
    assert_eq!(event["deliveries"][0]["url"], origin.url("/hook"));

    // Each call with its time, the status of your server, and whether it was taken.
    let calls = attempts_to(event, 0);
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call["status_code"].as_u64(), call["error"].is_null()))
        .collect();
    assert_eq!(seen, [(Some(500), false), (Some(200), true)]);
    assert!(calls.iter().all(|call| call["started_at"].is_string()));
    assert_eq!(event["last_status_code"], 200);
    assert_eq!(event["status"], "delivered");
}

#[test]
fn the_history_is_paged() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!({}));
    let batch: Vec<Value> = (1..=35).map(of_number).collect();
    let answer = post(&station, &webhook, &batch);
    assert_told(&answer, "accepted", SUCCESS);
    let page = |cursor: &str| {
        let path = format!("/events?webhook_id={}&per_page=20{cursor}", webhook.id);
        let list = station.api_expecting(200, "GET", &path, None);
        let shown = list["data"].as_array().map_or(0, Vec::len);
        (shown, list["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, next) = page("");
    let (second, end) = page(&format!("&cursor={}", next.expect("a second page")));
    assert_eq!((first, second, end), (20, 15, None));
}

#[test]
fn what_has_failed_is_sent_again_by_hand() {
    let (station, origin) = (Station::shared(), Origin::start());
    origin.then(Reply::status(500));
    let webhook = webhook(&station, &origin, &json!({"retry": waits(&[])}));
    let ids = assert_told(
        &post(&station, &webhook, &[of_number(1)]),
        "accepted",
        SUCCESS,
    );
    station.wait_for_status(&ids[0], "failed");
    let path = format!("/events/{}/resend", ids[0]);
    let queued = station.api_expecting(202, "POST", &path, None);
    assert_eq!(queued, json!({"queued": 1}));
    station.wait_for_status(&ids[0], "delivered");
    let received = origin.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
    for request in &received {
        let signature = request.header("X-Webhook-Signature").expect("a signature");
        assert_eq!(signature, hash_hmac(&request.body, &webhook.secret));
    }
}

#[test]
fn the_secret_is_the_provider_s_and_no_other_provider_s_check_passes() {
    let (station, origin) = (Station::shared(), Origin::start());
    let webhook = webhook(&station, &origin, &json!({}));
    let body = json!({"transactions": [of_number(1)]}).to_string();
    let wrong = hash_hmac(body.as_bytes(), "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p7");
    let token = webhook.secret.as_str();
    for header in [
        ("x-webhook-signature", wrong.as_str()),
        ("x-webhook-signature", token),
        ("secure-token", token),
    ] {
        let refused = station.post(&webhook.path, &[header], &body);
        refused.assert_refused(401, "unauthenticated");
    }
    assert_eq!(station.events(&webhook), [] as [Value; 0]);
}
