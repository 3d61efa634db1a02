//! What the origin's answer means: taken or not, and what it says of the server.

use super::{KEPT_OF_ANSWER, READ_OF_SUCCESS, timeout_seconds};
use crate::{
    delivery::{Answer, Attempt, Failure, Response, Verdict},
    json::Json,
    retry::retry_after,
    time::Timestamp,
    webhook::{Destination, Strict},
};

/// The most of the platform's own words that is kept of a failure, in bytes.
const KEPT_OF_REASON: usize = 300;

/// How the reason of an attempt begins that had no answer in time.
pub(crate) const TIMED_OUT: &str = "timed out";
/// How the reason of an attempt begins that was not made.
pub(crate) const NOT_SENT: &str = "not sent";

/// What the `number`th attempt means for its delivery.
///
/// A 2xx means taken, unless the body speaks against it: what it has to say is the
/// destination's [`Strict`]. A redirect is a failure like any other. That the *server*
/// is down is said by no connection, no answer in time (its body included, where success
/// has to stand there), 5xx and 429, never by an answer that refuses this one event.
#[must_use]
pub fn judge(
    destination: &Destination,
    number: u32,
    response: Response,
    now: Timestamp,
) -> Verdict {
    let mut attempt = Attempt {
        number,
        started_at: response.started_at,
        duration_ms: response.duration_ms,
        status_code: None,
        error: None,
        response_body: String::new(),
    };
    let (server_down, not_before) = match response.result {
        Ok(answer) => {
            attempt.status_code = Some(answer.status);
            attempt.error = complaint(destination, &answer);
            attempt.response_body = beginning_of(&answer.body);
            let asks_to_wait = matches!(answer.status, 429 | 503);
            let down = match answer.status {
                429 | 500..=599 => true,
                200..=299 => {
                    destination.strict == Strict::Success
                        && answer.body_incomplete == Some(Failure::Timeout)
                }
                _ => false,
            };
            (
                down,
                answer
                    .retry_after
                    .filter(|_| asks_to_wait)
                    .and_then(|value| retry_after(&value, now)),
            )
        }
        Err(failure) => {
            attempt.error = Some(match &failure {
                Failure::Timeout => timed_out(destination),
                Failure::Connection(why) => because("no connection", why),
                Failure::Forbidden(why) => because(NOT_SENT, why),
            });
            (!matches!(failure, Failure::Forbidden(_)), None)
        }
    };
    Verdict {
        taken: attempt.error.is_none(),
        attempt,
        server_down,
        not_before,
        broken_before: None,
    }
}

/// Why an answer does not mean taken; `None` when it does.
fn complaint(destination: &Destination, answer: &Answer) -> Option<String> {
    let status = answer.status;
    match status {
        200..=299 => match destination.strict {
            Strict::Auto => refusal(answer),
            Strict::Success => no_success(destination, answer),
            Strict::Status => None,
        },
        300..=399 => Some(format!(
            "the origin answered {status}: redirects are not followed, configure the URL it leads to"
        )),
        508 if is_loop(&answer.body) => Some(
            "the origin answered 508: the event came back to a station that it had passed. The URL \
             is, or leads to, the ingest URL of a webhook that this event comes from"
                .to_owned(),
        ),
        _ => Some(format!("the origin answered {status}")),
    }
}

/// Why a 2xx is a refusal all the same. A body that does not come to its end, or has
/// none within what is read, refuses nothing: the origin may have done the work, and
/// the event would come again and again.
fn refusal(answer: &Answer) -> Option<String> {
    (says_success(looked_at(answer)) == Some(false)).then(|| {
        format!(
            "the origin answered {}, but its body says that it failed (success is false or 0)",
            answer.status
        )
    })
}

fn no_success(destination: &Destination, answer: &Answer) -> Option<String> {
    if let Some(failure) = &answer.body_incomplete {
        let why = match failure {
            Failure::Timeout => &timed_out(destination),
            Failure::Connection(why) | Failure::Forbidden(why) => why,
        };
        return Some(because("strict: the body did not come to its end", why));
    }
    if says_success(looked_at(answer)) == Some(true) {
        None
    } else if answer.body.len() >= READ_OF_SUCCESS {
        Some("strict: no success: true in the first 64 KiB of the body".to_owned())
    } else {
        Some("strict: the body is not a JSON object with success: true".to_owned())
    }
}

fn looked_at(answer: &Answer) -> &[u8] {
    answer.body.get(..READ_OF_SUCCESS).unwrap_or(&answer.body)
}

/// What a body that is a JSON object says of its `success`: `true` or the number 1, as
/// Casso's strict mode asks, `false` or the number 0; `None` when it says neither.
/// `"true"` and `"0"` are text and do not count. Bytes that are not UTF-8 and a byte
/// order mark, which PHP files like to begin with, do no harm.
#[must_use]
pub fn says_success(body: &[u8]) -> Option<bool> {
    let success = member(body, "success")?;
    match success.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        number => match serde_json::from_str::<f64>(number) {
            Ok(1.0) => Some(true),
            Ok(0.0) => Some(false),
            _ => None,
        },
    }
}

/// Whether a body is another station's problem `loop`.
fn is_loop(body: &[u8]) -> bool {
    member(body, "code").is_some_and(|code| code == "\"loop\"")
}

/// The member of a body that is a JSON object, as it is written there.
fn member(body: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let object = Json::parse(text.as_bytes()).and_then(Json::object)?;
    Some(object.get(name)?.verbatim().to_owned())
}

fn timed_out(destination: &Destination) -> String {
    format!("{TIMED_OUT} after {} s", timeout_seconds(destination))
}

/// A sentence, and the reason where there is one.
fn because(what: &str, why: &str) -> String {
    let why = why.trim();
    if why.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", cut(why, KEPT_OF_REASON))
    }
}

/// What is kept of a body: its first KiB as text, whatever it is.
fn beginning_of(body: &[u8]) -> String {
    let kept = body.get(..KEPT_OF_ANSWER).unwrap_or(body);
    let mut text = String::new();
    let mut chunks = kept.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        // A character that the cut went through is left out, not shown as broken.
        let cut_through = chunks.peek().is_none() && kept.len() == KEPT_OF_ANSWER;
        if !chunk.invalid().is_empty() && !cut_through {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    cut(&text, KEPT_OF_ANSWER).to_owned()
}

/// At most that many bytes of `text`, ending with a whole character.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::DestinationId, time::HOUR};
    use proptest::prelude::*;
    use std::{collections::BTreeMap, time::Duration};

    const NOW: Timestamp = Timestamp::from_seconds(1_763_632_800);

    fn destination(strict: Strict) -> Destination {
        Destination {
            id: DestinationId::from_random([0; 8]),
            url: "https://shop.example/hook".into(),
            headers: BTreeMap::new(),
            timeout_seconds: 5,
            strict,
            sign: true,
            forward_credentials: true,
            resign: crate::webhook::Resign::default(),
            rate_per_second: 20,
        }
    }

    fn response(result: Result<Answer, Failure>) -> Response {
        Response {
            started_at: NOW,
            duration_ms: 12,
            result,
        }
    }

    /// `[strict|status] 503 [retry-after: 30] [broken|stalled] [body]` as an answer, or
    /// `timeout`, `connection`, `forbidden`.
    fn judged(scenario: &str) -> Verdict {
        let words = [("strict ", Strict::Success), ("status ", Strict::Status)];
        let (strict, scenario) = words
            .into_iter()
            .find_map(|(word, strict)| Some((strict, scenario.strip_prefix(word)?)))
            .unwrap_or((Strict::Auto, scenario));
        let result = match scenario {
            "timeout" => Err(Failure::Timeout),
            "connection" => Err(Failure::Connection("connection refused".into())),
            "forbidden" => Err(Failure::Forbidden("must begin with https://".into())),
            answer => {
                let (status, rest) = answer.split_at(3);
                let (retry_after, rest) = match rest.strip_prefix(" retry-after: ") {
                    Some(rest) => {
                        let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                        (Some(value.to_owned()), rest)
                    }
                    None => (None, rest),
                };
                let endings = [
                    (" broken", Failure::Connection("connection reset".into())),
                    (" stalled", Failure::Timeout),
                ];
                let ending = endings
                    .into_iter()
                    .find_map(|(word, why)| Some((Some(why), rest.strip_prefix(word)?)));
                let (body_incomplete, rest) = ending.unwrap_or((None, rest));
                Ok(Answer {
                    status: status.parse().unwrap(),
                    retry_after,
                    body: rest.trim_start().as_bytes().to_vec(),
                    body_incomplete,
                })
            }
        };
        judge(&destination(strict), 3, response(result), NOW)
    }

    #[test]
    fn a_2xx_means_taken() {
        for taken in [
            "200",
            "201",
            "204",
            "299",
            "200 OK",
            "200 <h1>success: false</h1>",
            "200 {\"success\":null}",
            "200 {\"success\":\"false\"}",
            "200 {\"data\":{\"success\":false}}",
            "200 [{\"success\":false}]",
            "200 broken",
            "202 broken {\"success\":false,\"mess",
            "200 stalled",
            "200 stalled {\"success\":false",
            "200 broken {\"success\":true}",
            "status 200 {\"success\":false}",
            "status 202 broken {\"succ",
            "status 201 stalled {\"success\":false}",
            "strict 200 {\"success\":true}",
            "strict 201 {\"success\":1,\"more\":[1,{}]}",
            "200 retry-after: 30",
        ] {
            let verdict = judged(taken);
            assert!(verdict.taken, "{taken}");
            assert_eq!(verdict.attempt.error, None, "{taken}");
            assert!(!verdict.server_down, "{taken}");
            assert_eq!(verdict.not_before, None, "{taken}");
        }
    }

    #[test]
    fn anything_else_does_not_and_says_why() {
        let check = |scenario: &str, server_down: bool, error: &str| {
            let verdict = judged(scenario);
            assert!(!verdict.taken, "{scenario}");
            assert_eq!(verdict.server_down, server_down, "{scenario}");
            assert_eq!(verdict.attempt.error.as_deref(), Some(error), "{scenario}");
        };
        let (up, down) = (false, true);
        check("500", down, "the origin answered 500");
        check("503", down, "the origin answered 503");
        check("524", down, "the origin answered 524");
        check("599", down, "the origin answered 599");
        check("429", down, "the origin answered 429");
        check("400", up, "the origin answered 400");
        check("404", up, "the origin answered 404");
        check("408", up, "the origin answered 408");
        check("410", up, "the origin answered 410");
        check("100", up, "the origin answered 100");
        check("600", up, "the origin answered 600");
        for redirect in ["301", "302", "304", "307", "308"] {
            check(
                redirect,
                up,
                &format!(
                    "the origin answered {redirect}: redirects are not followed, configure the URL it leads to"
                ),
            );
        }
        check("timeout", down, "timed out after 5 s");
        check("connection", down, "no connection: connection refused");
        check("forbidden", up, "not sent: must begin with https://");
        check(
            "strict 500 {\"success\":true}",
            down,
            "the origin answered 500",
        );
        check("strict timeout", down, "timed out after 5 s");
        let refused =
            "the origin answered 200, but its body says that it failed (success is false or 0)";
        check("200 {\"success\":false}", up, refused);
        check("200 {\"success\":0}", up, refused);
        check(
            "200 \u{feff}{\"message\":\"invalid\",\"success\":false}\n",
            up,
            refused,
        );
        // All of it has come, and no more is awaited.
        check("200 stalled {\"success\":false}", up, refused);
        check("200 broken {\"success\":0}", up, refused);
        check("404 {\"success\":true}", up, "the origin answered 404");
        let no_success = "strict: the body is not a JSON object with success: true";
        check("strict 200", up, no_success);
        check("strict 204", up, no_success);
        check("strict 200 OK", up, no_success);
        check("strict 200 {\"success\":false}", up, no_success);
        check("strict 200 {\"success\":true", up, no_success);
        check(
            "strict 200 broken {\"success\":true}",
            up,
            "strict: the body did not come to its end: connection reset",
        );
        check(
            "strict 200 stalled {\"success\":true}",
            down,
            "strict: the body did not come to its end: timed out after 5 s",
        );
        check("strict 404 stalled", up, "the origin answered 404");
        check("404 stalled", up, "the origin answered 404");
        check("500 stalled", down, "the origin answered 500");
    }

    #[test]
    fn retry_after_counts_for_429_and_503_only() {
        let check = |scenario: &str, seconds: Option<u64>| {
            let expected = seconds.map(|seconds| NOW.plus(Duration::from_secs(seconds)));
            assert_eq!(judged(scenario).not_before, expected, "{scenario}");
        };
        check("429 retry-after: 30", Some(30));
        check("503 retry-after: 30", Some(30));
        check("503 retry-after: Thu, 20 Nov 2025 10:00:10 GMT", Some(10));
        check("503 retry-after: 7200", Some(HOUR.as_secs()));
        check("503 retry-after: later", None);
        check("503", None);
        check("500 retry-after: 30", None);
        check("404 retry-after: 30", None);
        check("301 retry-after: 30", None);
        check("200 retry-after: 30", None);
        check("strict 200 retry-after: 30;{\"success\":0}", None);
    }

    #[test]
    fn a_loop_that_another_station_has_found_is_told_in_words() {
        let headers = [(crate::receive::HOPS, "3")].into_iter().collect();
        let webhook = crate::testing::samples::webhook(1);
        let problem = crate::receive::precheck(&webhook, "POST", &headers).unwrap_err();
        let body = String::from_utf8(problem.to_json().into()).unwrap();
        assert!(body.len() < KEPT_OF_ANSWER, "{body}");
        let told = judged(&format!("508 {body}")).attempt.error.unwrap();
        assert!(told.contains("came back to a station"), "{told}");
        assert_eq!(
            judged("508").attempt.error.as_deref(),
            Some("the origin answered 508")
        );
    }

    #[test]
    fn success_is_true_or_the_number_one() {
        for yes in [
            r#"{"success":true}"#,
            r#"{"success":1}"#,
            r#"{"success":1.0}"#,
            " {\"a\":{\"success\":false},\"success\" : true}\r\n",
            "\u{feff}{\"success\":true}",
            r#"{"success":false,"success":true}"#,
        ] {
            assert_eq!(says_success(yes.as_bytes()), Some(true), "{yes}");
        }
        assert_eq!(
            says_success(b"{\"message\":\"\xe0\xff\",\"success\":true}"),
            Some(true)
        );
        for no in [
            r#"{"success":false}"#,
            r#"{"success":0}"#,
            r#"{"success":0.0}"#,
            r#"{"success":-0}"#,
            r#"{"success":true,"success":false}"#,
        ] {
            assert_eq!(says_success(no.as_bytes()), Some(false), "{no}");
        }
        for neither in [
            "",
            "true",
            "1",
            r#""success""#,
            r#"{"success":"true"}"#,
            r#"{"success":"1"}"#,
            r#"{"success":"false"}"#,
            r#"{"success":"0"}"#,
            r#"{"success":2}"#,
            r#"{"success":1.5}"#,
            r#"{"success":null}"#,
            r#"{"success":[true]}"#,
            r#"{"Success":true}"#,
            r#"{"data":{"success":true}}"#,
            r#"[{"success":true}]"#,
            r#"{"success":true}}"#,
            r#"{"success":true,}"#,
            "<html>{\"success\":true}",
        ] {
            assert_eq!(says_success(neither.as_bytes()), None, "{neither}");
        }
    }

    #[test]
    fn nesting_without_end_is_not_success() {
        let deep = format!("{{\"success\":true,\"a\":{}", "[".repeat(60_000));
        assert_eq!(says_success(deep.as_bytes()), None);
    }

    fn strict_200(body: Vec<u8>) -> Verdict {
        let answer = Answer {
            status: 200,
            retry_after: None,
            body,
            body_incomplete: None,
        };
        judge(&destination(Strict::Success), 1, response(Ok(answer)), NOW)
    }

    #[test]
    fn a_body_of_64_kib_is_read_and_one_beyond_says_so() {
        let mut body = br#"{"success":true}"#.to_vec();
        body.resize(READ_OF_SUCCESS, b' ');
        assert!(strict_200(body.clone()).taken);
        body.push(b'x');
        assert!(strict_200(body).taken, "it is not looked at");
        assert_eq!(
            strict_200(vec![b'['; READ_OF_SUCCESS])
                .attempt
                .error
                .as_deref(),
            Some("strict: no success: true in the first 64 KiB of the body")
        );
    }

    #[test]
    fn the_attempt_keeps_what_happened() {
        assert_eq!(
            judged("500 oops").attempt,
            Attempt {
                number: 3,
                started_at: NOW,
                duration_ms: 12,
                status_code: Some(500),
                error: Some("the origin answered 500".into()),
                response_body: "oops".into(),
            }
        );
        assert_eq!(
            judged("200 {\"success\":true}").attempt.response_body,
            "{\"success\":true}"
        );
        assert_eq!(judged("timeout").attempt.status_code, None);
        assert_eq!(judged("timeout").attempt.response_body, "");
    }

    #[test]
    fn the_first_kib_of_the_answer_is_kept_to_a_whole_character() {
        assert_eq!(beginning_of("ạ".repeat(400).as_bytes()), "ạ".repeat(341));
        assert_eq!(
            beginning_of(&"ạ".repeat(400).as_bytes()[..1_024]),
            "ạ".repeat(341)
        );
        assert_eq!(beginning_of(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(beginning_of(b"a\xe1\xba"), "a\u{fffd}");
        assert_eq!(beginning_of(&[b'x'; 2_000]), "x".repeat(1_024));
    }

    #[test]
    fn what_the_platform_says_is_cut() {
        let failure = Failure::Connection("ạ".repeat(1_000));
        let verdict = judge(&destination(Strict::Auto), 1, response(Err(failure)), NOW);
        assert_eq!(
            verdict.attempt.error,
            Some(format!("no connection: {}", "ạ".repeat(100)))
        );
        let silent = Failure::Connection(String::new());
        let verdict = judge(&destination(Strict::Auto), 1, response(Err(silent)), NOW);
        assert_eq!(verdict.attempt.error.as_deref(), Some("no connection"));
    }

    proptest! {
        #[test]
        fn whatever_is_answered_is_judged(
            status: u16,
            strict in prop_oneof![Just(Strict::Auto), Just(Strict::Success), Just(Strict::Status)],
            retry_after in proptest::option::of("\\PC{0,40}"),
            body in proptest::collection::vec(any::<u8>(), 0..3_000),
            body_incomplete in proptest::option::of(prop_oneof![
                Just(Failure::Timeout),
                "\\PC{0,400}".prop_map(Failure::Connection),
            ]),
        ) {
            let too_late = strict == Strict::Success && (200..300).contains(&status) && body_incomplete == Some(Failure::Timeout);
            let answer = Answer { status, retry_after, body, body_incomplete };
            let verdict = judge(&destination(strict), 1, response(Ok(answer)), NOW);
            prop_assert_eq!(verdict.taken, verdict.attempt.error.is_none());
            prop_assert!(!verdict.taken || (200..300).contains(&status));
            prop_assert!(verdict.attempt.response_body.len() <= KEPT_OF_ANSWER);
            prop_assert_eq!(
                verdict.server_down,
                too_late || status == 429 || (500..600).contains(&status)
            );
        }

        #[test]
        fn a_strict_answer_is_taken_for_its_success_alone(value in "true|1|1\\.0|false|0|\"true\"|null|\\{\\}") {
            let body = format!("{{\"success\":{value}}}").into_bytes();
            let expected = matches!(value.as_str(), "true" | "1" | "1.0");
            prop_assert_eq!(strict_200(body.clone()).taken, expected);
            let answer = Answer { status: 200, retry_after: None, body, body_incomplete: None };
            let verdict = judge(&destination(Strict::Auto), 1, response(Ok(answer)), NOW);
            prop_assert_eq!(verdict.taken, !matches!(value.as_str(), "false" | "0"));
        }
    }
}
