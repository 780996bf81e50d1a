//! Private addresses of this machine, at which tests put what stands for a customer's hosts: the real functions refuse to
//! send anything to a loopback address.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::Ipv4Addr;
use std::process::Command;

use crate::Error;

const INTERFACE: &str = "lo";
/// How `ip` says that the address is there already.
const TAKEN: &str = "exists";

/// An address of this machine until it is dropped. Needs the right to change the network.
#[derive(Debug)]
pub struct LocalAddress(Ipv4Addr);

impl LocalAddress {
    /// A free address of `10.<second>.0.0/16`, so that tests that run at the same time never share one.
    ///
    /// # Errors
    /// [`Error::NoAddress`] with the remedy.
    pub fn in_net(second: u8) -> Result<Self, Error> {
        // Each RandomState has keys of its own, drawn from the system's randomness.
        let candidates = std::iter::repeat_with(|| RandomState::new().build_hasher().finish().to_be_bytes());
        let mut last = String::new();
        // Not .0 and .255, which could look like a network's own; not .1 to .9, which tests name by hand.
        for [third, fourth, ..] in candidates.take(50) {
            let address = Ipv4Addr::new(10, second, third, fourth.clamp(10, 254));
            match ip("add", address) {
                Ok(()) => return Ok(Self(address)),
                Err(said) if said.contains(TAKEN) => last = said,
                Err(said) => return Err(Error::NoAddress { address, said }),
            }
        }
        Err(Error::NoAddress { address: Ipv4Addr::new(10, second, 0, 0), said: last })
    }

    /// Exactly this address.
    ///
    /// # Errors
    /// [`Error::NoAddress`], also where it is there already.
    pub fn exactly(address: Ipv4Addr) -> Result<Self, Error> {
        ip("add", address).map(|()| Self(address)).map_err(|said| Error::NoAddress { address, said })
    }

    /// The address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.0
    }
}

impl Drop for LocalAddress {
    fn drop(&mut self) {
        let _ = ip("del", self.0);
    }
}

fn ip(verb: &str, address: Ipv4Addr) -> Result<(), String> {
    let output = Command::new("ip").args(["address", verb, &format!("{address}/32"), "dev", INTERFACE]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("ip: {error}")),
    }
}
