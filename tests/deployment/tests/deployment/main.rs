//! The templates in `infra`, translated as SAM does it and created in the emulated AWS: what is there then, and that the
//! functions run with exactly the environment and the roles that the template gives them.
//!
//! Needs `make venv`, and the functions' programs (`cargo build --workspace --bins`).

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod alarms;
mod cluster_in_a_stack;
mod control_plane;
mod deploy;
mod events;
mod gateway;
mod nodes;
mod opentofu;
mod requests;
mod stage;
mod story;
mod template;
