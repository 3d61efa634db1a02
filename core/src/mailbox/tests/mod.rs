//! The Mailbox as a whole: cost, faults, chance.
