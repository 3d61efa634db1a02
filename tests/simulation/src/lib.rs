//! Trạm's Mailbox in a simulated world: the real logic and the real SQL, and made up
//! around them time, origins, providers, an operator, a platform whose alarms are
//! late or lost, a disk that fails, and an object that dies between any two steps.
//!
//! A life follows from its [`Plan`], and a plan from a seed: what was found is found
//! again. `model` says what must be true, `world` and `edge` make it happen,
//! `disk` fails; [`Sabotage`] breaks the relay on purpose, to see that it is found.
//!
//! Out of scope: the Worker's own code and the real runtime (the black-box tests),
//! proof and splitting (the core's tests), more than one shard: they share nothing.

mod attempt;
pub mod campaign;
mod chance;
mod check;
mod disk;
mod model;
mod object;
mod operator;
mod origin;
mod plan;
mod platform;
mod post;
mod previous;
mod prompt;
mod receive;
mod run;
mod sabotage;
mod settle;
mod shorten;
mod trial;
mod webhook;
mod world;

pub use origin::Mood;
pub use plan::{Change, DESTINATIONS, Kind, Plan, SCHEDULES, Setup, Start, Step};
pub use sabotage::Sabotage;
pub use shorten::shorten;
pub use world::Seen;

use std::panic::{self, AssertUnwindSafe};
use tram_core::{
    database::Database,
    mailbox::Mailbox,
    testing::{native::NativeDatabase, samples::START},
};
use world::World;

/// What came of one life.
#[derive(Clone, Debug)]
pub struct Life {
    /// How much there was to see.
    pub seen: Seen,
    /// What was found wrong.
    pub wrong: Option<String>,
    /// What happened, when it was asked for.
    pub trace: Vec<String>,
}

/// Where lives are lived, one after the other: keeps a migrated database, as making
/// one costs as much as a life.
#[derive(Default)]
pub struct Lab {
    kept: Option<NativeDatabase>,
}

impl Lab {
    /// Lives a plan.
    ///
    /// # Panics
    /// When SQLite cannot make a database in memory.
    pub fn live(&mut self, plan: &Plan, sabotage: Option<Sabotage>, trace: bool) -> Life {
        let db = self.database(plan, sabotage);
        let mut world = World::new(plan, &db, sabotage, trace);
        let lived = panic::catch_unwind(AssertUnwindSafe(|| world.live(plan)));
        let wrong = match lived {
            Ok(outcome) => outcome.err(),
            Err(panicked) => Some(format!("panicked: {}", words(&*panicked))),
        };
        let life = Life {
            seen: world.seen,
            wrong,
            trace: world.trace.take().unwrap_or_default(),
        };
        drop(world);
        let intact = life.wrong.is_none() && plan.setup.start == Start::Migrated;
        if intact && sabotage.is_none() && !plan.steps.contains(&Step::Retire) {
            self.kept = Some(db);
        }
        life
    }

    fn database(&mut self, plan: &Plan, sabotage: Option<Sabotage>) -> NativeDatabase {
        let new = || NativeDatabase::in_memory().expect("a database in memory");
        let migrated = || {
            let db = new();
            Mailbox::open(&db, None, START).expect("an empty Mailbox opens");
            db
        };
        if sabotage == Some(Sabotage::CheckThenInsert) {
            let db = migrated();
            db.run("DROP INDEX events_by_key", &[])
                .expect("there is such an index");
            return db;
        }
        match plan.setup.start {
            Start::New | Start::Previous { .. } => new(),
            Start::Migrated => self.kept.take().map_or_else(migrated, emptied),
        }
    }
}

/// Everything but the schema and its version.
fn emptied(db: NativeDatabase) -> NativeDatabase {
    let run = |sql: &str| db.run(sql, &[]).expect("a database can be emptied");
    let tables = run("SELECT name FROM sqlite_master WHERE type = 'table'
         AND name NOT IN ('meta', 'platform_alarm') AND name NOT LIKE 'sqlite%'");
    for table in tables {
        let name = table.text(0).expect("a table has a name");
        run(&format!("DELETE FROM {name}"));
    }
    run("DELETE FROM meta WHERE name <> 'schema'");
    db.clear_alarm().expect("the alarm can be cleared");
    db
}

fn words(panicked: &(dyn std::any::Any + Send)) -> &str {
    panicked
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panicked.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}
