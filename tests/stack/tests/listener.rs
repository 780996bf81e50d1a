//! The listener that stands for a database.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use stack::Listener;

fn connects(database: &Listener) -> bool {
    let before = database.accepted();
    if TcpStream::connect(database.address()).is_err() {
        return false;
    }
    (0..200).any(|_| {
        thread::sleep(Duration::from_millis(5));
        database.accepted() == before + 1
    })
}

#[test]
fn it_accepts_while_it_runs_and_refuses_while_it_is_stopped() {
    let mut database = Listener::start().unwrap();
    let address = database.address();
    for _ in 0..3 {
        assert!(connects(&database));
        database.stop();
        database.stop();
        assert!(!connects(&database));
        database.restart().unwrap();
        database.restart().unwrap();
    }
    assert!(connects(&database));
    assert_eq!(database.address(), address);
    drop(database);
    assert!(TcpStream::connect(address).is_err());
}
