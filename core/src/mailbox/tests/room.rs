//! What events take on disk: docs/scale.md counts with it.

use super::*;
use crate::{
    database::{DatabaseError, Row, Value},
    mailbox::prune::KEPT,
    testing::faulty::{Fault, Faulty},
    time::DAY,
};
use std::cell::Cell;

const EVENTS: u32 = 1_000;

impl Rig {
    /// Takes that many events with bodies of 2 KB and delivers them, `together` of them
    /// within an hour.
    fn fill(&mut self, events: u32, together: u32) {
        for number in 0..events {
            self.offer(vec![event(&number.to_string(), &[b'x'; 2_048])]);
            self.run(200);
            let next_hour = (number + 1) % together == 0;
            self.wait(millis(if next_hour { 3_600_000 } else { 10 }));
        }
    }

    /// Comes by every hour until no payload is left.
    fn outlive_payloads(&mut self) {
        self.now = START.plus(DAY * 30);
        while self.number("SELECT count(*) FROM events WHERE envelope IS NOT NULL") > 0 {
            self.wait(millis(3_600_000));
            while self.mailbox.prune_more || self.mailbox.prune_at.is_none_or(|at| at <= self.now) {
                self.mailbox.tend(&self.db, self.now).unwrap();
            }
        }
    }

    fn bytes_an_event(&self) -> i64 {
        self.db.bytes().unwrap() / self.count("events")
    }

    fn all_kept(&self) -> Vec<Row> {
        self.db
            .run(
                &format!("SELECT {KEPT}, deliveries FROM events ORDER BY seq"),
                &[],
            )
            .unwrap()
    }
}

#[test]
fn an_event_of_2_kb_takes_a_page_and_its_key_a_fourth_of_one() {
    for together in [1, 3, 10, EVENTS] {
        let mut rig = Rig::new(1);
        rig.fill(EVENTS, together);
        let whole = rig.bytes_an_event();
        rig.outlive_payloads();
        let key = rig.bytes_an_event();
        println!("{together} an hour: {whole} bytes, {key} when the payload is gone");
        assert!((4_096..4_300).contains(&whole), "{together}: {whole}");
        assert!((400..1_024).contains(&key), "{together}: {key}");
    }
}

#[test]
fn no_row_is_put_anew_for_the_sake_of_a_few_days() {
    for (dedupe_days, rows) in [(74, 20), (75, 30)] {
        let mut config = webhook(1);
        config.dedupe_days = dedupe_days;
        let mut rig = Rig::with(&config);
        rig.fill(20, 20);
        let before = rig.db.changes();
        rig.outlive_payloads();
        // One more is where it stands; a row of the index is not counted here.
        let written = rig.db.changes() - before;
        assert_eq!(written, rows + 1, "{dedupe_days} days");
    }
}

#[test]
fn what_is_kept_of_an_event_is_as_it_was() {
    let mut rig = Rig::new(2);
    rig.fill(20, 20);
    let before = rig.all_kept();
    // A test call goes as a whole.
    let mut test = event("test", &[b'x'; 2_048]);
    test.test = true;
    rig.offer(vec![test]);
    rig.run(200);
    rig.outlive_payloads();
    assert_eq!(rig.all_kept(), before);
    let again = rig.offer(vec![event("7", &[b'x'; 2_048])]);
    assert!(matches!(
        again.reply,
        AcceptReply::Taken(taken) if matches!(taken[..], [Taken::Duplicate { delivered: true, .. }])
    ));
}

#[test]
fn no_column_is_forgotten() {
    let columns = Rig::new(1)
        .db
        .run("SELECT name FROM pragma_table_info('events')", &[])
        .unwrap();
    let kept: Vec<&str> = KEPT
        .split(", ")
        .chain(["deliveries", "envelope", "body"])
        .collect();
    let columns: Vec<&str> = columns.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(columns, kept);
}

#[test]
fn a_row_that_is_put_anew_is_there_wherever_that_fails() {
    for fault in [Fault::Before, Fault::Stuck] {
        for call in 0.. {
            let mut rig = Rig::new(1);
            rig.fill(4, 4);
            let before = rig.all_kept();
            rig.now = START.plus(DAY * 31);
            let db = Faulty::new(&rig.db);
            db.fail(call, fault);
            let outcome = rig.mailbox.tend(&db, rig.now);
            let failed = !db.is_armed();
            assert_eq!(outcome.is_err(), failed, "call {call}, {fault:?}");
            assert_eq!(rig.all_kept(), before, "call {call}, {fault:?}");
            if !failed {
                assert!(call > 8, "{call}");
                break;
            }
        }
    }
}

/// How many bytes of values a statement has given at most.
struct Weighed<'a> {
    db: &'a NativeDatabase,
    most: Cell<usize>,
}

impl Database for Weighed<'_> {
    fn run(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, DatabaseError> {
        let rows = self.db.run(sql, parameters)?;
        let values = rows.iter().flat_map(|row| &row.0);
        let bytes = values.map(|value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) => 8,
        });
        self.most.set(self.most.get().max(bytes.sum()));
        Ok(rows)
    }

    fn set_alarm(&self, at: Timestamp) -> Result<(), DatabaseError> {
        self.db.set_alarm(at)
    }

    fn atomically<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.db.atomically(work)
    }
}

#[test]
fn a_batch_with_long_histories_fits_into_memory() {
    let mut rig = Rig::new(1);
    rig.fill(200, 200);
    // What many destinations and long answers come to: a row may be of 2 MB.
    rig.db
        .run(
            "UPDATE events SET deliveries = json_insert(deliveries, '$[0].note', ?)",
            &[Value::Text("n".repeat(100_000))],
        )
        .unwrap();
    let before = rig.all_kept();
    rig.now = START.plus(DAY * 31);
    let db = Weighed {
        db: &rig.db,
        most: Cell::new(0),
    };
    rig.mailbox.tend(&db, rig.now).unwrap();
    assert!(db.most.get() < 1 << 20, "{} bytes", db.most.get());
    assert_eq!(
        rig.number("SELECT count(*) FROM events WHERE body IS NOT NULL"),
        0
    );
    assert_eq!(rig.all_kept(), before);
}
