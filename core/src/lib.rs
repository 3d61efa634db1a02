//! Everything Trạm decides, without a clock, randomness or I/O.

pub mod ids;
pub mod secret;
pub mod time;
