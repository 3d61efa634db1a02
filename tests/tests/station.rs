//! A station comes up, stands beside others, comes back from a power failure, and
//! can be given other surroundings.

use tram_tests::{ELSEWHERE, FakeKv, Origin, PATIENCE, Station, casso, transaction, wait_until};

#[test]
fn a_station_answers_is_killed_and_comes_back_at_the_same_address() {
    let station = Station::start();
    let other = Station::shared();
    let healthy = |station: &Station| {
        station
            .client()
            .try_send("GET", "/healthz", &[], b"")
            .is_ok_and(|answer| answer.status == 200)
    };
    assert_ne!(station.address(), other.address());
    assert!(healthy(&station) && healthy(&other));

    station.kill();
    assert!(!healthy(&station) && healthy(&other));
    station.restart();
    assert!(healthy(&station) && healthy(&other));
}

#[test]
fn two_isolates_share_their_objects() {
    let station = Station::builder().two_isolates().start();
    let origin = Origin::start();
    let webhook = station.casso_webhook(&origin);
    let elsewhere = |body: String| station.post_casso_with(&webhook, &[ELSEWHERE], body);

    let here = station.post_casso(&webhook, casso(&[transaction(1)]));
    let ids = here.assert_taken("accepted");
    elsewhere(casso(&[transaction(1)])).assert_taken("duplicate");
    let _ = station.wait_for_status(&ids[0], "delivered");
    let ids = elsewhere(casso(&[transaction(2)])).assert_taken("accepted");
    let _ = station.wait_for_status(&ids[0], "delivered");
    assert_eq!(origin.count(), 2);
}

#[test]
fn kv_can_be_stood_in_for() {
    let kv = FakeKv::start();
    let station = Station::builder().kv_at(&kv).start();
    let origin = Origin::start();
    let webhook = station.casso_webhook(&origin);
    station
        .post_casso(&webhook, casso(&[transaction(1)]))
        .assert_taken("accepted");
    let stored = wait_until("the configuration to be cached", PATIENCE, || {
        kv.calls_of("PUT", "webhook:").pop()
    });
    assert_eq!(stored.key, format!("webhook:{}", webhook.id));
    assert!(stored.ttl.is_some());
}
