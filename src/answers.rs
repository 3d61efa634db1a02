//! Answers to senders and operators.

use crate::http::Response;
use tram_core::{headers::Headers, problem::Problem, receive::Reply};

/// The header that says what became of an inbound request.
pub(crate) const OUTCOME: &str = "x-tram-outcome";

/// On every answer: nobody between keeps it, or guesses at what it is.
const OF_ALL: [(&str, &str); 2] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
];
/// On every answer that is not a provider's: should a browser come to show one, it
/// loads nothing, stands in no frame and tells nobody where it came from.
const OF_MOST: [(&str, &str); 2] = [
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
];

/// A problem, RFC 9457.
pub(crate) fn problem(problem: &Problem) -> Response {
    let body = problem.to_json();
    let mut response = text(problem.status, "application/problem+json", body);
    for (name, value) in &problem.headers {
        response.headers.push(name, value.as_str());
    }
    response
}

/// JSON for operators.
pub(crate) fn json_text(status: u16, body: String) -> Response {
    text(status, "application/json", body)
}

/// A text for operators; without a body where the text is empty.
pub(crate) fn text(status: u16, content_type: &str, body: String) -> Response {
    let mut response = response(status, content_type, body);
    add(&mut response.headers, &OF_MOST);
    response
}

/// What a provider wants to hear.
pub(crate) fn reply(reply: &Reply, outcome: &str) -> Response {
    let mut response = response(reply.status, &reply.content_type, reply.body.clone());
    response.headers.push(OUTCOME, outcome);
    response
}

fn add(headers: &mut Headers, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        headers.push(name, *value);
    }
}

fn response(status: u16, content_type: &str, body: String) -> Response {
    let mut headers = Headers::new();
    add(&mut headers, &OF_ALL);
    if !content_type.is_empty() {
        headers.push("content-type", content_type);
    }
    Response {
        status,
        headers,
        body,
        ..Response::default()
    }
}
