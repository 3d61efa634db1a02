//! Senders: each has a connection and sends its next event when the last one is
//! answered, or when its time has come.

use crate::{
    event::{self, Signer},
    figures::{Times, quantiles},
    http::Reader,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What to send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    port: u16,
    /// One is chosen for each event in turn, when there are several.
    paths: Vec<String>,
    /// What signs; another than the webhook's makes forgeries.
    secret: String,
    connections: u64,
    /// For so long …
    millis: Option<u64>,
    /// … or so many.
    count: Option<u64>,
    /// So many a second instead of as fast as they are answered.
    per_second: Option<f64>,
    /// The number of the first event; the next free one unless given.
    pub(crate) first: Option<u64>,
    /// So many different events, again and again.
    distinct: Option<u64>,
}

/// Sends, and says what came of it; with the number of the next event.
pub(crate) fn fire(order: &Order, first: u64, times: &Times) -> (Value, u64) {
    let signer = Signer::new(&order.secret);
    let taken = AtomicU64::new(0);
    let start = Instant::now();
    let deadline = order.millis.map(|ms| start + Duration::from_millis(ms));
    // The number of the next event to be sent, or none.
    let next = || {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        let number = taken.fetch_add(1, Relaxed);
        if order.count.is_some_and(|count| number >= count) {
            return None;
        }
        if let Some(per_second) = order.per_second {
            let due = start + Duration::from_secs_f64(number as f64 / per_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Some(number)
    };
    let mut latencies = Vec::new();
    let mut answers = BTreeMap::<String, u64>::new();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..order.connections)
            .map(|_| scope.spawn(|| send(order, first, times, &signer, &next)))
            .collect();
        for sender in senders {
            let (nanos, answered) = sender.join().expect("a sender ends by itself");
            latencies.extend(nanos);
            for (answer, count) in answered {
                *answers.entry(answer).or_default() += count;
            }
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let sent = u64::try_from(latencies.len()).expect("a count fits");
    let done = json!({
        "first": first,
        "sent": sent,
        "seconds": seconds,
        "per_second": sent as f64 / seconds,
        "latency": quantiles(latencies),
        "answers": answers,
    });
    (
        done,
        first + order.distinct.map_or(sent, |distinct| distinct.min(sent)),
    )
}

fn send(
    order: &Order,
    first: u64,
    times: &Times,
    signer: &Signer,
    next: &dyn Fn() -> Option<u64>,
) -> (Vec<u64>, BTreeMap<String, u64>) {
    let mut stream = TcpStream::connect(("127.0.0.1", order.port)).expect("the station listens");
    stream.set_nodelay(true).expect("a socket takes options");
    let mut reader = Reader::new(stream.try_clone().expect("a socket has two ends"));
    let mut latencies = Vec::new();
    let mut answers = BTreeMap::new();
    while let Some(number) = next() {
        let sequence = first + order.distinct.map_or(number, |distinct| number % distinct);
        let place = usize::try_from(number).expect("a number fits") % order.paths.len();
        let request = event::request(&order.paths[place], order.port, signer, sequence);
        let sent = Instant::now();
        times.sent(sequence, sent);
        stream.write_all(&request).expect("the station reads");
        let answer = reader.next().expect("the station answers");
        let answer = answer.expect("the station keeps the connection");
        let answered = Instant::now();
        times.answered(sequence, answered);
        latencies
            .push(u64::try_from((answered - sent).as_nanos()).expect("an answer takes seconds"));
        let status = answer.start.split(' ').nth(1).unwrap_or_default();
        let outcome = answer.header("x-tram-outcome").unwrap_or_default();
        *answers
            .entry(format!("{status} {outcome}").trim_end().to_owned())
            .or_default() += 1;
    }
    (latencies, answers)
}
