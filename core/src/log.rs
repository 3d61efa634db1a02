//! What is written to the log: one line of JSON per inbound request, one per attempt,
//! one per trouble of the station's own. Workers Logs makes each field one to search by.
//!
//! Of what a sender, an origin or an operator wrote nothing stands in the first two:
//! ids of the station's, its own words, and numbers. A flood can make lines many (one
//! for each request), never long.

use crate::{
    delivery::Attempt,
    ids::{DestinationId, EventId, WebhookId},
    messages::Taken,
    own_json, receive, relay,
};

/// An inbound request, answered.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// Whose, when the id in its path has the form of one.
    pub webhook_id: Option<WebhookId>,
    /// The webhook's provider, when there is such a webhook.
    pub provider: Option<&'a str>,
    /// What became of its events; nothing when it was refused.
    pub taken: &'a [Taken],
    /// As in `x-tram-outcome`.
    pub outcome: &'a str,
    /// What was answered.
    pub status: u16,
    /// How long it took.
    pub ms: u64,
    /// Why it was refused: for the operator, the sender hears nothing of it.
    pub reason: Option<&'a str>,
}

/// The line of an inbound request. Of a batch the first event is named, and how many
/// went on their way.
#[must_use]
pub fn inbound(one: &Inbound<'_>) -> String {
    let mut line = begin("inbound");
    let first = receive::set_out(one.taken).next();
    id(&mut line, "event_id", first);
    id(&mut line, "webhook_id", one.webhook_id);
    word(&mut line, "provider", one.provider);
    word(&mut line, "outcome", Some(one.outcome));
    number(&mut line, "status", Some(one.status.into()));
    number(&mut line, "ms", Some(one.ms));
    let events = receive::set_out(one.taken).count();
    number(&mut line, "events", u64::try_from(events).ok());
    if one.reason.is_some() {
        word(&mut line, "reason", one.reason);
    }
    end(line)
}

/// The line of an attempt. `status` is null where there was no answer.
#[must_use]
pub fn attempt(
    event: EventId,
    provider: &str,
    destination: DestinationId,
    attempt: &Attempt,
) -> String {
    let mut line = begin("attempt");
    id(&mut line, "event_id", Some(event));
    id(&mut line, "webhook_id", Some(event.webhook));
    word(&mut line, "provider", Some(provider));
    let taken = attempt.error.is_none();
    word(
        &mut line,
        "outcome",
        Some(if taken { "taken" } else { "not_taken" }),
    );
    number(&mut line, "status", attempt.status_code.map(u64::from));
    number(&mut line, "ms", Some(attempt.duration_ms));
    id(&mut line, "destination_id", Some(destination));
    number(&mut line, "number", Some(attempt.number.into()));
    if !taken {
        word(&mut line, "last_error", Some(why(attempt)));
    }
    end(line)
}

/// Why an attempt was not taken, in a word of the station's own: what the origin or the
/// platform said of it stands in the event's attempts alone.
fn why(attempt: &Attempt) -> &'static str {
    let error = attempt.error.as_deref().unwrap_or_default();
    match attempt.status_code {
        Some(200..=299) => "refused_in_body",
        Some(300..=399) => "redirected",
        Some(_) => "refused_by_status",
        None if error.starts_with(relay::TIMED_OUT) => "timed_out",
        None if error.starts_with(relay::NOT_SENT) => "not_sent",
        None => "no_connection",
    }
}

/// The line of what the station itself could not do.
#[must_use]
pub fn trouble(what: &str) -> String {
    let what = own_json::write(what).unwrap_or_default();
    [r#"{"log":"trouble","what":"#, &what, "}"].concat()
}

/// Longer than nearly all of them.
const USUAL_LENGTH: usize = 256;

fn begin(log: &str) -> String {
    let mut line = String::with_capacity(USUAL_LENGTH);
    line.extend(["{\"log\":\"", log, "\""]);
    line
}

fn end(mut line: String) -> String {
    line.push('}');
    line
}

fn id(line: &mut String, name: &str, id: Option<impl ToString>) {
    word(line, name, id.map(|id| id.to_string()).as_deref());
}

/// A word of the station's own, such as an id or a code. Anything else is not written:
/// it would need escaping, and has no business here.
fn word(line: &mut String, name: &str, word: Option<&str>) {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
    match word.filter(|word| word.bytes().all(plain)) {
        Some(word) => line.extend([",\"", name, "\":\"", word, "\""]),
        None => line.extend([",\"", name, "\":null"]),
    }
}

fn number(line: &mut String, name: &str, number: Option<u64>) {
    let number = number.map_or_else(|| "null".to_owned(), |number| number.to_string());
    line.extend([",\"", name, "\":", &number]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::{Answer, Failure, Response},
        testing::samples::{START, destination, event_id},
        time::Timestamp,
    };
    use serde_json::{Value, json};

    fn read(line: &str) -> Value {
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))
    }

    #[test]
    fn an_inbound_request_is_one_line() {
        let (first, second) = (event_id(1), event_id(2));
        let taken = [
            Taken::Duplicate {
                delivered: true,
                known_until: None,
            },
            Taken::New(first),
            Taken::Test(Some(second)),
            Taken::Test(None),
        ];
        let mut one = Inbound {
            webhook_id: Some(first.webhook),
            provider: Some("sepay-bankhub"),
            taken: &taken,
            outcome: "accepted",
            status: 200,
            ms: 7,
            reason: None,
        };
        assert_eq!(
            read(&inbound(&one)),
            json!({"log": "inbound", "event_id": first.to_string(),
                "webhook_id": first.webhook.to_string(), "provider": "sepay-bankhub",
                "outcome": "accepted", "status": 200, "ms": 7, "events": 2})
        );
        one.taken = &[];
        one.webhook_id = None;
        one.reason = Some("missing_header");
        // What is no word of the station's is not passed on, and breaks no line.
        one.provider = Some("a\"}\n{\"b\":\"c");
        assert_eq!(
            read(&inbound(&one)),
            json!({"log": "inbound", "event_id": null, "webhook_id": null, "provider": null,
                "outcome": "accepted", "status": 200, "ms": 7, "events": 0,
                "reason": "missing_header"})
        );
    }

    #[test]
    fn an_attempt_is_one_line_and_says_nothing_of_the_answer() {
        let (event, destination) = (event_id(1), destination(0).id);
        let mut made = Attempt {
            number: 3,
            started_at: Timestamp::from_millis(START.millis()),
            duration_ms: 41,
            status_code: Some(500),
            error: Some("the origin said https://a.example/?token=x".into()),
            response_body: "secret".into(),
        };
        let expected = |outcome: &str, status: Value, why: Option<&str>| {
            let mut line = json!({"log": "attempt", "event_id": event.to_string(),
                "webhook_id": event.webhook.to_string(), "provider": "casso",
                "outcome": outcome, "status": status, "ms": 41,
                "destination_id": destination.to_string(), "number": 3});
            if let Some(why) = why {
                line["last_error"] = json!(why);
            }
            line
        };
        let line = |made: &Attempt| read(&attempt(event, "casso", destination, made));
        let refused = expected("not_taken", json!(500), Some("refused_by_status"));
        assert_eq!(line(&made), refused);
        made.status_code = None;
        let unreached = expected("not_taken", Value::Null, Some("no_connection"));
        assert_eq!(line(&made), unreached);
        (made.status_code, made.error) = (Some(204), None);
        assert_eq!(line(&made), expected("taken", json!(204), None));
    }

    #[test]
    fn why_an_attempt_was_not_taken_is_a_word_for_each_way_to_fail() {
        let judged = |result: Result<Answer, Failure>| {
            let response = Response {
                started_at: START,
                duration_ms: 1,
                result,
            };
            let verdict = relay::judge(&destination(0), 1, response, START);
            read(&attempt(
                event_id(1),
                "casso",
                destination(0).id,
                &verdict.attempt,
            ))["last_error"]
                .clone()
        };
        let answer = |status, body: &str| {
            judged(Ok(Answer {
                status,
                retry_after: None,
                body: body.into(),
                body_incomplete: None,
            }))
        };
        assert_eq!(answer(200, ""), Value::Null);
        assert_eq!(answer(302, ""), "redirected");
        assert_eq!(answer(404, ""), "refused_by_status");
        assert_eq!(judged(Err(Failure::Timeout)), "timed_out");
        assert_eq!(judged(Err(Failure::Forbidden("x".into()))), "not_sent");
        let words = Failure::Connection("https://a.example/?token=x".into());
        assert_eq!(judged(Err(words)), "no_connection");
    }

    #[test]
    fn a_trouble_is_one_line_whatever_it_says() {
        assert_eq!(
            read(&trouble("KV: \"no\"\n\u{7}")),
            json!({"log": "trouble", "what": "KV: \"no\"\n\u{7}"})
        );
    }
}
