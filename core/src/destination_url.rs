//! Which URLs events may be relayed to.

use serde::{Deserialize, Serialize};

/// What is known of the station itself when a URL is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// The station's own host names (of `PUBLIC_URL` and of the request): never a
    /// destination.
    pub own_hosts: Vec<String>,
    /// `ALLOW_PRIVATE_DESTINATIONS=true`: local development.
    pub allow_private: bool,
}
