//! Addresses of this machine. Needs the right to change the network.

use std::net::TcpListener;

use stack::{Error, LocalAddress};

#[test]
fn an_address_is_there_until_it_is_dropped() {
    let first = LocalAddress::in_net(250).unwrap();
    let second = LocalAddress::in_net(250).unwrap();
    assert_ne!(first.ip(), second.ip());
    assert_eq!(first.ip().octets()[..2], [10, 250]);
    let taken = LocalAddress::exactly(first.ip()).unwrap_err();
    assert!(matches!(taken, Error::NoAddress { .. }), "{taken}");
    assert!(TcpListener::bind((first.ip(), 0)).is_ok());
    let address = first.ip();
    drop(first);
    assert!(TcpListener::bind((address, 0)).is_err());
    assert!(TcpListener::bind((second.ip(), 0)).is_ok());
}
