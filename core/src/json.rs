//! Reading JSON without changing a byte of it.
