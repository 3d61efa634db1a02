//! What tests and simulations need: a native [`Database`](crate::database::Database)
//! with the platform's limits, one that fails on purpose, sample data, the SQL
//! cases that also run inside a real Durable Object, and what fuzzing runs. Not part of
//! the Worker.

#[cfg(any(test, feature = "native-database"))]
pub mod faulty;
#[cfg(any(test, feature = "fuzz"))]
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold has to stop the run"
)]
pub mod fuzz;
#[cfg(any(test, feature = "native-database"))]
pub mod native;
pub mod rows;
pub mod samples;
pub mod suite;
