//! Random conversations, thousands of them, without a network in between.

use std::time::Duration;

use bytes::BytesMut;
use ports::Secret;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

use super::messages::Messages;
use super::{login, question};
use crate::failure::Failure;
use crate::gateway::{Credentials, ErrorCode, ServerFacts};

const PASSWORD: &str = "xyzzy-plugh-42";
const STREAMS: u32 = 4000;

/// Some of what a server says, in a random order: whole messages, messages with a random body, and noise.
fn stream(random: &mut fastrand::Rng) -> Vec<u8> {
    const TAGS: &[u8] = b"123AcCdDEGHIKnNRsStTZvWp";
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..20) {
        let length = random.usize(0..60);
        let mut body: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        let mut tag = TAGS.get(random.usize(..TAGS.len())).copied().unwrap_or_default();
        match random.u8(..12) {
            0..=3 => {
                tag = b'R';
                let kind = u32::from(random.u8(..14));
                body.splice(0..0, kind.to_be_bytes());
            }
            4 => (tag, body) = (b'R', [&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat()),
            5..=6 => (tag, body) = (b'R', vec![0; 4]),
            7 => (tag, body) = (b'Z', b"I".to_vec()),
            _ => {}
        }
        let length = u32::try_from(body.len() + 4).unwrap();
        bytes.push(tag);
        bytes.extend(if random.u8(..20) == 0 { random.u32(..) } else { length }.to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

async fn converse(said: Vec<u8>) -> (Result<ServerFacts, Failure>, Vec<u8>) {
    let (ours, theirs) = duplex(64 * 1024);
    let credentials = Credentials { username: "probe".to_owned(), password: Secret::new(PASSWORD) };
    let client = async {
        let mut messages = Messages::over(ours);
        login::login(&mut messages, &credentials).await?;
        question::ask(&mut messages).await
    };
    let server = async {
        let (mut reader, mut writer) = split(theirs);
        let _ = writer.write_all(&said).await;
        let _ = writer.shutdown().await;
        let mut heard = Vec::new();
        let _ = reader.read_to_end(&mut heard).await;
        heard
    };
    tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(client, server) }).await.unwrap()
}

#[tokio::test]
async fn random_messages_end_without_a_panic_and_without_the_password() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut let_in = 0;
    for n in 0..STREAMS {
        let said = stream(&mut random);
        let (result, heard) = converse(said).await;
        assert!(result.is_err(), "seed {seed}, stream {n}: {result:?}");
        assert!(!format!("{result:?}").contains(PASSWORD), "seed {seed}, stream {n}: {result:?}");
        let shows = heard.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!shows, "seed {seed}, stream {n}: the password was sent");
        let_in += u32::from(heard.windows(8).any(|window| window == b"pg_catal"));
    }
    assert!(let_in > 0, "seed {seed}: no stream got as far as the question, so they try too little");
}

/// A message may arrive in any pieces.
#[tokio::test]
async fn a_message_is_put_together_from_single_bytes() {
    let (ours, mut theirs) = duplex(1);
    let mut error = BytesMut::from(&b"E"[..]);
    error.extend_from_slice(&29_u32.to_be_bytes());
    error.extend_from_slice(b"C53300\0Mtoo many clients\0\0");
    let mut messages = Messages::over(ours);
    let credentials = Credentials { username: "probe".to_owned(), password: Secret::new(PASSWORD) };
    let server = async {
        let mut startup = BytesMut::new();
        let parameters = [("user", "probe"), ("database", "postgres"), ("application_name", "pilothouse-probe")];
        frontend::startup_message(parameters, &mut startup).unwrap();
        let mut heard = vec![0; startup.len()];
        theirs.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, startup);
        let _ = theirs.write_all(&error).await;
    };
    let (result, ()) = tokio::join!(login::login(&mut messages, &credentials), server);
    let told = result.unwrap_err();
    assert_eq!(told.code, ErrorCode::TooManyConnections, "{told}");
}
