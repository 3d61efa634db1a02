//! The Mailbox: stores events and drives their deliveries.

pub mod view;
