//! Keyed hashes and their notations.
