//! Answers to senders and operators.

use tram_core::{problem::Problem, receive::Reply};
use worker::{Headers, Response, ResponseBuilder, Result};

/// The header that says what became of an inbound request.
pub(crate) const OUTCOME: &str = "x-tram-outcome";

/// A problem, RFC 9457.
pub(crate) fn problem(problem: &Problem) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/problem+json")?;
    headers.set("cache-control", "no-store")?;
    headers.set("x-content-type-options", "nosniff")?;
    for (name, value) in &problem.headers {
        headers.set(name, value)?;
    }
    let body = problem.to_json().into_bytes();
    Ok(ResponseBuilder::new()
        .with_status(problem.status)
        .with_headers(headers)
        .fixed(body))
}

/// JSON for operators: never cached, never sniffed.
pub(crate) fn json_text(status: u16, body: String) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("cache-control", "no-store")?;
    headers.set("x-content-type-options", "nosniff")?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(body.into_bytes()))
}

/// What a provider wants to hear.
pub(crate) fn reply(reply: &Reply, outcome: &str) -> Result<Response> {
    let headers = Headers::new();
    if !reply.content_type.is_empty() {
        headers.set("content-type", &reply.content_type)?;
    }
    headers.set(OUTCOME, outcome)?;
    let builder = ResponseBuilder::new()
        .with_status(reply.status)
        .with_headers(headers);
    // 204 and 205 may not carry a body, not even an empty one.
    Ok(if reply.body.is_empty() {
        builder.empty()
    } else {
        builder.fixed(reply.body.clone().into_bytes())
    })
}
