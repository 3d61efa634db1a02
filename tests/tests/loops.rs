//! Requests that come back to a webhook that has relayed them, by names of the station's
//! host that it does not know to be its own.

use serde_json::{Value, json};
use tram_tests::{Origin, Received, Reply, Station, Webhook, attempts_to, waits};

/// Another name of the station's host: what comes to the path of a webhook here is sent on
/// to it, header fields and all.
fn other_name() -> Origin {
    let name = Origin::start();
    name.answer_with(|request| {
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["host", "content-length", "connection"].contains(name))
            .collect();
        let answer = Station::shared().post(&request.target, &headers, &request.body);
        Reply::status(answer.status)
            .header("content-type", "application/json")
            .body(answer.text())
    });
    name
}

fn leads_to(webhook: &Webhook, url: &str) {
    let path = format!("/webhooks/{}", webhook.id);
    let change = json!({"webhook_url": url});
    let _ = Station::shared().api_expecting(200, "PUT", &path, Some(&change));
}

fn assert_refused_as_a_loop(event: &Value) {
    let [attempt] = &attempts_to(event, 0)[..] else {
        panic!("{event:#}")
    };
    assert_eq!(attempt["status_code"], 508, "{event:#}");
    let error = attempt["error"].as_str().expect("an error");
    assert!(error.contains("the ingest URL"), "{error}");
}

#[test]
fn a_webhook_that_leads_to_itself_fails_and_says_so() {
    let (station, name) = (Station::shared(), other_name());
    let once = json!({"retry": waits(&[])});
    let webhook = station.casso_webhook_with(&name, &once);
    leads_to(&webhook, &name.url(&webhook.path));
    let id = station.send_transaction(&webhook, 1);
    let event = station.wait_for_status(&id, "failed");
    assert_refused_as_a_loop(&event);
    // Whoever forges the field is refused himself; others are not.
    let forged = [("x-tram-webhook", webhook.id.as_str())];
    station
        .post_casso_with(&webhook, &forged, tram_tests::casso_body(&[2]))
        .assert_refused(508, "loop");
    station
        .post_transactions(&webhook, &[2])
        .assert_taken("accepted");
}

#[test]
fn so_does_one_that_leads_to_itself_by_another() {
    let (station, name) = (Station::shared(), other_name());
    let once = json!({"retry": waits(&[]), "secret": "the-secret-of-both-of-them"});
    let [first, second] = [(); 2].map(|()| station.casso_webhook_with(&name, &once));
    leads_to(&first, &name.url(&second.path));
    leads_to(&second, &name.url(&first.path));
    let id = station.send_transaction(&first, 1);
    let _ = station.wait_for_status(&id, "delivered");
    let events = station.wait_for_events(&second, |events| {
        events
            .first()
            .is_some_and(|event| event["status"] == "failed")
    });
    let id = events[0]["id"].as_str().expect("an id");
    assert_refused_as_a_loop(&station.event(id));
    let passed: Vec<Received> = name.received();
    let via = |at: usize| passed[at].header("x-tram-via").map(str::to_owned);
    assert_eq!((via(0), via(1)), (None, Some(first.id.clone())));
}
