//! A Worker for tests only: runs the core's SQL suite inside a real Durable
//! Object, through the very shim that the Mailbox uses, and counts the rows that
//! the platform would bill.
//!
//! `GET /cases` lists the cases; `GET /run/{case}` runs one on an empty database
//! and answers `ok`, or 500 with what failed; `GET /rows/{scenario}` answers with
//! the rows a scenario writes, `GET /read/{list}` with those that a page reads, and
//! `GET /figures/{stored}` with those that the figures of so many events take.

#![expect(missing_docs, reason = "the methods that the macro exports")]

#[path = "../../../src/database.rs"]
mod database;
#[path = "../../../src/thrown.rs"]
mod thrown;

use database::SqlDatabase;
use tram_core::testing::{rows, suite};
use worker::{
    Context, DurableObject, Env, Request, Response, Result, State, durable_object, event,
};

/// Every request goes to an object of its own, so that every case begins empty.
///
/// # Errors
/// When the object cannot be reached.
#[event(fetch)]
pub async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    env.durable_object("SUITE")?
        .unique_id()?
        .get_stub()?
        .fetch_with_request(request)
        .await
}

/// An object with an empty database.
#[durable_object(alarm)]
pub struct Suite {
    database: SqlDatabase,
}

impl DurableObject for Suite {
    fn new(state: State, _env: Env) -> Self {
        Self {
            database: SqlDatabase::new(&state),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let path = request.path();
        if path == "/cases" {
            return Response::from_json(&suite::names());
        }
        let outcome = match path
            .split_once('/')
            .map_or("", |(_, rest)| rest)
            .split_once('/')
        {
            Some(("run", case)) => suite::run(case, &self.database).map(|()| "ok".to_owned()),
            Some(("rows", scenario)) => {
                rows::run(scenario, &self.database, &|| self.database.rows_written())
                    .map(|rows| rows.to_string())
            }
            Some(("read", list)) => rows::read(list, &self.database, &|| self.database.rows_read())
                .map(|rows| rows.to_string()),
            Some(("figures", stored)) => match stored.parse() {
                Ok(stored) => rows::figures(stored, &self.database, &|| self.database.rows_read())
                    .map(|rows| rows.to_string()),
                Err(_) => Err("not a number".to_owned()),
            },
            _ => Err("no such route".to_owned()),
        };
        match outcome {
            Ok(text) => Response::ok(text),
            Err(why) => Response::error(why, 500),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        Response::empty()
    }
}
