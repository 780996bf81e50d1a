//! The cluster spec from outside: what a put takes and refuses, what a stored spec is read as, what CloudFormation sends,
//! what is claimed, and that the JSON Schema says the same as the code.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod agreement;
mod bad_specs;
mod examples;
mod good_specs;
mod stored_and_coerced;
