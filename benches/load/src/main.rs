//! Load for the benches: one process that sends unique signed events in closed
//! loops (or at a rate) and is the origin that they are relayed to, so that both
//! are timed by one clock. Loopback only.
//!
//! One JSON command a line on stdin, one JSON answer a line on stdout; ends with
//! stdin. The first line that it prints says the origin's port.
//!
//! `{"do":"origin", …}` scripts the origin, see [`origin::Script`].
//! `{"do":"fire", …}` sends, see [`fire::Order`].
//! `{"do":"arrivals","first":N,"count":N,"patience_ms":N}` waits until those
//! events have reached the origin.

mod event;
mod figures;
mod fire;
mod http;
mod origin;

use serde::Deserialize;
use std::{
    io::{BufRead, Write},
    time::Duration,
};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Command {
    Origin(origin::Script),
    Fire(fire::Order),
    Arrivals {
        first: u64,
        count: u64,
        patience_ms: u64,
    },
}

fn main() {
    let times = figures::Times::new();
    let origin = origin::Origin::start(times.clone());
    say(&serde_json::json!({ "origin_port": origin.port() }));
    let mut next = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a command is a line of UTF-8");
        let answer = match serde_json::from_str(&line) {
            Ok(Command::Origin(script)) => {
                origin.follow(script);
                serde_json::json!({})
            }
            Ok(Command::Fire(order)) => {
                let first = order.first.unwrap_or(next);
                let (done, after) = fire::fire(&order, first, &times);
                next = next.max(after);
                done
            }
            Ok(Command::Arrivals {
                first,
                count,
                patience_ms,
            }) => times.arrivals(first, count, Duration::from_millis(patience_ms)),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        say(&answer);
    }
}

fn say(answer: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").expect("the bench reads what it asked for");
    out.flush().expect("the bench reads what it asked for");
}
