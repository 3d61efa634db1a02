//! What origins answer: taken or not, and how long to wait.

use super::text_line;
use crate::{
    delivery::{Answer, Failure, Response},
    relay::{self, KEPT_OF_ANSWER, READ_OF_SUCCESS},
    retry::retry_after,
    testing::samples::{START, destination},
    time::{HOUR, Timestamp},
    webhook::Strict,
};
use serde_json::Value;

/// A status and `retry-after` in the first line, then the answer's body.
pub fn answers(data: &[u8]) {
    let (first, body) = text_line(data);
    let (status, wait) = first.split_once(' ').unwrap_or((&first, ""));
    let status = status.parse().unwrap_or(200);
    let incomplete = [None, Some(Failure::Timeout)];
    let all = [Strict::Auto, Strict::Success, Strict::Status];
    for (strict, body_incomplete) in all
        .into_iter()
        .flat_map(|strict| incomplete.clone().map(|incomplete| (strict, incomplete)))
    {
        let mut to = destination(0);
        to.strict = strict;
        let broken = body_incomplete.is_some();
        let response = Response {
            started_at: START,
            duration_ms: 7,
            result: Ok(Answer {
                status,
                retry_after: Some(wait.to_owned()),
                body: body.to_vec(),
                body_incomplete,
            }),
        };
        let verdict = relay::judge(&to, 1, response, START);
        let is_success = (200..300).contains(&status);
        let read = body.get(..READ_OF_SUCCESS).unwrap_or(body);
        let says = relay::says_success(read);
        let taken = is_success
            && match strict {
                Strict::Auto => says != Some(false),
                Strict::Success => !broken && says == Some(true),
                Strict::Status => true,
            };
        assert_eq!(verdict.taken, taken);
        assert_eq!(verdict.attempt.error.is_none(), taken);
        assert_eq!(verdict.attempt.status_code, Some(status));
        // What is no character is three bytes of replacement.
        let most = KEPT_OF_ANSWER.saturating_mul(3);
        assert!(verdict.attempt.response_body.len() <= most, "kept too much");
        assert!(matches!(status, 429 | 503) || verdict.not_before.is_none());
        assert!(!(verdict.taken && verdict.server_down));
    }
    success(body);
    waits(&first);
    waits(wait);
}

fn success(body: &[u8]) {
    // What is strict JSON in UTF-8 has one meaning.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let says = value.as_object().and_then(|object| object.get("success"));
        let says = says.and_then(|says| match (says.as_bool(), says.as_f64()) {
            (Some(says), _) => Some(says),
            (_, Some(1.0)) => Some(true),
            (_, Some(0.0)) => Some(false),
            _ => None,
        });
        assert_eq!(relay::says_success(body), says);
        let marked = [b"\xef\xbb\xbf", body].concat();
        assert_eq!(
            relay::says_success(&marked),
            says,
            "behind a byte order mark"
        );
    }
}

fn waits(text: &str) {
    if let Some(until) = retry_after(text, START) {
        assert!(until > START && until <= START.plus(HOUR), "{until:?}");
    }
    if let Some(at) = Timestamp::parse_http_date(text) {
        assert_eq!(at.millis() % 1_000, 0);
        assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Some(at));
    }
}
