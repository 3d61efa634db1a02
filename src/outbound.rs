//! One request to an origin: performs what the core has decided, within the
//! destination's time, and reports what came of it.

use crate::{body, clock};
use tram_core::{
    delivery::{Answer, Failure, Job, Response, Verdict},
    destination_url::Station,
    providers,
    relay::{self, Outgoing},
    webhook::Webhook,
};
use worker::{
    AbortController, AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    Result, js_sys::Uint8Array,
};

/// Makes one attempt of `job`; `None` when its destination is configured no more.
pub(crate) async fn attempt(webhook: &Webhook, job: &Job, station: &Station) -> Option<Verdict> {
    let destination = webhook
        .destinations
        .iter()
        .find(|known| known.id == job.destination)?;
    let credentials =
        providers::find(&webhook.provider).map_or(&[][..], |p| p.about().credential_headers);
    let started_at = clock::now();
    let version = env!("CARGO_PKG_VERSION");
    let result = match relay::outgoing(
        webhook,
        destination,
        job,
        credentials,
        station,
        version,
        started_at,
    ) {
        Ok(outgoing) => send(&outgoing).await,
        Err(why) => Err(Failure::Forbidden(why)),
    };
    let ended_at = clock::now();
    let duration_ms = u64::try_from(ended_at.since(started_at).as_millis()).unwrap_or(u64::MAX);
    let response = Response {
        started_at,
        duration_ms,
        result,
    };
    Some(relay::judge(destination, job.number, response, ended_at))
}

/// Sends and reads as much of the answer as is needed, within the time-out.
async fn send(outgoing: &Outgoing<'_>) -> Result<Answer, Failure> {
    let abort = AbortController::default();
    let signal = abort.signal();
    let exchange = exchange(outgoing, &signal);
    let answer = clock::within(outgoing.timeout, exchange)
        .await
        .unwrap_or(Err(Failure::Timeout));
    // Whatever of the answer is unread is not wanted: free the connection.
    abort.abort();
    answer
}

async fn exchange(outgoing: &Outgoing<'_>, signal: &AbortSignal) -> Result<Answer, Failure> {
    let request = build(outgoing).map_err(connection)?;
    let mut response = Fetch::Request(request)
        .send_with_signal(signal)
        .await
        .map_err(connection)?;
    let retry_after = response.headers().get("retry-after").ok().flatten();
    let (body, body_incomplete) = match response.stream() {
        Ok(mut stream) => match body::gather(&mut stream, outgoing.read_limit).await {
            Ok((bytes, _)) => (bytes, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        },
        // A response without a body has no stream.
        Err(_) => (Vec::new(), None),
    };
    Ok(Answer {
        status: response.status_code(),
        retry_after,
        body,
        body_incomplete,
    })
}

fn build(outgoing: &Outgoing<'_>) -> Result<Request> {
    let headers = Headers::new();
    for (name, value) in &outgoing.headers {
        headers.append(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::from(outgoing.method.clone()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    if let Some(body) = outgoing.body {
        init.with_body(Some(Uint8Array::from(body).into()));
    }
    Request::new_with_init(&outgoing.url, &init)
}

fn connection(error: worker::Error) -> Failure {
    Failure::Connection(error.to_string())
}
