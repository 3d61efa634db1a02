//! Whether a provider's settings and secrets fit it.

use super::Provider;
use crate::{problem::FieldError, secret::Secret, webhook::Settings};

/// Every mistake in a provider's settings and secrets.
#[must_use]
pub fn check(
    _provider: &dyn Provider,
    _settings: &Settings,
    _secrets: &[Secret],
) -> Vec<FieldError> {
    Vec::new()
}
