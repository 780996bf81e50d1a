//! What the tests ask for, in short.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lab::{Authority, Identity};
use ports::Secret;
use reach::Failure;
use reach::gateway::{Credentials, ErrorCode, ProbeItem, Probed, TlsItem};
use reach::postgres::probe;

/// The name in the certificates.
pub(crate) const NAME: &str = "db.example.internal";
/// The role.
pub(crate) const ROLE: &str = "pilothouse_probe";
/// Its password, which must not show anywhere.
pub(crate) const PASSWORD: &str = "xyzzy-plugh-42";
/// More than any test needs, less than it would wait for nothing.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Asks whether it speaks PostgreSQL.
pub(crate) fn bare(address: SocketAddr) -> ProbeItem {
    let IpAddr::V4(ip) = address.ip() else { panic!("{address} is no IPv4 address") };
    item(ip, address.port())
}

pub(crate) fn item(address: Ipv4Addr, port: u16) -> ProbeItem {
    ProbeItem { id: "1".to_owned(), address, port, tls: None, credentials: None }
}

/// Asks for TLS too.
pub(crate) fn with_tls(address: SocketAddr, authority: &Authority) -> ProbeItem {
    let tls = TlsItem { ca: Some(authority.pem()), cert: None, key: None, server_name: NAME.to_owned() };
    ProbeItem { tls: Some(tls), ..bare(address) }
}

/// Asks what it is.
pub(crate) fn whole(address: SocketAddr, authority: &Authority) -> ProbeItem {
    let credentials = Credentials { username: ROLE.to_owned(), password: Secret::new(PASSWORD) };
    ProbeItem { credentials: Some(credentials), ..with_tls(address, authority) }
}

/// The same with a certificate of ours.
pub(crate) fn showing(mut item: ProbeItem, identity: &Identity) -> ProbeItem {
    let tls = item.tls.as_mut().unwrap();
    tls.cert = Some(identity.certificate.clone());
    tls.key = Some(Secret::new(identity.key.clone()));
    item
}

pub(crate) async fn ask(item: &ProbeItem) -> Result<Probed, Failure> {
    let result = probe(item, LIMIT).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains(PASSWORD), "the password shows: {shown}");
    result
}

/// Asks, and wants this failure with all of these words.
#[track_caller]
pub(crate) fn expect(result: Result<Probed, Failure>, code: ErrorCode, words: &[&str]) {
    let error = result.expect_err("this must fail");
    assert_eq!(error.code, code, "{error}");
    for word in words {
        assert!(error.message.contains(word), "{word:?} is not in {error}");
    }
}
