//! Each provider from its signed request to the operator's server: what is proven,
//! what makes it the same event, and what arrives, byte for byte.

mod casso;
mod custom;
mod signed;

use serde_json::{Value, json};
use tram_tests::{Origin, Station, Webhook, github_signature};

/// A webhook with the station's own defaults.
fn webhook(station: &Station, origin: &Origin, provider: &str, settings: Value) -> Webhook {
    station.create_webhook(&json!({
        "provider": provider, "webhook_url": origin.url("/hook"), "settings": settings
    }))
}

#[test]
fn any_of_several_secrets_proves_the_sender() {
    let (station, origin) = (Station::shared(), Origin::start());
    let secrets = [
        "the-first-secret-0123456789",
        "the-second-secret-0123456789",
    ];
    let webhook = station.create_webhook(&json!({
        "provider": "github", "webhook_url": origin.url("/"), "secret": secrets
    }));
    let post = |secret: &str, body: &str| {
        let signature = github_signature(secret, body.as_bytes());
        station.post(&webhook.path, &[("x-hub-signature-256", &signature)], body)
    };
    post(secrets[0], "0").assert_taken("accepted");
    post(secrets[1], "1").assert_taken("accepted");
    post(secrets[1], "0").assert_taken("duplicate");
    post("the-third-secret-0123456789", "3").assert_refused(401, "unauthenticated");
    post(&secrets.join(","), "4").assert_refused(401, "unauthenticated");
    post("", "5").assert_refused(401, "unauthenticated");
    assert_eq!(origin.wait_for(2).len(), 2);
}

#[test]
fn known_answers_are_judged_as_they_say_when_posted_for_real() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../vectors/providers.json")).unwrap();
    let (station, origin) = (Station::shared(), Origin::start());
    let mut posted = 0;
    for vector in &vectors {
        let label = format!("{}: {}", vector["provider"], vector["name"]);
        let accept = vector["expect"] == "accept";
        let url = vector["url"].as_str().unwrap();
        let mut settings = vector["settings"].clone();
        if settings.is_null() {
            settings = json!({});
        }
        // A judgement that needs another clock, or the URL that others registered,
        // cannot be had here.
        let timed = vector["now"].as_i64().is_some_and(|now| now != 0);
        let elsewhere = !url.is_empty() && settings["url"].is_null();
        if timed && !accept || elsewhere {
            continue;
        }
        if timed {
            settings["tolerance_seconds"] = Value::Null;
        }
        let created = station.api(
            "POST",
            "/webhooks",
            Some(&json!({
                "provider": vector["provider"], "secret": vector["secret"], "settings": settings,
                "webhook_url": origin.url("/")
            })),
        );
        if created.status != 201 {
            // A secret that proves nothing cannot even be configured.
            assert!(
                !accept && created.status == 422,
                "{label}: {}",
                created.text()
            );
            continue;
        }
        let path = format!("/in/{}", created.json()["id"].as_str().unwrap());
        let headers: Vec<(&str, &str)> = vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let (method, body) = (&vector["method"], &vector["body"]);
        let body = body.as_str().unwrap().as_bytes();
        let answer = station
            .client()
            .send(method.as_str().unwrap(), &path, &headers, body);
        assert_eq!(
            answer.status / 100 == 2,
            accept,
            "{label}: {}",
            answer.text()
        );
        if !accept {
            answer.assert_refused(401, "unauthenticated");
        }
        posted += 1;
    }
    assert!(posted > 20, "{posted}");
}
