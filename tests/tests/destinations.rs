//! Destinations on a station that relays to public hosts alone, as a deployed one
//! does: what leads elsewhere is refused when it is saved, with a reason. (The whole
//! table of notations is a test of the core; that a destination is judged again when
//! it is sent to is in `relaying.rs`.)

use serde_json::{Value, json};
use tram_tests::{Station, Webhook};

/// Does not reach a public host, and what the operator is told.
const HOSTILE: [(&str, &str); 31] = [
    ("http://shop.example/hook", "https://"),
    ("ftp://shop.example/hook", "https://"),
    ("//shop.example/hook", "URL"),
    ("https:shop.example", "URL"),
    ("https://", "URL"),
    ("https://localhost/hook", "private host"),
    ("https://LOCALHOST./hook", "private host"),
    ("https://shop.localhost/hook", "private host"),
    ("https://printer.local/hook", "private host"),
    (
        "https://metadata.google.internal/computeMetadata/v1",
        "private host",
    ),
    ("https://intranet/hook", "without a dot"),
    ("https://127.0.0.1/hook", "not public"),
    ("https://127.1/hook", "four decimal numbers"),
    ("https://127.0.01/hook", "four decimal numbers"),
    ("https://2130706433/hook", "four decimal numbers"),
    ("https://0x7f000001/hook", "four decimal numbers"),
    ("https://0177.0.0.1/hook", "four decimal numbers"),
    ("https://10.0.0.1:8443/hook", "not public"),
    ("https://172.16.0.1/hook", "not public"),
    ("https://192.168.1.1/hook", "not public"),
    ("https://169.254.169.254/latest/meta-data", "not public"),
    ("https://100.64.0.1/hook", "not public"),
    ("https://[::1]/hook", "not public"),
    ("https://[::ffff:127.0.0.1]/hook", "not public"),
    ("https://[fd00::1]/hook", "not public"),
    ("https://[64:ff9b::7f00:1]/hook", "not public"),
    ("https://user:password@shop.example/hook", "credentials"),
    ("https://127.0.0.1%2f@shop.example/hook", "credentials"),
    ("https://shop.example\\@127.0.0.1/hook", "URL"),
    ("https://shop.example/hook#part", "fragment"),
    ("https://１２７.０.０.１/hook", "ASCII"),
];

/// On its own host, however it is written.
const OWN: [&str; 4] = [
    "https://hooks.example.com/in/wh_00000000000000000000000000",
    "https://HOOKS.example.com:443/",
    "https://hooks.example.com./",
    "https://hooks.example.com:8443/",
];

fn station() -> Station {
    Station::builder()
        .without("ALLOW_PRIVATE_DESTINATIONS")
        .variable("PUBLIC_URL", "https://hooks.example.com")
        .start()
}

/// Asserts that this is refused at `pointer` alone, for a reason with `reason` in it.
#[track_caller]
fn refused(station: &Station, method: &str, path: &str, body: &Value, pointer: &str, reason: &str) {
    let answer = station.api_expecting(422, method, path, Some(body));
    let errors = answer["errors"].as_array().expect("errors");
    let [error] = &errors[..] else {
        panic!("one mistake in {body}: {errors:#?}");
    };
    assert_eq!(error["pointer"], pointer, "{body}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(reason), "{body}: {message}");
}

#[test]
fn what_leads_elsewhere_is_refused_when_it_is_saved() {
    let station = station();
    let own = OWN.map(|url| (url, "station itself"));
    let hostile: Vec<_> = HOSTILE.into_iter().chain(own).collect();
    for (url, reason) in &hostile {
        let body = json!({"provider": "casso", "webhook_url": url});
        refused(&station, "POST", "/webhooks", &body, "/webhook_url", reason);
    }
    // Alerts are sent there as well.
    for (url, reason) in &hostile {
        let body = json!({
            "provider": "casso", "webhook_url": "https://shop.example/hook", "alert_url": url,
        });
        refused(&station, "POST", "/webhooks", &body, "/alert_url", reason);
    }
    let list = station.api_expecting(200, "GET", "/webhooks", None);
    assert_eq!(list["data"], json!([]), "nothing was created");

    // The same among several, and when a webhook is changed.
    let good = "https://shop.example/hook";
    let webhook = station.create_webhook(&json!({"provider": "casso", "webhook_url": good}));
    let Webhook { id, shown, .. } = webhook;
    let path = format!("/webhooks/{id}");
    for (url, reason) in hostile.iter().step_by(5) {
        let several = json!({"destinations": [{"url": good}, {"url": url}]});
        refused(
            &station,
            "PUT",
            &path,
            &several,
            "/destinations/1/url",
            reason,
        );
        let moved = json!({ "webhook_url": url });
        refused(&station, "PUT", &path, &moved, "/webhook_url", reason);
        let alerted = json!({ "alert_url": url });
        refused(&station, "PUT", &path, &alerted, "/alert_url", reason);
    }
    let now = station.api_expecting(200, "GET", &path, None);
    assert_eq!(now["destinations"], shown["destinations"]);
    assert_eq!(now["updated_at"], shown["updated_at"]);
}

#[test]
fn public_hosts_are_taken_as_they_are_written() {
    let station = station();
    for url in [
        "https://shop.example/hook?shop=1&name=%C3%A1",
        "https://Shop.Example:8443",
        "https://xn--ca-hng-fva4h.vn/hook",
        "https://93.184.215.14/hook",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/hook",
        "https://in.hooks.example.com/hook",
    ] {
        let webhook = station.create_webhook(&json!({"provider": "casso", "webhook_url": url}));
        assert_eq!(webhook.shown["webhook_url"], url);
    }
}

#[test]
fn not_even_in_local_development_does_a_station_send_to_itself() {
    let station = Station::shared();
    let body = json!({"provider": "casso", "webhook_url": station.url("/in/x")});
    refused(
        &station,
        "POST",
        "/webhooks",
        &body,
        "/webhook_url",
        "station itself",
    );
    for url in [
        "http://127.0.0.1:9/hook",
        "http://localhost/hook",
        "https://10.0.0.1/",
    ] {
        let webhook = station.create_webhook(&json!({"provider": "casso", "webhook_url": url}));
        assert_eq!(webhook.shown["webhook_url"], url);
    }
}

#[test]
fn only_the_word_true_lifts_the_rule() {
    let station = Station::builder()
        .variable("ALLOW_PRIVATE_DESTINATIONS", "false")
        .start();
    let body = json!({"provider": "casso", "webhook_url": "https://127.0.0.1/hook"});
    refused(
        &station,
        "POST",
        "/webhooks",
        &body,
        "/webhook_url",
        "not public",
    );
}
