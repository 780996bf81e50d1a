//! Patroni and etcd asked through a gateway: by servers that mean harm, and by real ones. The real ones need Debian's packages
//! etcd-server, patroni and postgresql.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod asking;
mod attacks;
mod etcd;
mod host;
mod patroni;
mod real;
