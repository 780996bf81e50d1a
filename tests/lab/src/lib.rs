//! Real database nodes on this machine, for the tests: PostgreSQL servers as child processes, and the certificates that they
//! show.
//!
//! ```no_run
//! # fn main() -> Result<(), lab::Error> {
//! let authority = lab::Authority::new("the customer's")?;
//! let primary = lab::Postgres::start(&lab::Setup {
//!     tls: Some(authority.server(&["db.example.internal"])?),
//!     hba: vec!["hostssl all all 127.0.0.1/32 scram-sha-256".to_owned()],
//!     ..Default::default()
//! })?;
//! primary.sql("CREATE ROLE pilothouse_probe LOGIN PASSWORD 'secret'")?;
//! let standby = primary.standby(&lab::Setup::default())?;
//! # Ok(())
//! # }
//! ```

mod account;
mod authority;
mod error;
mod folder;
mod postgres;
mod process;

pub use authority::{Authority, Identity};
pub use error::Error;
pub use postgres::{Postgres, Session, Setup};
