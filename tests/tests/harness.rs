//! The origin and the client that the black-box tests stand on, tried on each
//! other: what they cannot do, no test can see.

use serde_json::json;
use std::{
    io, thread,
    time::{Duration, Instant},
};
use tram_tests::{Client, Origin, Received, Reply};

#[test]
fn the_origin_records_a_request_byte_for_byte() {
    let origin = Origin::start();
    let body = [0, 255, 13, 10, 128];
    let answer =
        Client::new(origin.address()).post("/a%2Fb/../c?q=%C3%A1&q", &[("X-Name", "Trạm")], body);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let [request] = &origin.received()[..] else {
        panic!("one request");
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/a%2Fb/../c?q=%C3%A1&q");
    assert_eq!(request.header("x-name"), Some("Trạm"));
    assert_eq!(request.body, body);
}

#[test]
fn the_script_is_used_up_in_order_and_then_the_rule_holds() {
    let origin = Origin::start();
    origin
        .answer_with(|request: &Received| Reply::json(&json!({"to": request.target})))
        .then(Reply::status(503).header("retry-after", "30"))
        .then(Reply::status(204));
    let mut connection = Client::new(origin.address()).connect().unwrap();
    let mut ask = |path: &str| connection.send("GET", path, &[], b"");
    let first = ask("/1");
    assert_eq!(
        (first.status, first.header("Retry-After")),
        (503, Some("30"))
    );
    assert_eq!(ask("/2").status, 204);
    assert_eq!(ask("/3").json(), json!({"to": "/3"}));
    assert_eq!(origin.count(), 3);
}

#[test]
fn answers_can_be_closed_cut_and_late() {
    let origin = Origin::start();
    let client = Client::new(origin.address());
    let ask = || client.try_send("GET", "/", &[], b"");

    origin.then(Reply::close());
    assert_eq!(ask().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    origin.then(Reply::status(200).body("half").cut());
    assert_eq!(ask().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    origin.then(Reply::status(200).after(Duration::from_millis(60)));
    let begun = Instant::now();
    assert_eq!(ask().unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_hanging_and_a_stalled_answer_end_when_the_origin_goes_down() {
    for reply in [Reply::hang(), Reply::status(200).body("half").stall()] {
        let mut origin = Origin::start();
        origin.always(reply);
        let client = Client::new(origin.address());
        thread::scope(|scope| {
            let asking = scope.spawn(move || client.try_send("GET", "/", &[], b""));
            origin.wait_for(1);
            assert!(!asking.is_finished());
            origin.go_down();
            assert!(asking.join().unwrap().is_err());
        });
    }
}

#[test]
fn an_origin_goes_down_and_comes_back_at_the_same_address() {
    let mut origin = Origin::start();
    let client = Client::new(origin.address());
    origin.go_down();
    let refused = client.try_send("GET", "/", &[], b"").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    origin.come_back();
    assert_eq!(client.send("GET", "/", &[], b"").status, 200);
    assert_eq!(origin.count(), 1);
}

#[test]
fn what_runs_at_once_is_counted() {
    let origin = Origin::start();
    origin.always(Reply::status(200).after(Duration::from_millis(100)));
    let client = Client::new(origin.address());
    let ask = || assert_eq!(client.send("GET", "/", &[], b"").status, 200);
    ask();
    assert_eq!(origin.most_at_once(), 1);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(ask);
        }
    });
    assert!(origin.most_at_once() > 1);
}

#[test]
fn bodies_come_in_chunks_and_with_lengths_that_lie() {
    let origin = Origin::start();
    let client = Client::new(origin.address());
    let chunked = client.post_chunked("/", &[], &[b"a", b"", b"bcd"]).unwrap();
    assert_eq!(chunked.status, 200);
    assert_eq!(origin.received()[0].text(), "abcd");
    assert_eq!(origin.received()[0].header("content-length"), None);

    assert!(client.post_announcing("/", &[], 9, b"short").is_err());
    assert_eq!(origin.count(), 1, "a request that did not come whole");
    let cut = client.post_announcing("/", &[], 2, b"long").unwrap();
    assert_eq!(cut.status, 200);
    assert_eq!(origin.received()[1].text(), "lo");
}
