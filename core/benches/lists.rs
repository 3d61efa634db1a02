//! What a page of the list, and a scrape of the figures, cost with 100,000 stored events,
//! against 1,000.
//!
//! `cargo bench -p tram-core --features native-database --bench lists` prints for each
//! filter how long a page takes with either, and their ratio, and fails where that is
//! over its bound. The two are measured in turn, now one first and now the other, so
//! that a machine that is busy with something else is so for both. Both databases are
//! in memory: the figures are the statements' and the Mailbox's own work.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock and may stop"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tram_core::{
    delivery::Status,
    ids::EventId,
    mailbox::{Mailbox, view::EventQuery},
    messages::{AcceptReply, Taken},
    testing::{
        native::NativeDatabase,
        samples::{START, accept, event, verdict, webhook},
    },
    time::Timestamp,
    webhook::Retry,
};

const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// How many times a page of `FEW` one of `MANY` may take.
const BOUND: f64 = 2.0;
/// Pairs of measurements for each filter; the median of their ratios counts.
const PAIRS: usize = 301;
/// Events come in batches of so many, a second apart.
const BATCH: usize = 100;

/// A Mailbox with so many events.
struct Stored {
    db: NativeDatabase,
    mailbox: Mailbox,
    ids: Vec<EventId>,
    size: usize,
}

impl Stored {
    /// Nearly all delivered; each 97th failed, each 89th cancelled; the oldest ten and
    /// each hundredth of the whole pending again.
    fn new(size: usize) -> Self {
        let db = NativeDatabase::in_memory().unwrap();
        let mut mailbox = Mailbox::open(&db, None, START).unwrap();
        let mut config = webhook(1);
        config.retry = Retry::Custom {
            delays_seconds: Vec::new(),
        };
        mailbox.configure(&db, &config, 0, START).unwrap();
        let mut ids = Vec::with_capacity(size);
        let mut now = START;
        while ids.len() < size {
            let batch = (ids.len()..ids.len() + BATCH).map(|n| {
                let mut event = event(&format!("FT{n}"), &[b'x'; 500]);
                event.name = Some(if n % 2 == 0 { "in" } else { "out" }.into());
                event.summary.account = Some(format!("{:08}", n % 7));
                event.summary.amount = Some((100_000 + n).to_string());
                event
            });
            let reply = mailbox
                .accept(&db, &accept(batch.collect()), now)
                .unwrap()
                .reply;
            let AcceptReply::Taken(taken) = reply else {
                panic!("not taken");
            };
            ids.extend(taken.into_iter().map(|taken| match taken {
                Taken::New(id) => id,
                other => panic!("not new: {other:?}"),
            }));
            deliver(&mut mailbox, &db, now);
            now = now.plus(Duration::from_secs(1));
        }
        for id in ids.iter().take(10).chain(ids.iter().step_by(size / 100)) {
            mailbox.resend(&db, id.sequence, None, now).unwrap();
        }
        for id in ids.iter().skip(1).step_by(89) {
            mailbox.resend(&db, id.sequence, None, now).unwrap();
            mailbox.cancel(&db, id.sequence).unwrap();
        }
        Self {
            db,
            mailbox,
            ids,
            size,
        }
    }

    fn id(&self, share: f64) -> EventId {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in the list"
        )]
        let at = (self.size as f64 * share) as usize;
        self.ids[at.min(self.size - 1)]
    }

    /// How long the figures take a day later, and whether they are partial.
    fn scrape(&mut self) -> (f64, bool) {
        let now = START.plus(Duration::from_secs(86_400));
        let begun = Instant::now();
        let stats = self.mailbox.stats(&self.db, now).unwrap();
        (begun.elapsed().as_secs_f64(), black_box(stats).is_partial)
    }

    fn page(&self, query: &EventQuery) -> usize {
        self.mailbox.list(&self.db, query).unwrap().data.len()
    }
}

/// Every 97th is refused for good.
fn deliver(mailbox: &mut Mailbox, db: &NativeDatabase, now: Timestamp) {
    mailbox.woken();
    mailbox.begin_run();
    loop {
        let jobs = mailbox.lease(db, now, 6).unwrap();
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            let number = job.event.id.sequence.number() % 97;
            let status = if number == 0 { 400 } else { 200 };
            mailbox
                .finish(db, &job, verdict(&job, status, now), now, 0.0)
                .unwrap();
        }
    }
    mailbox.end_run(db, now).unwrap();
}

type Ask = fn(&Stored) -> EventQuery;

fn page() -> EventQuery {
    EventQuery {
        per_page: 20,
        ..EventQuery::default()
    }
}

fn status(status: Status) -> EventQuery {
    EventQuery {
        status: Some(status),
        ..page()
    }
}

fn text(q: &str) -> EventQuery {
    EventQuery {
        q: Some(q.to_owned()),
        ..page()
    }
}

fn named(name: &str) -> EventQuery {
    EventQuery {
        event: Some(name.to_owned()),
        ..page()
    }
}

fn at(id: EventId) -> i64 {
    id.sequence.at().millis()
}

/// What is asked of both.
const ASKED: &[(&str, Ask)] = &[
    ("nothing", |_| page()),
    ("nothing, 100 a page", |_| EventQuery {
        per_page: 100,
        ..page()
    }),
    ("a page in the middle", |stored| EventQuery {
        before: Some(stored.id(0.5)),
        ..page()
    }),
    ("webhook_id", |stored| EventQuery {
        webhook_id: Some(stored.ids[0].webhook),
        ..page()
    }),
    ("from, to: in the middle", |stored| EventQuery {
        from: Some(at(stored.id(0.4))),
        to: Some(at(stored.id(0.5))),
        ..page()
    }),
    ("to: the oldest", |stored| EventQuery {
        to: Some(at(stored.id(0.0))),
        ..page()
    }),
    ("status=delivered", |_| status(Status::Delivered)),
    ("status=failed, 1 in 97", |_| status(Status::Failed)),
    ("status=cancelled, 1 in 89", |_| status(Status::Cancelled)),
    ("status=pending, 110 in all", |_| status(Status::Pending)),
    ("status=failed, from, to", |stored| EventQuery {
        from: Some(at(stored.id(0.2))),
        to: Some(at(stored.id(0.9))),
        ..status(Status::Failed)
    }),
    ("event, every second", |_| named("in")),
    ("event, none", |_| named("nowhere")),
    ("q, every one", |_| text("dh1234")),
    ("q, an account", |_| text("00000003")),
    ("q, an amount: the oldest", |_| text("100000")),
    ("q, none", |_| text("nowhere")),
    ("q and status=pending, none", |_| EventQuery {
        status: Some(Status::Pending),
        ..text("nowhere")
    }),
    ("include=attempts", |_| EventQuery {
        include_attempts: true,
        ..page()
    }),
];

fn timed(stored: &Stored, query: &EventQuery) -> f64 {
    let begun = Instant::now();
    black_box(stored.page(black_box(query)));
    begun.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let (mut few, mut many) = (Stored::new(FEW), Stored::new(MANY));
    println!("| asked for | {FEW} stored | {MANY} stored | ratio | shown |");
    println!("|---|---|---|---|---|");
    let mut over = Vec::new();
    for (name, ask) in ASKED {
        let (ask_few, ask_many) = (ask(&few), ask(&many));
        let (mut of_few, mut of_many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let (one, other) = if pair % 2 == 0 {
                let one = timed(&few, &ask_few);
                (one, timed(&many, &ask_many))
            } else {
                let other = timed(&many, &ask_many);
                (timed(&few, &ask_few), other)
            };
            of_few.push(one);
            of_many.push(other);
            ratios.push(other / one);
        }
        let ratio = median(ratios);
        println!(
            "| {name} | {:.0} µs | {:.0} µs | {ratio:.2} | {} and {} |",
            median(of_few) * 1e6,
            median(of_many) * 1e6,
            few.page(&ask_few),
            many.page(&ask_many),
        );
        if ratio > BOUND {
            over.push(format!("{name}: {ratio:.2}"));
        }
    }
    for stored in [&mut few, &mut many] {
        // Counted once, as by the visit of each hour.
        while stored.scrape().1 {}
    }
    let mut ratios = Vec::new();
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (one, other) = (few.scrape().0, many.scrape().0);
        of_few.push(one);
        of_many.push(other);
        ratios.push(other / one);
    }
    let ratio = median(ratios);
    println!(
        "| the figures | {:.0} µs | {:.0} µs | {ratio:.2} | |",
        median(of_few) * 1e6,
        median(of_many) * 1e6
    );
    // An event that has not been counted for good costs more than one that has: what is
    // compared is at most a thousand of them with none.
    if ratio > BOUND {
        over.push(format!("the figures: {ratio:.2}"));
    }
    assert!(over.is_empty(), "over {BOUND}: {}", over.join(", "));
}
