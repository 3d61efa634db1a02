//! How much of a body is taken, however it is sent.

use crate::{LIMIT, assert_no_trace, setting};
use tram_tests::{Origin, Station, casso, transaction};

/// A body of exactly this many bytes with the transaction `id`.
fn body_of(bytes: usize, id: u32) -> Vec<u8> {
    let mut body = casso(&[transaction(id)]).into_bytes();
    body.resize(bytes, b' ');
    body
}

#[test]
fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let (station, origin, webhook) = setting();
    let headers = [("secure-token", webhook.secret.as_str())];
    let too_large = body_of(LIMIT + 1, 1);
    let post = |body: &[u8]| station.client().post(&webhook.path, &headers, body);
    let chunked = |body: &[u8]| {
        let chunks: Vec<&[u8]> = body.chunks(60_000).collect();
        let client = station.client();
        client
            .post_chunked(&webhook.path, &headers, &chunks)
            .unwrap()
    };
    post(&too_large).assert_refused(413, "body_too_large");
    chunked(&too_large).assert_refused(413, "body_too_large");

    // Ten gigabytes are announced and a little comes: nobody waits for the rest.
    let mut connection = station.client().connect().unwrap();
    let head = connection.head(
        "POST",
        &webhook.path,
        &[headers[0], ("content-length", "10000000000")],
    );
    connection.write(head.as_bytes()).unwrap();
    connection.write(&too_large).unwrap();
    let answer = connection.read_answer().unwrap();
    answer.assert_refused(413, "body_too_large");

    // Less comes than was announced, and then nothing: whatever is said to that is
    // not success.
    let body = casso(&[transaction(2)]);
    let announced = u64::try_from(body.len()).unwrap() + 10;
    let cut_short =
        station
            .client()
            .post_announcing(&webhook.path, &headers, announced, body.as_bytes());
    assert!(cut_short.is_err() || cut_short.is_ok_and(|answer| answer.status >= 400));
    assert_no_trace(&station, &origin, &webhook);

    post(&body_of(LIMIT, 3)).assert_taken("accepted");
    chunked(&body_of(LIMIT, 4)).assert_taken("accepted");
    assert!(
        origin.wait_for(3)[1..]
            .iter()
            .all(|request| request.body.len() == LIMIT)
    );
}

#[test]
fn the_limit_can_be_set_and_has_one_of_its_own() {
    for (variable, limit) in [("2000", 2_000), ("999999999", 1_572_864)] {
        let station = Station::builder()
            .variable("MAX_BODY_BYTES", variable)
            .start();
        let origin = Origin::start();
        let webhook = station.casso_webhook(&origin);
        station
            .post_casso(&webhook, body_of(limit + 1, 1))
            .assert_refused(413, "body_too_large");
        assert_no_trace(&station, &origin, &webhook);
        let body = body_of(limit, 2);
        let ids = station.post_casso(&webhook, &body).assert_taken("accepted");
        let _ = station.wait_for_status(&ids[0], "delivered");
        assert!(origin.received()[1].body == body);
    }
}

#[test]
fn an_answer_is_not_lost_to_a_body_that_is_still_coming() {
    let (station, origin, webhook) = setting();
    let body = vec![b' '; 12_000_000];
    let chunks: Vec<&[u8]> = body.chunks(60_000).collect();
    let proof = ("secure-token", webhook.secret.as_str());
    let api = "/api/v1/webhooks";
    for (path, headers, status) in [
        (webhook.path.as_str(), vec![proof], 413),
        (&webhook.path, vec![proof, ("x-tram-hops", "3")], 508),
        ("/in/wh_00000000000000000000000000", vec![proof], 404),
        (api, vec![], 401),
        ("/nowhere", vec![], 404),
    ] {
        let client = station.client();
        let whole = client.post(path, &headers, &body);
        let chunked = client.post_chunked(path, &headers, &chunks).unwrap();
        for answer in [whole, chunked] {
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    assert_no_trace(&station, &origin, &webhook);
}
