//! A station comes up, stands beside others, and comes back from a power failure.

use tram_tests::Station;

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
