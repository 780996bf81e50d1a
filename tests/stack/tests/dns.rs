//! The DNS server on its own, with hickory-proto as its client.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes helpers of a test for no test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use stack::{DnsQuery, DnsServer, Zone};

fn request(name: &str, wanted: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), wanted));
    message.to_vec().unwrap()
}

fn over_udp(server: SocketAddr, name: &str, wanted: RecordType) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket.send_to(&request(name, wanted), server).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

fn over_tcp(stream: &mut TcpStream, name: &str, wanted: RecordType) -> Message {
    let bytes = request(name, wanted);
    stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

fn data(reply: &Message) -> Vec<String> {
    reply.answers.iter().map(|record| format!("{} {} {}", record.name, record.ttl, record.data)).collect()
}

#[test]
fn a_name_that_was_never_set_does_not_exist() {
    let server = DnsServer::start().unwrap();
    let reply = over_udp(server.address(), "db.test.", RecordType::A).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(reply.authorities[0].record_type(), RecordType::SOA);
}

#[test]
fn addresses_come_by_the_kind_that_was_asked_for() {
    let server = DnsServer::start().unwrap();
    server.set("db.test", Zone::addresses(&["10.9.0.6", "10.9.0.5", "fd00::5"], 30));
    let of = |wanted| data(&over_udp(server.address(), "DB.test.", wanted).unwrap());
    assert_eq!(of(RecordType::A), ["DB.test. 30 10.9.0.6", "DB.test. 30 10.9.0.5"]);
    assert_eq!(of(RecordType::AAAA), ["DB.test. 30 fd00::5"]);
    assert_eq!(of(RecordType::TXT), [""; 0]);
    assert_eq!(server.queries().len(), 3);
    assert_eq!(
        server.queries()[1],
        DnsQuery { name: "db.test".to_owned(), record_type: "AAAA".to_owned(), over_tcp: false }
    );
}

#[test]
fn an_alias_brings_its_target_along_and_a_circle_is_servfail() {
    let server = DnsServer::start().unwrap();
    server.set("db.test", Zone::Alias { to: "end.test".to_owned(), ttl: 5 });
    let ask = || over_udp(server.address(), "db.test.", RecordType::A).unwrap();

    let dangling = ask();
    assert_eq!(dangling.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(data(&dangling), ["db.test. 5 end.test."]);

    server.set("end.test", Zone::addresses(&["10.9.0.5"], 60));
    assert_eq!(data(&ask()), ["db.test. 5 end.test.", "end.test. 60 10.9.0.5"]);

    server.set("end.test", Zone::Alias { to: "db.test".to_owned(), ttl: 5 });
    let circle = ask();
    assert_eq!(circle.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(data(&circle), [""; 0]);
}

#[test]
fn each_failure_is_sent_as_itself() {
    let server = DnsServer::start().unwrap();
    for (zone, code) in [
        (Zone::NxDomain, ResponseCode::NXDomain),
        (Zone::NoData, ResponseCode::NoError),
        (Zone::ServFail, ResponseCode::ServFail),
        (Zone::Refused, ResponseCode::Refused),
    ] {
        server.set("db.test", zone);
        let reply = over_udp(server.address(), "db.test.", RecordType::A).unwrap();
        assert_eq!(reply.metadata.response_code, code);
        assert_eq!(data(&reply), [""; 0]);
    }
    server.set("db.test", Zone::Silent);
    assert_eq!(over_udp(server.address(), "db.test.", RecordType::A), None);
    assert_eq!(server.queries().len(), 5);
}

#[test]
fn a_truncated_answer_is_whole_over_tcp_and_a_connection_serves_many_queries() {
    let server = DnsServer::start().unwrap();
    server.set("db.test", Zone::Truncated { ips: vec!["10.9.0.5".parse().unwrap()], ttl: 30 });
    let short = over_udp(server.address(), "db.test.", RecordType::A).unwrap();
    assert!(short.metadata.truncation);
    assert_eq!(data(&short), [""; 0]);

    let mut stream = TcpStream::connect(server.address()).unwrap();
    for _ in 0..2 {
        let whole = over_tcp(&mut stream, "db.test.", RecordType::A);
        assert!(!whole.metadata.truncation);
        assert_eq!(data(&whole), ["db.test. 30 10.9.0.5"]);
    }
    assert!(server.queries()[1].over_tcp);
}

#[test]
fn a_dropped_server_is_gone() {
    let server = DnsServer::start().unwrap();
    let address = server.address();
    server.set("db.test", Zone::addresses(&["10.9.0.5"], 30));
    drop(server);
    assert_eq!(over_udp(address, "db.test.", RecordType::A), None);
    assert!(TcpStream::connect(address).is_err());
}
