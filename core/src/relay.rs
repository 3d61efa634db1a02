//! How an event leaves: the request to the origin and what its answer means.
