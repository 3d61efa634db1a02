//! Answers to senders and operators.

use tram_core::{problem::Problem, receive::Reply};
use worker::{Headers, Response, ResponseBuilder, Result};

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
pub(crate) fn problem(problem: &Problem) -> Result<Response> {
    let body = problem.to_json();
    let response = text(problem.status, "application/problem+json", body)?;
    for (name, value) in &problem.headers {
        response.headers().set(name, value)?;
    }
    Ok(response)
}

/// JSON for operators.
pub(crate) fn json_text(status: u16, body: String) -> Result<Response> {
    text(status, "application/json", body)
}

/// A text for operators; without a body where the text is empty.
pub(crate) fn text(status: u16, content_type: &str, body: String) -> Result<Response> {
    let headers = Headers::new();
    set(&headers, &OF_ALL)?;
    set(&headers, &OF_MOST)?;
    response(status, headers, content_type, body)
}

/// What a provider wants to hear.
pub(crate) fn reply(reply: &Reply, outcome: &str) -> Result<Response> {
    let headers = Headers::new();
    set(&headers, &OF_ALL)?;
    headers.set(OUTCOME, outcome)?;
    response(
        reply.status,
        headers,
        &reply.content_type,
        reply.body.clone(),
    )
}

fn set(headers: &Headers, fields: &[(&str, &str)]) -> Result<()> {
    for (name, value) in fields {
        headers.set(name, value)?;
    }
    Ok(())
}

fn response(status: u16, headers: Headers, content_type: &str, body: String) -> Result<Response> {
    if !content_type.is_empty() {
        headers.set("content-type", content_type)?;
    }
    let builder = ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers);
    // 204 and 205 may not carry a body, not even an empty one.
    Ok(if body.is_empty() {
        builder.empty()
    } else {
        builder.fixed(body.into_bytes())
    })
}
