//! Destinations that fail as servers do when they are down, and what the operator is
//! told of it.

mod alerts;
mod health;
mod recovery;

use std::thread;

/// Stories that take half a minute, because there is a probe, a deaf receiver or a slow
/// server to wait for: all of them in the same half minute.
const LONG: [(&str, fn()); 6] = [
    (
        "what_comes_late_waits_for_no_attempt_at_another_destination",
        health::what_comes_late_waits_for_no_attempt_at_another_destination,
    ),
    (
        "one_that_is_down_is_left_alone_probed_and_then_gets_all_oldest_first_at_its_rate",
        health::one_that_is_down_is_left_alone_probed_and_then_gets_all_oldest_first_at_its_rate,
    ),
    (
        "going_down_and_coming_back_are_told_once_each_with_how_many_are_released",
        alerts::going_down_and_coming_back_are_told_once_each_with_how_many_are_released,
    ),
    (
        "a_receiver_that_hangs_or_fails_delays_no_delivery_and_is_given_up",
        alerts::a_receiver_that_hangs_or_fails_delays_no_delivery_and_is_given_up,
    ),
    (
        "old_events_that_are_refused_hold_up_no_good_one",
        recovery::old_events_that_are_refused_hold_up_no_good_one,
    ),
    (
        "what_the_operator_does_ends_an_outage_at_once",
        recovery::what_the_operator_does_ends_an_outage_at_once,
    ),
];

#[test]
fn long_stories_at_once() {
    thread::scope(|scope| {
        for (name, story) in LONG {
            // A panic names its thread.
            thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, story)
                .expect("a thread");
        }
    });
}
