//! The probe against real PostgreSQL servers, and against one that means harm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod asking;
mod attacks;
mod hostile;
mod real;
