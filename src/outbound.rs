//! One request to an origin: performs what the core has decided, within the
//! destination's time, and reports what came of it.

use crate::{clock, http, log, thrown::Thrown};
use tram_core::{
    alert::{Alert, TRIES_AFTER},
    delivery::{Answer, Failure, Job, Response, Verdict},
    destination_url::Station,
    providers,
    refusals::mask_echoes,
    relay::{self, Outgoing},
    webhook::{Destination, Webhook},
};
use wasm_bindgen::{JsCast, prelude::wasm_bindgen};
use worker::{
    Delay,
    js_sys::{Promise, Uint8Array, futures::JsFuture},
};

/// Outgoing requests that may wait for response headers at once on the platform: of a
/// seventh the time would run while it queues.
pub(crate) const AT_ONCE: usize = 6;

/// What came of a job.
pub(crate) enum Attempted {
    /// An attempt was made.
    Judged(Verdict),
    /// None: its destination is configured no more.
    Gone,
    /// None: this call of the object may make no more requests.
    OutOfRequests,
}

/// Makes one attempt of `job`, and one more at once where it finds its kept connection
/// closed.
pub(crate) async fn attempt(webhook: &Webhook, job: &Job, station: &Station) -> Attempted {
    let broken = match once(webhook, job, station).await {
        (Attempted::Judged(broken), true) => broken,
        (attempted, _) => return attempted,
    };
    match once(webhook, &job.again(), station).await.0 {
        Attempted::Judged(mut verdict) => {
            verdict.broken_before = Some(broken.attempt);
            Attempted::Judged(verdict)
        }
        Attempted::Gone | Attempted::OutOfRequests => Attempted::Judged(broken),
    }
}

/// One request; and whether it found its kept connection closed.
async fn once(webhook: &Webhook, job: &Job, station: &Station) -> (Attempted, bool) {
    let of_job = |known: &&Destination| known.id == job.destination;
    let Some(destination) = webhook.destinations.iter().find(of_job) else {
        return (Attempted::Gone, false);
    };
    let credentials: Vec<&str> = providers::all_credential_headers().collect();
    let started_at = clock::now();
    let version = env!("CARGO_PKG_VERSION");
    let outgoing = relay::outgoing(
        webhook,
        destination,
        job,
        &credentials,
        station,
        version,
        started_at,
    );
    let result = match &outgoing {
        Ok(outgoing) => send(outgoing).await,
        Err(why) => Err(Failure::Forbidden(why.clone())),
    };
    if matches!(&result, Err(failure) if failure.is_out_of_requests()) {
        return (Attempted::OutOfRequests, false);
    }
    let ended_at = clock::now();
    let duration_ms = u64::try_from(ended_at.since(started_at).as_millis()).unwrap_or(u64::MAX);
    let response = Response {
        started_at,
        duration_ms,
        result,
    };
    let found_closed = relay::found_connection_closed(job, &response);
    let mut verdict = relay::judge(destination, job.number, response, ended_at);
    if let Ok(outgoing) = &outgoing {
        mask_echoes(
            webhook,
            &outgoing.headers,
            &mut verdict.attempt.response_body,
        );
    }
    log::write(tram_core::log::attempt(
        job.event.id,
        &webhook.provider,
        destination.id,
        &verdict.attempt,
    ));
    (Attempted::Judged(verdict), found_closed)
}

/// What came of an alert.
pub(crate) enum Told {
    /// It was heard.
    Heard,
    /// It was not, however often it was tried.
    NotHeard,
    /// It is to be told by a later call of the object: this one may make no more requests.
    OutOfRequests,
}

/// Tells the operator, with a few tries.
pub(crate) async fn alert(webhook: &Webhook, alert: &Alert, url: &str, station: &Station) -> Told {
    let body = alert.body(webhook);
    let mut waits = TRIES_AFTER.into_iter();
    loop {
        let now = clock::now();
        let version = env!("CARGO_PKG_VERSION");
        let answer = match alert.outgoing(url, &body, webhook, station, version, now) {
            Ok(outgoing) => send(&outgoing).await,
            Err(why) => {
                log::trouble(format_args!("alert not sent: {why}"));
                return Told::NotHeard;
            }
        };
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => return Told::Heard,
            Err(failure) if failure.is_out_of_requests() => return Told::OutOfRequests,
            _ => {}
        }
        match waits.next() {
            Some(wait) => Delay::from(wait).await,
            None => return Told::NotHeard,
        }
    }
}

#[wasm_bindgen(module = "/src/outbound.js")]
extern "C" {
    /// See there.
    fn exchange(
        method: &str,
        url: &str,
        fields: &str,
        sent: Option<Uint8Array>,
        timeout: u32,
        limit: u32,
        kept: u32,
    ) -> Promise;

    /// What it resolves to.
    type Exchanged;

    #[wasm_bindgen(method, getter)]
    fn status(this: &Exchanged) -> u16;

    #[wasm_bindgen(method, getter, js_name = retryAfter)]
    fn retry_after(this: &Exchanged) -> Option<String>;

    #[wasm_bindgen(method, getter)]
    fn body(this: &Exchanged) -> Vec<u8>;

    #[wasm_bindgen(method, getter)]
    fn late(this: &Exchanged) -> bool;

    #[wasm_bindgen(method, getter)]
    fn failure(this: &Exchanged) -> Option<String>;
}

/// Sends and reads as much of the answer as is needed.
async fn send(outgoing: &Outgoing<'_>) -> Result<Answer, Failure> {
    let bytes = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let exchanging = exchange(
        &outgoing.method,
        &outgoing.url,
        &http::lines(outgoing.headers.iter().map(|(name, value)| (name, value))),
        outgoing.body.map(Uint8Array::from),
        u32::try_from(outgoing.timeout.as_millis()).unwrap_or(u32::MAX),
        bytes(outgoing.read_limit),
        bytes(relay::KEPT_OF_ANSWER),
    );
    let exchanged: Exchanged = match JsFuture::from(exchanging).await {
        Ok(exchanged) => exchanged.unchecked_into(),
        Err(error) => return Err(Failure::Connection(Thrown::from(error).0)),
    };
    let failure = if exchanged.late() {
        Some(Failure::Timeout)
    } else {
        exchanged.failure().map(Failure::Connection)
    };
    match (exchanged.status(), failure) {
        (0, failure) => Err(failure.unwrap_or(Failure::Timeout)),
        (status, body_incomplete) => Ok(Answer {
            status,
            retry_after: exchanged.retry_after(),
            body: exchanged.body(),
            body_incomplete,
        }),
    }
}
