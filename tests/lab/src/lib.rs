//! Real database nodes on this machine, for the tests: PostgreSQL servers as child processes with the certificates that they
//! show, and clusters of nodes with etcd, Patroni and PostgreSQL, each at an address of its own.
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
//!
//! A node of a cluster is an instance with a folder, an address and a systemctl of its own. It starts by the script of a real node,
//! `infra/node/pilothouse-start`, which asks the node's instance metadata for the start grant:
//!
//! ```no_run
//! # fn main() -> Result<(), lab::Error> {
//! let setup = lab::ClusterSetup { flavour: lab::Flavour::Current, net: 61, nodes: 3 };
//! let cluster = lab::Cluster::start(setup)?;
//! let addresses: Vec<_> = cluster.nodes().iter().map(lab::Node::ip).collect();
//! let writer = lab::Writer::start(&addresses)?;
//! let (leader, replicas) = (cluster.leader()?, cluster.streaming(2)?);
//! leader.power_off()?;
//! let written = writer.stop();
//! println!("{:?} lost, no writes for {:?}", written.lost()?, written.longest_gap);
//! # Ok(())
//! # }
//! ```

mod account;
mod authority;
mod cluster;
mod disk;
mod error;
mod etcd;
mod folder;
mod http;
mod imds;
mod node;
mod patroni;
mod postgres;
mod process;
mod programs;
mod volume;
mod wait;
mod writer;

pub use authority::{Authority, Identity};
pub use cluster::{Cluster, ClusterSetup};
pub use disk::{Disk, Frozen, FsKind};
pub use error::Error;
pub use etcd::{Etcd, EtcdMember};
pub use http::Answer;
pub use imds::Tags;
pub use node::{Node, NodeSetup, START_TAG};
pub use patroni::{Flavour, Patroni, PatroniMember};
pub use postgres::{Postgres, Session, Setup};
pub use volume::{Attached, DataDisk};
pub use writer::{Writer, Written};
