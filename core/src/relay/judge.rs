//! What the origin's answer means: taken or not, and what it says of the server.

use super::{KEPT_OF_ANSWER, READ_WHEN_STRICT, timeout_seconds};
use crate::{
    delivery::{Answer, Attempt, Failure, Response, Verdict},
    json::Json,
    retry::retry_after,
    time::Timestamp,
    webhook::Destination,
};

/// The most of the platform's own words that is kept of a failure, in bytes.
const KEPT_OF_REASON: usize = 300;

/// What the `number`th attempt means for its delivery.
///
/// A 2xx means taken, however its body ends; where the destination is `strict`,
/// the body must also say so ([`success_in`]). A redirect is a failure like any
/// other. That the *server* is down is said by no connection, no answer in time
/// (its body included, where that is needed), 5xx and 429, never by an answer that
/// refuses this one event.
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
                200..=299 => destination.strict && answer.body_incomplete == Some(Failure::Timeout),
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
                Failure::Forbidden(why) => because("not sent", why),
            });
            (!matches!(failure, Failure::Forbidden(_)), None)
        }
    };
    Verdict {
        taken: attempt.error.is_none(),
        attempt,
        server_down,
        not_before,
    }
}

/// Why an answer does not mean taken; `None` when it does.
fn complaint(destination: &Destination, answer: &Answer) -> Option<String> {
    let status = answer.status;
    match status {
        200..=299 if destination.strict => strict_complaint(destination, answer),
        200..=299 => None,
        300..=399 => Some(format!(
            "the origin answered {status}: redirects are not followed, configure the URL it leads to"
        )),
        _ => Some(format!("the origin answered {status}")),
    }
}

fn strict_complaint(destination: &Destination, answer: &Answer) -> Option<String> {
    if let Some(failure) = &answer.body_incomplete {
        let why = match failure {
            Failure::Timeout => &timed_out(destination),
            Failure::Connection(why) | Failure::Forbidden(why) => why,
        };
        return Some(because("strict: the body did not come to its end", why));
    }
    let looked_at = answer.body.get(..READ_WHEN_STRICT);
    if success_in(looked_at.unwrap_or(&answer.body)) {
        None
    } else if answer.body.len() >= READ_WHEN_STRICT {
        Some("strict: no success: true in the first 64 KiB of the body".to_owned())
    } else {
        Some("strict: the body is not a JSON object with success: true".to_owned())
    }
}

/// Whether a body is a JSON object whose `success` is `true` or the number 1, as
/// Casso's strict mode asks. `"true"` and `"1"` are text and do not count. Bytes
/// that are not UTF-8 and a byte order mark, which PHP files like to begin with,
/// do no harm.
#[must_use]
pub fn success_in(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let object = Json::parse(text.as_bytes()).and_then(Json::object);
    let success = object.and_then(|object| object.get("success"));
    success.is_some_and(|success| {
        let success = success.verbatim();
        success == "true" || serde_json::from_str(success).is_ok_and(|number: f64| number == 1.0)
    })
}

fn timed_out(destination: &Destination) -> String {
    format!("timed out after {} s", timeout_seconds(destination))
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

    fn destination(strict: bool) -> Destination {
        Destination {
            id: DestinationId::from_random([0; 8]),
            url: "https://shop.example/hook".into(),
            headers: BTreeMap::new(),
            timeout_seconds: 5,
            strict,
            sign: true,
            forward_credentials: true,
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

    /// `[strict] 503 [retry-after: 30] [broken|stalled] [body]` as an answer, or
    /// `timeout`, `connection`, `forbidden`.
    fn judged(scenario: &str) -> Verdict {
        let (strict, scenario) = match scenario.strip_prefix("strict ") {
            Some(rest) => (true, rest),
            None => (false, scenario),
        };
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
            "200 {\"success\":false}",
            "200 broken",
            "202 broken {\"succ",
            "200 stalled",
            "201 stalled {\"success\":false}",
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
    fn success_is_true_or_the_number_one() {
        for yes in [
            r#"{"success":true}"#,
            r#"{"success":1}"#,
            r#"{"success":1.0}"#,
            " {\"a\":{\"success\":false},\"success\" : true}\r\n",
            "\u{feff}{\"success\":true}",
            r#"{"success":false,"success":true}"#,
        ] {
            assert!(success_in(yes.as_bytes()), "{yes}");
        }
        assert!(success_in(b"{\"message\":\"\xe0\xff\",\"success\":true}"));
        for no in [
            "",
            "true",
            "1",
            r#""success""#,
            r#"{"success":"true"}"#,
            r#"{"success":"1"}"#,
            r#"{"success":0}"#,
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
            assert!(!success_in(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn nesting_without_end_is_not_success() {
        let deep = format!("{{\"success\":true,\"a\":{}", "[".repeat(60_000));
        assert!(!success_in(deep.as_bytes()));
    }

    fn strict_200(body: Vec<u8>) -> Verdict {
        let answer = Answer {
            status: 200,
            retry_after: None,
            body,
            body_incomplete: None,
        };
        judge(&destination(true), 1, response(Ok(answer)), NOW)
    }

    #[test]
    fn a_body_of_64_kib_is_read_and_one_beyond_says_so() {
        let mut body = br#"{"success":true}"#.to_vec();
        body.resize(READ_WHEN_STRICT, b' ');
        assert!(strict_200(body.clone()).taken);
        body.push(b'x');
        assert!(strict_200(body).taken, "it is not looked at");
        assert_eq!(
            strict_200(vec![b'['; READ_WHEN_STRICT])
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
        let verdict = judge(&destination(false), 1, response(Err(failure)), NOW);
        assert_eq!(
            verdict.attempt.error,
            Some(format!("no connection: {}", "ạ".repeat(100)))
        );
        let silent = Failure::Connection(String::new());
        let verdict = judge(&destination(false), 1, response(Err(silent)), NOW);
        assert_eq!(verdict.attempt.error.as_deref(), Some("no connection"));
    }

    proptest! {
        #[test]
        fn whatever_is_answered_is_judged(
            status: u16,
            strict: bool,
            retry_after in proptest::option::of("\\PC{0,40}"),
            body in proptest::collection::vec(any::<u8>(), 0..3_000),
            body_incomplete in proptest::option::of(prop_oneof![
                Just(Failure::Timeout),
                "\\PC{0,400}".prop_map(Failure::Connection),
            ]),
        ) {
            let too_late = strict && (200..300).contains(&status) && body_incomplete == Some(Failure::Timeout);
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
            prop_assert_eq!(strict_200(body).taken, expected);
        }
    }
}
