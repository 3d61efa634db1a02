//! Any sequence of what can happen: nothing is lost, nothing is stored twice, and
//! the object is woken for whatever is pending.

use super::*;
use crate::{delivery::Status, testing::samples::destination, webhook::Retry};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    /// Names, whether they are test calls, and whether the edge begins runs.
    Accept(Vec<u8>, bool, bool),
    BeginRun,
    Lease(usize),
    Finish(usize, u16),
    Patience(usize),
    Abandon(usize),
    EndRun,
    Alarm,
    Crash,
    Wait(u64),
    Resend(usize),
    Pause(bool),
    Destinations(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop::collection::vec(0..40_u8, 1..5), prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(ids, test, begins)| Step::Accept(ids, test, begins)),
        2 => Just(Step::BeginRun),
        6 => (1..7_usize).prop_map(Step::Lease),
        8 => (any::<usize>(), prop_oneof![Just(200), Just(500), Just(404)])
            .prop_map(|(job, status)| Step::Finish(job, status)),
        1 => any::<usize>().prop_map(Step::Patience),
        1 => any::<usize>().prop_map(Step::Abandon),
        2 => Just(Step::EndRun),
        3 => Just(Step::Alarm),
        1 => Just(Step::Crash),
        4 => (0..200_000_u64).prop_map(Step::Wait),
        1 => any::<usize>().prop_map(Step::Resend),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (1..4_u8).prop_map(Step::Destinations),
    ]
}

struct World {
    rig: Rig,
    out: Vec<Job>,
    accepted: BTreeSet<EventId>,
    running: bool,
}

impl World {
    fn new() -> Self {
        let mut config = webhook(2);
        config.retry = Retry::Custom {
            delays_seconds: vec![1.0, 60.0, 120.0],
        };
        config.give_up_after_hours = 1;
        Self {
            rig: Rig::with(&config),
            out: Vec::new(),
            accepted: BTreeSet::new(),
            running: false,
        }
    }

    fn job(&mut self, which: usize) -> Option<Job> {
        (!self.out.is_empty()).then(|| self.out.swap_remove(which % self.out.len()))
    }

    fn lease(&mut self, slots: usize) {
        let jobs = self.rig.lease(slots);
        assert!(jobs.len() <= slots);
        for job in jobs {
            let twice = self
                .out
                .iter()
                .any(|out| out.event.id == job.event.id && out.destination == job.destination);
            assert!(!twice, "leased twice: {job:?}");
            self.out.push(job);
        }
        if !self.out.is_empty() {
            let alarm = self.rig.alarm().expect("a lease has an alarm");
            assert!(alarm <= self.rig.now.plus(millis(60_000)));
        }
    }

    fn apply_begin(&mut self) {
        self.rig.mailbox.begin_run();
        // What a run before it left is due again, and heard of no more.
        self.out.clear();
        self.running = true;
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Accept(ids, test, begins) => {
                let events = ids
                    .iter()
                    .map(|id| NewEvent {
                        test,
                        ..event(&id.to_string(), b"{}")
                    })
                    .collect();
                let accepted = if begins {
                    self.rig.offer_and_begin(events)
                } else {
                    self.rig.offer(events)
                };
                if accepted.begin {
                    assert!(begins && !self.running);
                    let alarm = self.rig.alarm().expect("what begins has an alarm");
                    assert!(alarm <= self.rig.now.plus(millis(60_000)));
                    self.apply_begin();
                }
                let AcceptReply::Taken(taken) = accepted.reply else {
                    panic!("not taken: {:?}", accepted.reply);
                };
                assert_eq!(taken.len(), ids.len());
                for one in taken {
                    if let Taken::New(id) | Taken::Test(Some(id)) = one {
                        assert!(self.accepted.insert(id), "an id given twice: {id}");
                    }
                }
            }
            Step::BeginRun => self.apply_begin(),
            Step::Lease(slots) => {
                if self.running {
                    self.lease(slots);
                }
            }
            Step::Finish(which, status) => {
                if let Some(job) = self.job(which) {
                    self.rig.finish(&job, status);
                }
            }
            Step::Patience(which) => {
                if let Some(job) = self.job(which) {
                    let mut asks = verdict(&job, 429, self.rig.now);
                    asks.not_before = Some(self.rig.now.plus(millis(600_000)));
                    self.rig.finish_with(&job, asks);
                }
            }
            Step::Abandon(which) => {
                if let Some(job) = self.job(which) {
                    self.rig.mailbox.abandon(&job);
                    self.rig
                        .mailbox
                        .ensure_armed(&self.rig.db, self.rig.now)
                        .unwrap();
                }
            }
            Step::EndRun => {
                self.rig.end_run();
                self.running = false;
            }
            Step::Alarm => {
                let fires = self.rig.alarm().is_some_and(|at| at <= self.rig.now);
                if fires {
                    self.rig.db.clear_alarm().unwrap();
                    self.rig.mailbox.woken();
                }
                if fires && self.running {
                    // The run was begun by an accept.
                    let renewed = self.rig.mailbox.renew_lease(&self.rig.db, self.rig.now);
                    renewed.unwrap();
                } else if fires {
                    self.rig.mailbox.begin_run();
                    self.out.clear();
                    self.lease(6);
                    self.rig.end_run();
                    self.running = false;
                }
            }
            Step::Crash => {
                self.rig.reopen();
                self.running = false;
                // A hold is forgotten with the object; its wake brings the alarm
                // forward.
                self.rig
                    .mailbox
                    .ensure_armed(&self.rig.db, self.rig.now)
                    .unwrap();
                let lost = std::mem::take(&mut self.out);
                // What the dead object's requests come to is heard by nobody.
                if let Some(job) = lost.first() {
                    self.rig.finish(job, 200);
                }
            }
            Step::Wait(duration) => self.rig.wait(millis(duration)),
            Step::Resend(which) => {
                let chosen = self.accepted.iter().nth(which % self.accepted.len().max(1));
                if let Some(id) = chosen {
                    let queued = self
                        .rig
                        .mailbox
                        .resend(&self.rig.db, id.sequence, None, self.rig.now)
                        .unwrap();
                    assert!(queued.is_some_and(|queued| queued > 0));
                }
            }
            Step::Pause(on) => self.rig.change(|webhook| webhook.is_paused = on),
            Step::Destinations(count) => self.rig.change(|webhook| {
                webhook.destinations = (0..count).map(destination).collect();
            }),
        }
        self.check();
    }

    fn check(&self) {
        let rig = &self.rig;
        rig.assert_cursor();
        let stored = i64::try_from(self.accepted.len()).unwrap();
        assert_eq!(rig.count("events"), stored, "stored twice or lost");
        let due = rig.due();
        if let Some(due) = due {
            let alarm = rig.alarm();
            assert!(alarm.is_some(), "pending without an alarm");
            if !self.running {
                let latest = due.max(rig.now.plus(millis(1)));
                assert!(
                    alarm.is_some_and(|at| at <= latest),
                    "armed too late: {alarm:?}, due {due:?}"
                );
            }
        }
        // What is pending is due at some time, or in flight, or paused.
        let paused = rig.mailbox.config().unwrap().is_paused;
        if !paused && due.is_none() {
            let pending = rig.count("events WHERE status = 'pending'");
            let out: BTreeSet<_> = self.out.iter().map(|job| job.event.id).collect();
            assert_eq!(pending, i64::try_from(out.len()).unwrap());
        }
        // The row's state follows from its deliveries.
        let strays = rig.number(
            "SELECT count(*) FROM waiting WHERE NOT EXISTS (
                 SELECT 1 FROM events WHERE events.seq = waiting.seq AND status = 'pending')",
        );
        assert_eq!(strays, 0);
        let hidden = rig.number(
            "SELECT count(*) FROM events WHERE fresh <> (instr(deliveries, '\"fresh\"') > 0)",
        );
        assert_eq!(hidden, 0);
    }

    /// Everything is let go its way: resumed, and woken whenever the alarm says.
    fn settle(&mut self) {
        for job in std::mem::take(&mut self.out) {
            self.rig.finish(&job, 500);
        }
        self.rig.change(|webhook| webhook.is_paused = false);
        self.rig.end_run();
        self.running = false;
        let mut wakes = 0;
        while self.rig.due().is_some() {
            self.rig.now = self.rig.alarm().expect("pending").max(self.rig.now);
            self.rig.run(if wakes % 2 == 0 { 500 } else { 200 });
            self.check();
            wakes += 1;
            assert!(wakes < 1_000, "never settles");
        }
        for id in &self.accepted {
            let status = self.rig.view(*id).status;
            assert_ne!(status, Status::Pending, "{id}");
        }
        assert_eq!(self.rig.count("waiting"), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]
    #[test]
    fn nothing_is_lost_or_stored_twice(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
        world.settle();
    }
}
