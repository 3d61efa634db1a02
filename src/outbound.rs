//! One request to an origin: performs what the core has decided, within the
//! destination's time, and reports what came of it.

use crate::{body, clock, log, request};
use futures_util::future::{self, Either};
use std::pin::pin;
use tram_core::{
    alert::{Alert, TRIES_AFTER},
    delivery::{Answer, Failure, Job, Response, Verdict},
    destination_url::Station,
    providers,
    relay::{self, Outgoing},
    webhook::Webhook,
};
use worker::{AbortController, AbortSignal, Delay, Fetch, Headers, Request, Result};

/// Makes one attempt of `job`; `None` when its destination is configured no more.
pub(crate) async fn attempt(webhook: &Webhook, job: &Job, station: &Station) -> Option<Verdict> {
    let destination = webhook
        .destinations
        .iter()
        .find(|known| known.id == job.destination)?;
    let credentials: Vec<&str> = providers::all_credential_headers().collect();
    let started_at = clock::now();
    let version = env!("CARGO_PKG_VERSION");
    let result = match relay::outgoing(
        webhook,
        destination,
        job,
        &credentials,
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
    let verdict = relay::judge(destination, job.number, response, ended_at);
    log::write(tram_core::log::attempt(
        job.event.id,
        &webhook.provider,
        destination.id,
        &verdict.attempt,
    ));
    Some(verdict)
}

/// Tells the operator, with a few tries; whether it was heard.
pub(crate) async fn alert(webhook: &Webhook, alert: &Alert, url: &str, station: &Station) -> bool {
    let body = alert.body(webhook);
    let mut waits = TRIES_AFTER.into_iter();
    loop {
        let now = clock::now();
        let version = env!("CARGO_PKG_VERSION");
        let answer = match alert.outgoing(url, &body, webhook, station, version, now) {
            Ok(outgoing) => send(&outgoing).await,
            Err(why) => {
                log::trouble(format_args!("alert not sent: {why}"));
                return false;
            }
        };
        if answer.is_ok_and(|answer| (200..300).contains(&answer.status)) {
            return true;
        }
        match waits.next() {
            Some(wait) => Delay::from(wait).await,
            None => return false,
        }
    }
}

/// Sends and reads as much of the answer as is needed.
async fn send(outgoing: &Outgoing<'_>) -> Result<Answer, Failure> {
    let abort = AbortController::default();
    let answer = exchange(outgoing, &abort.signal()).await;
    // Whatever of the answer is unread is not wanted: free the connection.
    abort.abort();
    answer
}

/// One time-out for all of it. Once there is a status, running out of time ends the
/// body and not the answer: what a body without an end means is the core's to say.
async fn exchange(outgoing: &Outgoing<'_>, signal: &AbortSignal) -> Result<Answer, Failure> {
    let request = Fetch::Request(build(outgoing).map_err(connection)?);
    let mut time_out = pin!(Delay::from(outgoing.timeout));
    let sent = pin!(request.send_with_signal(signal));
    let mut response = match future::select(sent, time_out.as_mut()).await {
        Either::Left((response, _)) => response.map_err(connection)?,
        Either::Right(_) => return Err(Failure::Timeout),
    };
    let retry_after = response.headers().get("retry-after").ok().flatten();
    let mut body = Vec::new();
    let body_incomplete = match response.stream() {
        Ok(mut stream) => {
            let gathering = pin!(body::gather(&mut stream, outgoing.read_limit, &mut body));
            match future::select(gathering, time_out).await {
                Either::Left((gathered, _)) => gathered.err().map(connection),
                Either::Right(_) => Some(Failure::Timeout),
            }
        }
        // A response without a body has no stream.
        Err(_) => None,
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
    request::build(&outgoing.method, &outgoing.url, headers, outgoing.body)
}

fn connection(error: worker::Error) -> Failure {
    Failure::Connection(error.to_string())
}
