//! Abuse costs the abuser: what nobody has proven, or what is replayed, reaches objects
//! and writes rows at a small rate of each isolate, however much of it comes. Counted by
//! a Worker around the deployed one; locally there is one isolate.

use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};
use tram_tests::{ADMIN_TOKEN, Answer, Origin, Station, casso, transaction};

/// Requests on four threads, and what they cost.
struct Flood<'a> {
    station: &'a Station,
    registry: (u64, u64),
    mailbox: (u64, u64),
    begun: Instant,
}

/// How often objects were called meanwhile, how many rows they wrote, and how long it took.
#[derive(Debug)]
struct Cost {
    registry_calls: u64,
    mailbox_calls: u64,
    rows: u64,
    seconds: u64,
}

/// The counts of both, once the log has caught up with what has happened.
fn settled(station: &Station) -> ((u64, u64), (u64, u64)) {
    let counts = || (station.calls("Registry"), station.calls("Mailbox"));
    let mut before = counts();
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = counts();
        if now == before {
            return now;
        }
        before = now;
    }
}

impl<'a> Flood<'a> {
    fn begin(station: &'a Station) -> Self {
        let (registry, mailbox) = settled(station);
        Self {
            station,
            registry,
            mailbox,
            begun: Instant::now(),
        }
    }

    /// The same request again and again, each told its number.
    fn send(&self, count: usize, status: u16, request: impl Fn(usize) -> Answer + Sync) {
        thread::scope(|scope| {
            for worker in 0..4 {
                let request = &request;
                scope.spawn(move || {
                    for n in (worker..count).step_by(4) {
                        let answer = request(n);
                        assert_eq!(answer.status, status, "{}", answer.text());
                    }
                });
            }
        });
    }

    fn end(self) -> Cost {
        // Rounded up: what is allowed each second is allowed in a begun one.
        let seconds = self.begun.elapsed().as_secs() + 1;
        let (registry, mailbox) = settled(self.station);
        Cost {
            registry_calls: registry.0 - self.registry.0,
            mailbox_calls: mailbox.0 - self.mailbox.0,
            rows: registry.1 + mailbox.1 - self.registry.1 - self.mailbox.1,
            seconds,
        }
    }
}

/// A webhook's id that nobody has: the last letter keeps its form.
fn unknown(n: u64) -> String {
    let digits = format!("{n:025}");
    format!("/in/wh_{digits}0")
}

#[test]
fn requests_for_unknown_ids_ask_the_registry_at_a_bounded_rate() {
    let station = Station::builder().counting().start();
    // The first call of all makes the Registry's tables.
    assert_eq!(station.post(&unknown(0), &[], "{}").status, 404);
    let flood = Flood::begin(&station);
    let mut sent = 0;
    // Until it is more than may be asked, however fast this machine is.
    while sent < 100 + 50 + 5 * flood.begun.elapsed().as_secs() {
        thread::scope(|scope| {
            for worker in 0..4 {
                let (station, begin) = (&station, sent + 1 + worker * 25);
                scope.spawn(move || {
                    for n in begin..begin + 25 {
                        // Refused for what it is, or told to come again.
                        let answer = station.post(&unknown(n), &[], "{}");
                        assert!([404, 503].contains(&answer.status), "{}", answer.text());
                    }
                });
            }
        });
        sent += 100;
        assert!(sent < 3_000, "too slow to say anything");
    }
    let cost = flood.end();
    assert!(cost.registry_calls <= 50 + 5 * cost.seconds, "{cost:?}");
    assert!(cost.registry_calls < sent, "{cost:?}");
    assert_eq!((cost.mailbox_calls, cost.rows), (0, 0), "{cost:?}");

    // One that is known to be none is asked for once.
    let station = Station::builder().counting().start();
    assert_eq!(station.post(&unknown(1), &[], "{}").status, 404);
    let flood = Flood::begin(&station);
    flood.send(100, 404, |_| station.post(&unknown(1), &[], "{}"));
    flood.send(100, 404, |n| station.post(&format!("/in/{n}"), &[], "{}"));
    let cost = flood.end();
    assert_eq!(
        (cost.registry_calls, cost.mailbox_calls, cost.rows),
        (0, 0, 0),
        "{cost:?}"
    );
}

#[test]
fn requests_that_are_refused_are_gathered() {
    let (station, origin) = (Station::builder().counting().start(), Origin::start());
    let webhook =
        || station.create_webhook(&json!({"provider": "casso", "webhook_url": origin.url("/")}));
    let (forged, methods, large) = (webhook(), webhook(), webhook());
    let off = station.create_webhook(&json!({
        "provider": "casso", "webhook_url": origin.url("/"), "is_active": false,
    }));
    let large_body = vec![b' '; 1_048_577];
    let wrong = [("secure-token", "forged")];
    let check = |what: &str, count: u64, cost: &Cost| {
        let Cost {
            registry_calls,
            mailbox_calls,
            rows,
            seconds,
        } = *cost;
        // Before it refuses it asks for news: ten at once and two a second. And it notes
        // once an hour, with a row, that there is something to prune.
        assert!(registry_calls <= 11 + 2 * seconds, "{what}: {cost:?}");
        // The first refusal at once, then what has gathered in ten seconds; the figures
        // every twenty. Of each webhook so far: what came before is told now.
        assert!(mailbox_calls <= 4 * (2 + seconds / 10), "{what}: {cost:?}");
        assert!(rows <= 2 * mailbox_calls + 1, "{what}: {cost:?}");
        assert!(
            registry_calls + mailbox_calls < count / 2,
            "too slow to say anything: {what} {cost:?}"
        );
    };
    let flood = Flood::begin(&station);
    flood.send(300, 401, |n| {
        station.post(&forged.path, &wrong, n.to_string())
    });
    check("forged", 300, &flood.end());
    let flood = Flood::begin(&station);
    flood.send(300, 405, |_| {
        station.client().send("PUT", &methods.path, &wrong, b"{}")
    });
    check("wrong methods", 300, &flood.end());
    let flood = Flood::begin(&station);
    flood.send(100, 413, |_| station.post(&large.path, &wrong, &large_body));
    check("too large", 100, &flood.end());
    let flood = Flood::begin(&station);
    flood.send(300, 503, |_| station.post(&off.path, &wrong, "{}"));
    check("switched off", 300, &flood.end());
    assert_eq!(origin.count(), 0);
}

#[test]
fn whoever_has_no_token_reaches_no_object() {
    let station = Station::builder().counting().start();
    let flood = Flood::begin(&station);
    for (method, path) in [
        ("GET", "/api/v1/webhooks"),
        ("POST", "/api/v1/webhooks"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/stats"),
        ("GET", "/metrics"),
        ("DELETE", "/api/v1/webhooks/wh_00000000000000000000000000"),
        (
            "POST",
            "/api/v1/webhooks/wh_00000000000000000000000000/explain",
        ),
        ("POST", "/api/v1/events/resend"),
    ] {
        let almost = format!("Bearer {ADMIN_TOKEN}x");
        flood.send(20, 401, |_| {
            let headers = [("authorization", almost.as_str())];
            station.client().send(method, path, &headers, b"{}")
        });
    }
    let cost = flood.end();
    assert_eq!(
        (cost.registry_calls, cost.mailbox_calls, cost.rows),
        (0, 0, 0),
        "{cost:?}"
    );
}

#[test]
fn ids_of_events_that_somebody_makes_up_make_no_object() {
    let (station, origin) = (Station::start(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    let known = station.send_transaction(&webhook, 1);
    let _ = station.wait_for_status(&known, "delivered");
    // A digit of the webhook, or of the shard, that the id names.
    let another = |id: &str, at: usize| {
        let digit = if id.as_bytes()[at] == b'1' { "2" } else { "1" };
        [&id[..at], digit, &id[at + 1..]].concat()
    };
    let made_up = [another(&known, 4 + 20), another(&known, 4 + 37)];
    for made_up in made_up {
        let path = format!("/events/{made_up}");
        for (method, path) in [
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/resend")),
            ("POST", format!("{path}/cancel")),
        ] {
            let answer = station.api(method, &path, None);
            assert_eq!(answer.problem(404), "event_not_found", "{method} {path}");
        }
    }
    let nobody = another(&webhook.id, 3 + 10);
    for (method, path) in [
        ("GET", format!("/webhooks/{nobody}/refusals")),
        ("POST", format!("/webhooks/{nobody}/explain")),
        ("POST", format!("/webhooks/{nobody}/test")),
        ("POST", format!("/webhooks/{nobody}/rotate-secret")),
        ("DELETE", format!("/webhooks/{nobody}")),
        ("GET", format!("/events?webhook_id={nobody}")),
        ("GET", format!("/stats?webhook_id={nobody}")),
        ("POST", format!("/events/resend?webhook_id={nobody}")),
    ] {
        let answer = station.api(method, &path, None);
        assert_eq!(answer.problem(404), "webhook_not_found", "{method} {path}");
    }
    let answer = station.post(&format!("/in/{nobody}"), &[], "{}");
    assert_eq!(answer.problem(404), "webhook_not_found");
    station.kill();
    let names: Vec<_> = station
        .objects_on_disk("Mailbox")
        .into_iter()
        .map(|object| object.name)
        .collect();
    assert_eq!(names, [format!("{}/0", webhook.id)]);
}

#[test]
fn a_test_call_that_is_replayed_wakes_nobody() {
    let (station, origin) = (Station::builder().counting().start(), Origin::start());
    let webhook = station.casso_webhook(&origin);
    for calls in [
        vec![transaction(0)],
        vec![transaction(0), json!({"id": 0, "tid": "a"})],
    ] {
        let body = casso(&calls);
        let before = origin.count();
        let flood = Flood::begin(&station);
        flood.send(400, 200, |_| {
            let answer = station.post_casso(&webhook, &body);
            answer.assert_taken("test");
            answer
        });
        let cost = flood.end();
        // Those that come at once before the first is taken, then each five seconds: an
        // accept and the alarms that relay it.
        let most = 8 + 4 * (1 + cost.seconds / 5) * 2;
        assert!(cost.registry_calls + cost.mailbox_calls <= most, "{cost:?}");
        assert!(cost.rows <= 2 * most * 5, "{cost:?}");
        assert!(most < 200, "too slow to say anything: {cost:?}");
        let relayed = u64::try_from(origin.count() - before).unwrap();
        assert!(
            (1..=2 * (1 + cost.seconds / 5)).contains(&relayed),
            "{relayed} {cost:?}"
        );
    }
}
