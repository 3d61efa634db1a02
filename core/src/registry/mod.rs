//! The Registry: the truth about webhook configuration.
