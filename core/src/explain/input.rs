//! Reads the request that is to be explained: as JSON, or with header fields pasted as
//! text from a provider's log or from `curl -v`.

use crate::{
    headers::Headers,
    inbound::Inbound,
    problem::Problem,
    receive,
    registry::input::{
        headers::is_token,
        reader::{self, Mistakes, Node, Object},
    },
    signature,
    time::Timestamp,
    webhook::{Encoding, Webhook},
};

const FIELDS: [&str; 6] = ["headers", "body", "body_base64", "method", "query", "at"];
const MAX_HEADERS: usize = 200;
const MAX_METHOD: usize = 32;

/// A request, and the time it is to be judged by.
#[derive(Debug)]
pub struct Question {
    /// The request as it would come in. Not decoded: that is for the edge.
    pub inbound: Inbound,
    /// The time that was asked for, else now.
    pub at: Timestamp,
}

/// What header fields were sent, and what a request line among them says.
#[derive(Default)]
struct Head {
    headers: Headers,
    count: usize,
    method: Option<String>,
    query: Option<String>,
}

/// Reads the operator's JSON. What is not sent is as the webhook's provider would send
/// it; `base_url` is where the station is reached.
///
/// # Errors
/// 422 with every mistake.
pub fn read(
    webhook: &Webhook,
    base_url: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<Question, Problem> {
    let mut mistakes = Mistakes::default();
    let value = reader::parse(body, &mut mistakes);
    let question = value.and_then(|value| {
        let sent = Node::root(&value).object(&FIELDS, &mut mistakes)?;
        Some(question(webhook, base_url, &sent, now, &mut mistakes))
    });
    question
        .filter(|_| mistakes.is_empty())
        .ok_or_else(|| Problem::invalid(mistakes.into_vec()))
}

fn question(
    webhook: &Webhook,
    base_url: &str,
    sent: &Object<'_>,
    now: Timestamp,
    mistakes: &mut Mistakes,
) -> Question {
    let head = sent
        .get("headers")
        .map(|node| head(node, mistakes))
        .unwrap_or_default();
    let method = sent
        .get("method")
        .and_then(|node| method(node, mistakes))
        .or(head.method)
        .or_else(|| receive::methods(webhook).first().map(|&first| first.into()));
    let query = sent
        .get("query")
        .and_then(|node| node.text(mistakes))
        .map(|query| query.strip_prefix('?').unwrap_or(query).to_owned())
        .or(head.query)
        .unwrap_or_default();
    let at = sent.get("at").and_then(|node| {
        let at = Timestamp::parse_rfc3339(node.text(mistakes)?);
        if at.is_none() {
            node.wrong("must be a time such as 2026-11-20T07:00:00Z", mistakes);
        }
        at
    });
    let mut url = [base_url, "/in/", &webhook.id.to_string()].concat();
    if !query.is_empty() {
        url.extend(["?", &query]);
    }
    Question {
        inbound: Inbound {
            method: method.unwrap_or_default(),
            url,
            query,
            headers: head.headers,
            body: content(sent, mistakes),
            ..Inbound::default()
        },
        at: at.unwrap_or(now),
    }
}

fn method(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let method = node.line(MAX_METHOD, mistakes)?;
    if !method.bytes().all(is_token) {
        node.wrong("is not an HTTP method", mistakes);
    }
    Some(method.to_ascii_uppercase())
}

fn content(sent: &Object<'_>, mistakes: &mut Mistakes) -> Vec<u8> {
    let text = sent.get("body").and_then(|node| node.text(mistakes));
    let Some(node) = sent.get("body_base64") else {
        return text.unwrap_or_default().into();
    };
    if sent.get("body").is_some() {
        node.wrong("cannot be sent beside body", mistakes);
    }
    let bytes = node.text(mistakes).map(|text| match text.trim() {
        // No signature is empty; a body may be.
        "" => Some(Vec::new()),
        text => signature::decode(Encoding::Base64, text),
    });
    if bytes == Some(None) {
        node.wrong("is not base64", mistakes);
    }
    bytes.flatten().unwrap_or_default()
}

/// Header fields, as an object or as text. A mistake never repeats what was sent.
fn head(node: &Node<'_>, mistakes: &mut Mistakes) -> Head {
    let mut head = Head::default();
    if let Some(text) = node.value.as_str() {
        for (at, line) in text.lines().enumerate() {
            if !head.take_line(line) {
                let line = at.saturating_add(1).to_string();
                node.wrong(
                    ["line ", &line, " is not a header field: write Name: value"].concat(),
                    mistakes,
                );
            }
        }
    } else if node.value.is_object() {
        for (name, field) in node.fields(mistakes).unwrap_or_default() {
            if let Some(value) = field.text(mistakes)
                && !head.take(name, value)
            {
                field.wrong("is not a header name", mistakes);
            }
        }
    } else {
        node.wrong(
            "must be an object, or a text of lines Name: value",
            mistakes,
        );
    }
    if head.count > MAX_HEADERS {
        node.wrong("must have at most 200 fields", mistakes);
    }
    head
}

impl Head {
    /// Takes a field; `false` when that is no name of one.
    fn take(&mut self, name: &str, value: &str) -> bool {
        if name.is_empty() || !name.bytes().all(is_token) {
            return false;
        }
        self.count = self.count.saturating_add(1);
        if self.count <= MAX_HEADERS {
            self.headers.join(name, value.trim());
        }
        true
    }

    /// Takes a line of text; `false` when it makes no sense.
    fn take_line(&mut self, line: &str) -> bool {
        let line = line.trim();
        let line = line.strip_prefix('>').map_or(line, str::trim);
        // What curl says of its own, of the answer and of HTTP/2.
        let is_remark = ["*", "<", ":", "{ [", "} ["]
            .into_iter()
            .any(|start| line.starts_with(start));
        line.is_empty()
            || is_remark
            || self.take_request_line(line)
            || line
                .split_once(':')
                .is_some_and(|(name, value)| self.take(name.trim_end(), value))
    }

    /// `POST /in/wh_…?a=b HTTP/1.1`
    fn take_request_line(&mut self, line: &str) -> bool {
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        if !version.starts_with("HTTP/") || !method.bytes().all(is_token) {
            return false;
        }
        self.method = Some(method.to_owned());
        self.query = target.split_once('?').map(|(_, query)| query.to_owned());
        true
    }
}
