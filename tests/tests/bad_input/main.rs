//! Whatever is sent, nothing breaks: no 5xx, no panic, and a good event that comes
//! next is taken. What is authentic is kept, however strange it is.

mod managing;
mod receiving;
mod routes;

use std::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
};
use tram_tests::{Answer, Origin, Shared, Station, Webhook, casso, transaction};

/// A station under test that must be as well afterwards as before.
struct Patient {
    station: Shared,
    origin: Origin,
    webhook: Webhook,
    good: AtomicU32,
}

impl Deref for Patient {
    type Target = Station;

    fn deref(&self) -> &Station {
        &self.station
    }
}

impl Patient {
    fn new() -> Self {
        let (station, origin) = (Station::shared(), Origin::start());
        let webhook = station.casso_webhook(&origin);
        Self {
            station,
            origin,
            webhook,
            good: AtomicU32::new(0),
        }
    }

    /// A good event is taken as if nothing had been.
    #[track_caller]
    fn assert_well(&self, after: &str) {
        let number = self.good.fetch_add(1, Ordering::Relaxed);
        let body = casso(&[transaction(format!("good {number}"))]);
        let answer = self.post_casso(&self.webhook, body);
        assert_eq!(answer.outcome(), "accepted", "after {after}");
    }

    /// Everything that was taken is delivered, and nobody has panicked.
    #[track_caller]
    fn discharge(self, taken: usize) {
        let expected = taken + self.good.load(Ordering::Relaxed) as usize;
        self.origin.wait_for(expected);
        let log = self.log();
        for word in [
            "panic",
            "unreachable",
            "Critical",
            "RuntimeError",
            "Uncaught",
        ] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "in the station's log");
        }
    }
}

/// Asserts an answer that blames the sender.
#[track_caller]
fn assert_blamed(answer: &Answer, what: &str) {
    assert!(
        (400..500).contains(&answer.status),
        "{}: {} {}",
        label(what),
        answer.status,
        label(&answer.text())
    );
    let code = answer.json()["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    answer.assert_problem(answer.status, &code);
}

/// Short enough to be read in a message.
fn label(text: &str) -> String {
    text.chars().take(80).collect()
}

fn nested(open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(100_000), close.repeat(100_000))
}

/// Texts that are not JSON, or are JSON that few expect.
fn strange_json() -> Vec<String> {
    let digits = "9".repeat(400);
    let mut texts: Vec<String> = [
        "",
        " ",
        "{",
        "[",
        "\"",
        "nul",
        "null",
        "true",
        "0",
        "-",
        "1e999",
        "-1e999",
        "\"text\"",
        "[]",
        "[[]]",
        "{}",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}{",
        "{\"a\":1,}",
        "\u{feff}{\"a\":1}",
        "\"\\ud800\"",
        "{\"\\ud800\":1}",
        "\"\\u12\"",
        "{\"a\":1,\"a\":2}",
        "a=1&b=2",
        "<xml/>",
        "\0",
        "{\"\0\":\"\u{1}\"}",
        "NaN",
        "[Infinity]",
        "01",
        "{\"a\":1e400,\"b\":-1e-400,\"c\":1E+2}",
    ]
    .map(str::to_owned)
    .into();
    texts.push(digits);
    texts.push(nested("[", ""));
    texts.push(nested("[", "]"));
    texts.push(nested("{\"a\":", "}"));
    texts.push(format!("\"{}\"", "x".repeat(900_000)));
    texts.push(format!("[{}0]", "0,".repeat(10_000)));
    texts
}
