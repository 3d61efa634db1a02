//! Query parameters of the management API, read strictly: what is not known, sent
//! twice or not well-formed is a mistake with its name, never ignored.

use crate::{
    delivery::Status,
    ids::{EventId, JobId, WebhookId},
    json::Json,
    mailbox::{jobs::JobKind, pass::Pass, view::EventQuery},
    problem::Problem,
    registry::input::reader::{Mistakes, below, shortened},
    search::Search,
    time::Timestamp,
};

/// Entries of a page unless asked for.
const PER_PAGE: u32 = 20;
/// Entries of a page at most.
const MAX_PER_PAGE: u32 = 100;
/// Characters of a text that is searched for, at most.
const MAX_TEXT: usize = 100;
/// Characters of an event's name, at most.
const MAX_NAME: usize = 200;

/// `GET /webhooks`: how many, and where the page before ended.
///
/// # Errors
/// 422 with every mistake.
pub fn list(query: &str) -> Result<(u32, Option<String>), Problem> {
    let mut parameters = Parameters::read(query, &["per_page", "cursor"]);
    let per_page = parameters.per_page();
    let cursor = parameters.text("cursor", MAX_NAME);
    parameters.finish((per_page, cursor))
}

/// `GET /events`.
///
/// # Errors
/// 422 with every mistake.
pub fn events(query: &str) -> Result<EventQuery, Problem> {
    read_events(Parameters::read(query, &EVENTS))
}

/// `POST /events/resend`, `POST /events/cancel`, `DELETE /events`: the filters of the
/// list, as parameters or as an object of texts in the body. At least one. `status` is
/// `failed` for a resend unless given, and can only be `pending` for a cancellation. With
/// `resend_id` a resend only asks how far that job is.
///
/// # Errors
/// 422 with every mistake.
pub fn job(
    kind: JobKind,
    query: &str,
    body: &[u8],
) -> Result<(EventQuery, Option<JobId>), Problem> {
    let known: &[&str] = match kind {
        JobKind::Resend => &RESENT,
        JobKind::Cancel | JobKind::Delete => &FILTERS,
    };
    let mut parameters = Parameters::read(query, known);
    parameters.read_object(body, known);
    let job = parameters.parsed("resend_id", JobId::parse, "is not a job_id of an answer");
    if parameters.sent.is_empty() && parameters.mistakes.is_empty() {
        parameters.mistake(
            "status",
            "is missing, as is every other filter: say which events are meant, such as status=failed",
        );
    }
    if kind == JobKind::Cancel
        && let Some(status) = parameters.get("status")
        && status != "pending"
        && self::status(&status).is_some()
    {
        parameters.mistake(
            "status",
            "can only be pending: nothing else is to be stopped",
        );
    }
    let mut asked = read_events(parameters)?;
    asked.per_page = 0;
    asked.status = asked.status.or(match kind {
        JobKind::Resend => Some(Status::Failed),
        JobKind::Cancel => Some(Status::Pending),
        JobKind::Delete => None,
    });
    Ok((asked, job))
}

/// By what events of a job are chosen.
const FILTERS: [&str; 6] = ["webhook_id", "status", "event", "from", "to", "q"];
/// What a resend of many takes.
const RESENT: [&str; 7] = [
    "webhook_id",
    "status",
    "event",
    "from",
    "to",
    "q",
    "resend_id",
];
/// What a list of events takes.
const EVENTS: [&str; 9] = [
    "per_page",
    "cursor",
    "webhook_id",
    "status",
    "event",
    "from",
    "to",
    "q",
    "include",
];

fn read_events(mut parameters: Parameters) -> Result<EventQuery, Problem> {
    let per_page = parameters.per_page();
    let cursor = |text: &str| match Pass::parse(text) {
        Some(pass) => Some((None, Some(Box::new(pass)))),
        None => EventId::parse(text).map(|before| (Some(before), None)),
    };
    let cursor = parameters.parsed("cursor", cursor, "is not a `next_cursor` of a list");
    let (before, pass) = cursor.unwrap_or_default();
    let asked = EventQuery {
        per_page,
        before,
        pass,
        webhook_id: parameters.parsed("webhook_id", WebhookId::parse, "is not a webhook id (wh_…)"),
        status: parameters.parsed(
            "status",
            status,
            "must be pending, delivered, failed or cancelled",
        ),
        event: parameters.text("event", MAX_NAME),
        from: parameters.time("from"),
        to: parameters.time("to"),
        q: parameters.searched("q"),
        include_attempts: parameters
            .parsed(
                "include",
                |text| (text == "attempts").then_some(()),
                "can only be `attempts`",
            )
            .is_some(),
    };
    if let (Some(from), Some(to)) = (asked.from, asked.to)
        && from > to
    {
        parameters.mistake("from", "must not be later than `to`");
    }
    parameters.finish(asked)
}

/// `DELETE /webhooks?webhook_url=…`: the destination URL to delete by.
///
/// # Errors
/// 422 when it is missing or not alone.
pub fn webhook_url(query: &str) -> Result<String, Problem> {
    let mut parameters = Parameters::read(query, &["webhook_url"]);
    let url = parameters.text("webhook_url", crate::destination_url::MAX_BYTES);
    if url.is_none() && parameters.mistakes.is_empty() {
        parameters.mistake(
            "webhook_url",
            "is missing: name the destination URL to delete by",
        );
    }
    parameters.finish(url.unwrap_or_default())
}

/// `GET /stats`: of one webhook, or of all.
///
/// # Errors
/// 422 with every mistake.
pub fn stats(query: &str) -> Result<EventQuery, Problem> {
    read_events(Parameters::read(query, &["webhook_id"]))
}

/// Routes that take no parameters.
///
/// # Errors
/// 422 when there is one.
pub fn none(query: &str) -> Result<(), Problem> {
    Parameters::read(query, &[]).finish(())
}

fn status(text: &str) -> Option<Status> {
    match text {
        "pending" => Some(Status::Pending),
        "delivered" => Some(Status::Delivered),
        "failed" => Some(Status::Failed),
        "cancelled" => Some(Status::Cancelled),
        _ => None,
    }
}

/// Decoded parameters and the mistakes found in them.
struct Parameters {
    sent: Vec<(String, String)>,
    mistakes: Mistakes,
    /// How many of what was sent came as parameters; the others stood in the body.
    /// `None` while there is none.
    in_query: Option<usize>,
}

impl Parameters {
    fn read(query: &str, known: &[&str]) -> Self {
        let mut parameters = Self {
            sent: Vec::new(),
            mistakes: Mistakes::default(),
            in_query: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else {
                parameters.mistake("", "holds a name that is not percent-encoded UTF-8");
                continue;
            };
            if !known.contains(&name.as_str()) {
                let message = if known.is_empty() {
                    "is not known: this route takes no parameters".to_owned()
                } else {
                    format!(
                        "is not known: use {} (`&` within a value is written %26)",
                        known.join(", ")
                    )
                };
                parameters.mistake(&name, &message);
            } else if parameters.sent.iter().any(|(sent, _)| *sent == name) {
                parameters.mistake(&name, "is sent twice: send it once");
            } else if let Some(value) = decode(value) {
                parameters.sent.push((name, value));
            } else {
                parameters.mistake(&name, "is not percent-encoded UTF-8");
            }
        }
        parameters
    }

    /// Reads an object of texts as if they were parameters.
    fn read_object(&mut self, body: &[u8], known: &[&str]) {
        let body = body.trim_ascii();
        if body.is_empty() {
            return;
        }
        self.in_query = Some(self.sent.len());
        let Some(object) = Json::parse(body).and_then(Json::object) else {
            let message =
                "is not a JSON object: send one of texts, such as {\"status\":\"failed\"}";
            self.mistakes.add("", message);
            return;
        };
        for (name, value) in object.iter() {
            let at = below("", name);
            if !known.contains(&name) {
                let message = ["is not known: use ", &known.join(", ")].concat();
                self.mistakes.add(at, message);
            } else if self.sent.iter().any(|(sent, _)| sent == name) {
                self.mistakes.add(at, "is sent twice: send it once");
            } else if let Some(text) = value.text() {
                self.sent.push((name.to_owned(), text));
            } else {
                self.mistakes.add(at, "must be text");
            }
        }
    }

    /// Notes a mistake where the field was sent; in the body, when it was not and there
    /// is one.
    fn mistake(&mut self, name: &str, message: &str) {
        let place = self.sent.iter().position(|(sent, _)| sent == name);
        let is_in_body = self
            .in_query
            .is_some_and(|count| place.is_none_or(|place| place >= count));
        let pointer = if is_in_body {
            below("", name)
        } else {
            ["?", shortened(name)].concat()
        };
        self.mistakes.add(pointer, message);
    }

    fn get(&self, name: &str) -> Option<String> {
        self.sent
            .iter()
            .find(|(sent, _)| sent == name)
            .map(|(_, value)| value.clone())
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        message: &str,
    ) -> Option<T> {
        let parsed = parse(&self.get(name)?);
        if parsed.is_none() {
            self.mistake(name, message);
        }
        parsed
    }

    fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.get(name)?;
        if (1..=longest).contains(&text.chars().count()) {
            Some(text)
        } else {
            self.mistake(name, &format!("must have 1 to {longest} characters"));
            None
        }
    }

    /// A text to search for: accents or blanks alone would find everything.
    fn searched(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, MAX_TEXT)?;
        if Search::new(&text).is_empty() {
            self.mistake(name, "must have a letter, a digit or a sign");
            return None;
        }
        Some(text)
    }

    fn per_page(&mut self) -> u32 {
        let whole = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number: u32 = if digits { text.parse().ok()? } else { 0 };
            (1..=MAX_PER_PAGE).contains(&number).then_some(number)
        };
        self.parsed("per_page", whole, "must be a whole number from 1 to 100")
            .unwrap_or(PER_PAGE)
    }

    /// Unix milliseconds of an RFC 3339 time. The `+` of an offset is often left
    /// unencoded and arrives as a blank: it can mean nothing else there.
    fn time(&mut self, name: &str) -> Option<i64> {
        let parse = |text: &str| {
            Timestamp::parse_rfc3339(text).or_else(|| {
                let (time, offset) = text.rsplit_once(' ')?;
                Timestamp::parse_rfc3339(&format!("{time}+{offset}"))
            })
        };
        self.parsed(
            name,
            parse,
            "must be an RFC 3339 time such as 2026-11-20T07:00:00Z",
        )
        .map(Timestamp::millis)
    }

    fn finish<T>(self, read: T) -> Result<T, Problem> {
        if self.mistakes.is_empty() {
            Ok(read)
        } else {
            Err(Problem::invalid(self.mistakes.into_vec()))
        }
    }
}

/// Decodes a name or value; `None` when it is malformed or not UTF-8. Stricter than
/// `form`, which reads what providers send: an operator is told of a mistake.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from((high << 4) | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pointers<T>(read: Result<T, Problem>) -> Vec<String> {
        read.err().map_or_else(Vec::new, |problem| {
            assert_eq!(problem.status, 422);
            problem
                .errors
                .into_iter()
                .map(|error| error.pointer)
                .collect()
        })
    }

    #[test]
    fn a_resend_of_many_takes_the_filters_as_parameters_or_as_an_object() {
        let resend = |query: &str, body: &[u8]| job(JobKind::Resend, query, body);
        let (asked, known) = resend("event=push", b"").unwrap();
        assert_eq!(known, None);
        assert_eq!(
            (asked.status, asked.event.as_deref()),
            (Some(Status::Failed), Some("push"))
        );
        let body = br#"{"status":"delivered","from":"2026-11-20T07:00:00Z","q":"DH1"}"#;
        let (asked, _) = resend("", body).unwrap();
        let id = JobId::from_random([7; 16]);
        let known = resend(&format!("resend_id={id}"), b"").unwrap().1;
        assert_eq!(known, Some(id));
        assert_eq!(asked.status, Some(Status::Delivered));
        assert_eq!(
            (asked.from, asked.q.as_deref()),
            (Some(1_795_158_000_000), Some("DH1"))
        );
        for (query, body, pointer) in [
            ("", "", "?status"),
            ("", "{}", "/status"),
            ("per_page=5", "", "?per_page"),
            ("", "[]", ""),
            ("resend_id=x", "", "?resend_id"),
            ("", "{\"q\":1}", "/q"),
            ("", "{\"x\":\"1\"}", "/x"),
            ("", "{\"status\":\"lost\"}", "/status"),
            ("status=failed", "{\"status\":\"failed\"}", "/status"),
            (
                "",
                "{\"status\":\"failed\",\"status\":\"failed\"}",
                "/status",
            ),
            // Where it was sent, and a name as RFC 6901 writes it.
            ("status=lost", "{\"q\":\"DH1\"}", "?status"),
            ("q=DH1", "{\"status\":\"lost\"}", "/status"),
            ("", "{\"a/b\":\"1\"}", "/a~1b"),
        ] {
            let found = pointers(resend(query, body.as_bytes()));
            assert_eq!(found, [pointer], "{query} {body}");
        }
    }

    #[test]
    fn what_is_stopped_is_pending_and_what_is_forgotten_is_anything() {
        let status = |kind, query| job(kind, query, b"").map(|(asked, _)| asked.status);
        for query in ["status=pending", "q=DH1", "event=push"] {
            assert_eq!(status(JobKind::Cancel, query), Ok(Some(Status::Pending)));
        }
        for query in [
            "status=failed",
            "status=delivered",
            "status=cancelled",
            "status=x",
            "",
        ] {
            assert_eq!(
                pointers(status(JobKind::Cancel, query)),
                ["?status"],
                "{query}"
            );
        }
        assert_eq!(status(JobKind::Delete, "q=DH1"), Ok(None));
        assert_eq!(
            status(JobKind::Delete, "status=failed"),
            Ok(Some(Status::Failed))
        );
        assert_eq!(pointers(status(JobKind::Delete, "")), ["?status"]);
        assert_eq!(pointers(status(JobKind::Delete, "q=%CC%81")), ["?q"]);
        for kind in [JobKind::Cancel, JobKind::Delete] {
            let query = "resend_id=job_00000000000000000000000000";
            assert_eq!(pointers(job(kind, query, b"")), ["?resend_id"]);
        }
    }

    #[test]
    fn a_list_is_asked_for() {
        assert_eq!(list(""), Ok((20, None)));
        assert_eq!(list("per_page=1&cursor=w7"), Ok((1, Some("w7".into()))));
        assert_eq!(list("per_page=100&"), Ok((100, None)));
        for (query, wrong) in [
            ("per_page=0", "?per_page"),
            ("per_page=101", "?per_page"),
            ("per_page=", "?per_page"),
            ("per_page", "?per_page"),
            ("per_page=+5", "?per_page"),
            ("per_page=5.0", "?per_page"),
            ("per_page=99999999999999999999", "?per_page"),
            ("per_page=5&per_page=5", "?per_page"),
            ("per_page=5&per%5Fpage=5", "?per_page"),
            ("cursor=", "?cursor"),
            ("cursor=%zz", "?cursor"),
            ("cursor=%e1%ba", "?cursor"),
            ("cursor=%4", "?cursor"),
            ("page=2", "?page"),
            ("%ff=1", "?"),
            ("=1", "?"),
        ] {
            assert_eq!(pointers(list(query)), [wrong], "{query}");
        }
    }

    #[test]
    fn events_are_narrowed() {
        assert_eq!(
            events(""),
            Ok(EventQuery {
                per_page: 20,
                ..EventQuery::default()
            })
        );
        let webhook = WebhookId::from_random([7; 16]);
        let before = EventId {
            sequence: crate::ids::Sequence::first_at(Timestamp::from_millis(1_763_632_800_000)),
            webhook,
            shard: 3,
        };
        let query = format!(
            "per_page=5&cursor={before}&webhook_id={webhook}&status=failed&event=order%2Fpaid&from=2025-11-20T10:00:00Z&to=2025-11-20T17:00:00.5+07:00&q=%C4%91%C6%A1n+h%C3%A0ng&include=attempts"
        );
        assert_eq!(
            events(&query),
            Ok(EventQuery {
                per_page: 5,
                before: Some(before),
                webhook_id: Some(webhook),
                status: Some(Status::Failed),
                event: Some("order/paid".into()),
                from: Some(1_763_632_800_000),
                to: Some(1_763_632_800_500),
                q: Some("đơn hàng".into()),
                include_attempts: true,
                pass: None,
            })
        );
        for (text, status) in [
            ("pending", Status::Pending),
            ("delivered", Status::Delivered),
            ("failed", Status::Failed),
            ("cancelled", Status::Cancelled),
        ] {
            let read = events(&format!("status={text}")).unwrap();
            assert_eq!(read.status, Some(status));
        }
        for (query, wrong) in [
            ("status=done", "?status"),
            ("status=Failed", "?status"),
            ("cursor=evt_1", "?cursor"),
            ("webhook_id=evt_1", "?webhook_id"),
            ("from=yesterday", "?from"),
            ("to=2025-11-20", "?to"),
            ("from=2025-11-21T00:00:00Z&to=2025-11-20T00:00:00Z", "?from"),
            ("q=", "?q"),
            ("q=%CC%81", "?q"),
            ("q=+%CC%81", "?q"),
            ("q=+", "?q"),
            ("include=body", "?include"),
            ("event=", "?event"),
            ("webhook=wh_1", "?webhook"),
        ] {
            assert_eq!(pointers(events(query)), [wrong], "{query}");
        }
        let long = |letters| events(&format!("q={}", "%C4%91".repeat(letters)));
        assert!(long(100).is_ok());
        assert_eq!(pointers(long(101)), ["?q"]);
    }

    #[test]
    fn every_mistake_is_named() {
        assert_eq!(
            pointers(events("status=x&per_page=x&colour=red&q=")),
            ["?colour", "?per_page", "?status", "?q"]
        );
    }

    #[test]
    fn a_url_to_delete_by() {
        assert_eq!(
            webhook_url("webhook_url=https%3A%2F%2Fshop.example%2Fhook%3Fa%3D1%26b"),
            Ok("https://shop.example/hook?a=1&b".into())
        );
        assert_eq!(
            webhook_url("webhook_url=https://shop.example/hook?a=1"),
            Ok("https://shop.example/hook?a=1".into())
        );
        for (query, wrong) in [
            ("", "?webhook_url"),
            ("webhook_url=", "?webhook_url"),
            ("url=https://shop.example/", "?url"),
            ("webhook_url=https://shop.example/?a=1&b=2", "?b"),
            ("webhook_url=a&webhook_url=b", "?webhook_url"),
        ] {
            assert_eq!(pointers(webhook_url(query)), [wrong], "{query}");
        }
    }

    #[test]
    fn nothing_where_nothing_is_taken() {
        assert_eq!(none(""), Ok(()));
        assert_eq!(pointers(none("x=1")), ["?x"]);
    }

    proptest! {
        #[test]
        fn a_text_survives_its_encoding(text in "\\PC{1,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(webhook_url(&format!("webhook_url={encoded}")), Ok(text));
        }

        #[test]
        fn any_query_is_read_or_refused(query in "[a-z_=&%0-9+]{0,40}") {
            let _ = events(&query);
        }
    }

    #[test]
    fn what_is_malformed_is_no_text() {
        for (text, expected) in [
            ("x+y%2Bz", Some("x y+z")),
            ("%C4%91%c6%a1n", Some("đơn")),
            ("", Some("")),
            ("%e1%ba", None),
            ("%zz", None),
            ("%4", None),
            ("%+4", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_encoded_is_decoded(text: String) {
            let form = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            proptest::prop_assert_eq!(decode(&form), Some(text));
        }
    }
}
