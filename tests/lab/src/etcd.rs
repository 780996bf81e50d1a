//! A node's etcd, by the JSON gateway of its API.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::ask;
use crate::wait::until;
use crate::{Error, programs};

/// Where clients reach it.
pub(crate) const CLIENT_PORT: u16 = 2379;
/// Where its peers reach it.
pub(crate) const PEER_PORT: u16 = 2380;
const LIMIT: Duration = Duration::from_secs(5);
/// etcd changes no membership until the members have been connected for 5 s (its `HealthInterval`).
const MEMBERSHIP_LIMIT: Duration = Duration::from_secs(60);

/// A member as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdMember {
    /// A decimal number of 64 bits, as the gateway writes it.
    pub id: String,
    /// Empty until it has started once.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where its clients are to reach it. Empty until it has started once.
    pub client_urls: Vec<String>,
    /// It gets what is written, and has no vote.
    pub learner: bool,
}

/// The etcd of one node.
#[derive(Debug, Clone, Copy)]
pub struct Etcd(Ipv4Addr);

impl Etcd {
    pub(crate) fn at(address: Ipv4Addr) -> Self {
        Self(address)
    }

    /// Its URL for clients.
    #[must_use]
    pub fn client_url(&self) -> String {
        format!("http://{}:{CLIENT_PORT}", self.0)
    }

    /// Its URL for peers.
    #[must_use]
    pub fn peer_url(&self) -> String {
        format!("http://{}:{PEER_PORT}", self.0)
    }

    /// The members of its cluster.
    ///
    /// # Errors
    /// [`Error::Http`], [`Error::Refused`].
    pub fn members(&self) -> Result<Vec<EtcdMember>, Error> {
        let told = self.ask("cluster/member/list", &json!({}))?;
        let members = told.get("members").and_then(Value::as_array);
        Ok(members.into_iter().flatten().map(member).collect())
    }

    /// Adds a member that has no vote yet, as soon as etcd takes one.
    ///
    /// # Errors
    /// [`Error::NotSeen`] with what etcd said.
    pub fn add_learner(&self, peer_url: &str) -> Result<EtcdMember, Error> {
        let body = json!({"peerURLs": [peer_url], "isLearner": true});
        until(&format!("etcd to add {peer_url}"), MEMBERSHIP_LIMIT, || {
            let told = self.ask("cluster/member/add", &body)?;
            Ok(told.get("member").map(member).ok_or_else(|| told.clone()))
        })
    }

    /// Gives a learner its vote, as soon as it has what the others have.
    ///
    /// # Errors
    /// [`Error::NotSeen`] with what etcd said.
    pub fn promote(&self, id: &str) -> Result<(), Error> {
        until(&format!("etcd to promote {id}"), MEMBERSHIP_LIMIT, || {
            self.ask("cluster/member/promote", &json!({"ID": id})).map(|_| Ok::<_, ()>(()))
        })
    }

    /// Removes a member, as soon as etcd does that.
    ///
    /// # Errors
    /// [`Error::NotSeen`] with what etcd said.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        until(&format!("etcd to remove {id}"), MEMBERSHIP_LIMIT, || {
            self.ask("cluster/member/remove", &json!({"ID": id})).map(|_| Ok::<_, ()>(()))
        })
    }

    /// What it says of itself: `leader`, `raftIndex`, `isLearner`.
    ///
    /// # Errors
    /// [`Error::Http`], [`Error::Refused`].
    pub fn status(&self) -> Result<Value, Error> {
        self.ask("maintenance/status", &json!({}))
    }

    fn ask(&self, route: &str, body: &Value) -> Result<Value, Error> {
        ask("POST", &format!("{}/v3/{route}", self.client_url()), Some(body), LIMIT)
    }
}

/// What is true or more than zero is named; everything else is left out.
fn member(told: &Value) -> EtcdMember {
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let urls = |name: &str| {
        let urls = told.get(name).and_then(Value::as_array).into_iter().flatten();
        urls.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    EtcdMember {
        id: text("ID"),
        name: text("name"),
        peer_urls: urls("peerURLs"),
        client_urls: urls("clientURLs"),
        learner: told.get("isLearner").and_then(Value::as_bool).unwrap_or_default(),
    }
}

/// The script by which a node's systemctl starts it: with the environment that `pilothouse-start` wrote.
pub(crate) fn unit(address: Ipv4Addr, scope: &str, node: &Path, run_as: &str) -> Result<String, Error> {
    let etcd = programs::etcd()?;
    let (etcd, data, environment) = (etcd.display(), data(node), node.join("state/etcd.env"));
    let (data, environment) = (data.display(), environment.display());
    let member = Etcd::at(address);
    let (client, peer) = (member.client_url(), member.peer_url());
    Ok(format!(
        "#!/bin/sh\nset -ae\nETCD_ADVERTISE_CLIENT_URLS={client}\n. '{environment}'\nexec {run_as}'{etcd}' --data-dir='{data}' --initial-cluster-token='{scope}' \
         --listen-client-urls={client} \
         --listen-peer-urls={peer} --initial-advertise-peer-urls={peer}\n"
    ))
}

pub(crate) fn data(node: &Path) -> PathBuf {
    node.join("etcd")
}
