//! The registry's behaviour, over ports in memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows them in tests, but not in their helpers"
)]

mod custom_resource;
mod custom_resource_once;
mod deletions;
mod payloads;
mod puts;
mod races;
mod statuses;
mod support;
mod words;
