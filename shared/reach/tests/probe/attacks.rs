//! What a server may try, and what comes of it.

use std::time::Duration;

use lab::Authority;
use reach::gateway::ErrorCode::{self, *};
use reach::postgres::probe;

use crate::asking::{PASSWORD, ROLE, ask, bare, expect, whole, with_tls};
use crate::hostile::Act::{self, *};
use crate::hostile::{Server, authentication, error, lying, message, row, sasl, welcome};

const SHORT: Duration = Duration::from_millis(1500);
const GOOD: [&str; 6] = ["f", "150018", "logical", "10", "-1", "1"];

/// Each script, over TLS and after the start of the session: what comes of it, and that the password went nowhere.
async fn each(cases: Vec<(&str, Vec<Act>, ErrorCode, &[&str])>) {
    let authority = Authority::new("customer").unwrap();
    for (what, script, code, words) in cases {
        let server = Server::over_tls(&authority, script).await;
        let result = ask(&whole(server.address, &authority)).await;
        let error = result.expect_err(what);
        assert_eq!(error.code, code, "{what}: {error}");
        for word in words {
            assert!(error.message.contains(word), "{what}: {word:?} is not in {error}");
        }
        let sent = server.received().await;
        let shows = sent.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!shows, "{what}: the password was sent");
    }
}

/// Nothing at all is sent to a server that wants another proof than SCRAM.
#[tokio::test]
async fn no_other_proof_than_scram_is_given() {
    let authority = Authority::new("customer").unwrap();
    for (kind, body, word) in [
        (3, &b""[..], "clear text"),
        (5, b"salt", "MD5"),
        (2, b"", "Kerberos"),
        (6, b"", "SCM"),
        (7, b"", "GSSAPI"),
        (8, b"token", "GSSAPI"),
        (9, b"", "SSPI"),
        (10, b"SCRAM-SHA-256-PLUS\0\0", "SCRAM-SHA-256-PLUS and not"),
        (10, b"OAUTHBEARER\0PLAIN\0\0", "OAUTHBEARER, PLAIN and not"),
        (10, b"\0", "and not"),
    ] {
        let server = Server::over_tls(&authority, vec![Send(authentication(kind, body))]).await;
        expect(ask(&whole(server.address, &authority)).await, AuthMethodRefused, &[word]);
        assert_eq!(server.received().await, b"", "{word}");
    }
}

#[tokio::test]
async fn a_server_must_prove_itself_once_scram_has_begun() {
    let begun = |then: Vec<Act>| [vec![Send(sasl())], then].concat();
    let challenged = |then: Vec<Act>| begun([vec![Challenge { iterations: "4096", ours: true }, Read], then].concat());
    let asked = |iterations| begun(vec![Challenge { iterations, ours: true }]);
    each(vec![
        ("let in after our nonce", begun(vec![Read, Send(welcome())]), ServerNotProven, &["middle of SCRAM"]),
        ("let in after our proof", challenged(vec![Send(welcome())]), ServerNotProven, &["middle of SCRAM"]),
        (
            "a wrong signature",
            challenged(vec![
                Send(authentication(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
                Send(welcome()),
            ]),
            ServerNotProven,
            &["signature"],
        ),
        ("no signature", challenged(vec![Send(authentication(12, b"")), Send(welcome())]), ServerNotProven, &[]),
        ("an empty one", challenged(vec![Send(authentication(12, b"v=")), Send(welcome())]), ServerNotProven, &[]),
        ("an error for one", challenged(vec![Send(authentication(12, b"e=other-error"))]), ServerNotProven, &[]),
        ("clear text after our nonce", begun(vec![Read, Send(authentication(3, b""))]), AuthMethodRefused, &[]),
        ("clear text after our proof", challenged(vec![Send(authentication(3, b""))]), AuthMethodRefused, &[]),
        ("SCRAM twice", begun(vec![Read, Send(sasl())]), NotPostgres, &["out of its turn"]),
        ("a challenge twice", challenged(vec![Send(authentication(11, b"r=x"))]), NotPostgres, &[]),
        ("a challenge first", vec![Send(authentication(11, b"r=x,s=eA==,i=1"))], NotPostgres, &[]),
        ("a signature first", vec![Send(authentication(12, b"v=eA=="))], NotPostgres, &[]),
        (
            "a nonce of its own",
            begun(vec![Challenge { iterations: "4096", ours: false }]),
            AuthMethodRefused,
            &["nonce"],
        ),
        ("2^31 - 1 iterations", asked("2147483647"), AuthMethodRefused, &["iteration count"]),
        ("one iteration too many", asked("100001"), AuthMethodRefused, &["iteration count"]),
        ("beyond 32 bits", asked("99999999999"), AuthMethodRefused, &[]),
        ("fewer than none", asked("-1"), AuthMethodRefused, &[]),
        ("no number", asked("many"), AuthMethodRefused, &[]),
    ])
    .await;
}

#[tokio::test]
async fn lengths_that_lie_and_messages_that_make_no_sense_end_it() {
    let send = |bytes: Vec<u8>| vec![Send(bytes)];
    let longer = "x".repeat(8200);
    let bytes = |bytes: &[u8]| send(bytes.to_vec());
    each(vec![
        ("length 3", send(lying(b'R', 3, b"")), NotPostgres, &["length"]),
        ("length 0", send(lying(b'R', 0, b"")), NotPostgres, &["length"]),
        ("length -1", send(lying(b'R', u32::MAX, b"")), NotPostgres, &["length"]),
        ("2 GB", send(lying(b'R', 0x7fff_ffff, b"")), NotPostgres, &["2147483647 bytes"]),
        ("too long for before the login", send(message(b'N', longer.as_bytes())), NotPostgres, &["8192 are the most"]),
        ("too short for its kind", send(message(b'R', b"")), NotPostgres, &[]),
        ("an unknown kind of proof", send(authentication(99, b"")), NotPostgres, &[]),
        ("an unknown message", send(message(b'?', b"")), NotPostgres, &[]),
        ("text", bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NotPostgres, &[]),
        ("a row before the login", send(row(&GOOD)), NotPostgres, &["out of its turn"]),
        ("mechanisms without an end", send(authentication(10, b"SCRAM-SHA-256")), NotPostgres, &[]),
        ("mechanisms that are no text", send(authentication(10, b"\xff\xfe\0\0")), NotPostgres, &[]),
        ("a row before the question", send([authentication(0, b""), row(&GOOD)].concat()), NotPostgres, &[]),
    ])
    .await;
}

#[tokio::test]
async fn what_a_server_says_of_itself_must_make_sense() {
    let answered = |answer: Vec<u8>| vec![Send(welcome()), Read, Send([answer, message(b'Z', b"I")].concat())];
    let with = |n: usize, value: &'static str| {
        let mut fields = GOOD;
        fields[n] = value;
        answered(row(&fields))
    };
    let column_of_2_gb = [&1_u16.to_be_bytes()[..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    let twice = [row(&GOOD), row(&GOOD)].concat();
    let copy = message(b'G', &[0, 0, 0]);
    each(vec![
        ("no row", answered(Vec::new()), NotPostgres, &["cannot be read"]),
        ("two rows", answered(twice), NotPostgres, &["out of its turn"]),
        ("an empty row", answered(row(&[])), NotPostgres, &[]),
        ("a field too few", answered(row(&GOOD[..5])), NotPostgres, &[]),
        ("a column of 2 GB", answered(message(b'D', &column_of_2_gb)), NotPostgres, &[]),
        ("a word for yes or no", with(0, "maybe"), NotPostgres, &[]),
        ("a level with an escape", with(2, "\u{1b}[2J"), NotPostgres, &[]),
        ("a number beyond all bounds", with(3, "99999999999999999999"), NotPostgres, &[]),
        ("it wants our data", answered(copy), NotPostgres, &[]),
        ("an error", answered(error("42883", b"function does not exist")), ServerError, &["42883"]),
    ])
    .await;
    let authority = Authority::new("customer").unwrap();
    let good = Server::over_tls(&authority, answered(row(&GOOD))).await;
    assert!(
        ask(&whole(good.address, &authority)).await.unwrap().server.is_some(),
        "so the cases fail for what they say"
    );
    let left = good.received().await;
    assert_eq!(left.last_chunk(), Some(&[b'X', 0, 0, 0, 4]), "it takes its leave");
}

#[tokio::test]
async fn a_servers_words_are_cleaned_and_cut_before_they_are_quoted() {
    let long = vec![b'x'; 5000];
    each(vec![
        (
            "an escape",
            vec![Send(error("28P01", b"\x1b[2Jno\r\nno"))],
            AuthenticationFailed,
            &["no  no (SQLSTATE 28P01)"],
        ),
        ("a long one", vec![Send(error("XX000", &long))], ServerError, &["xxx... (SQLSTATE XX000)"]),
        ("no text", vec![Send(error("57P03", b"\xff\xfe"))], StartingUp, &["\u{fffd}"]),
        ("without an end", vec![Send(message(b'E', b"C53300\0Mfull"))], TooManyConnections, &[]),
        ("empty", vec![Send(message(b'E', b""))], ServerError, &[]),
    ])
    .await;
    let authority = Authority::new("customer").unwrap();
    let server = Server::over_tls(&authority, vec![Send(error(&"9".repeat(3000), &long))]).await;
    let told = ask(&whole(server.address, &authority)).await.unwrap_err();
    assert!(told.message.len() < 600, "{told}");
    assert!(!told.message.contains('\u{1b}'));
}

#[tokio::test]
async fn a_server_that_never_ends_is_left() {
    let notice = message(b'N', b"SNOTICE\0Mstill here\0\0");
    let status = message(b'S', b"application_name\0x\0");
    let big = message(b'N', &vec![b'x'; 60_000]);
    each(vec![
        ("notices before the login", vec![SendForever(notice.clone())], NotPostgres, &["does not stop"]),
        ("settings after it", vec![Send(authentication(0, b"")), SendForever(status)], NotPostgres, &["does not stop"]),
        ("megabytes", vec![Send(authentication(0, b"")), SendForever(big)], NotPostgres, &["does not stop sending"]),
        ("notices for an answer", vec![Send(welcome()), Read, SendForever(notice)], NotPostgres, &["does not stop"]),
    ])
    .await;
}

#[tokio::test]
async fn a_server_that_dawdles_is_left_when_the_time_is_up() {
    let authority = Authority::new("customer").unwrap();
    let slow = [authentication(0, b""), message(b'N', &[b'x'; 8000])].concat();
    for (what, script, step) in [
        ("silence", Vec::new(), "logging in"),
        ("a byte now and then", vec![Drip(slow)], "logging in"),
        ("half a message", vec![Send(lying(b'R', 100, b"x"))], "logging in"),
        ("no answer to the question", vec![Send(welcome())], "asking what the server is"),
    ] {
        let server = Server::over_tls(&authority, script).await;
        let before = tokio::time::Instant::now();
        let result = probe(&whole(server.address, &authority), SHORT).await;
        assert!(before.elapsed() < SHORT * 3, "{what}: {:?}", before.elapsed());
        expect(result, TimedOut, &[step, "1.5 s"]);
    }
    for (script, step) in [(vec![], "asking for TLS"), (vec![Send(b"S".to_vec())], "the TLS handshake")] {
        let server = Server::plain(script).await;
        expect(probe(&with_tls(server.address, &authority), SHORT).await, TimedOut, &[step]);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_told_from_one_that_refuses() {
    let challenge = Challenge { iterations: "4096", ours: true };
    each(vec![
        ("at once", vec![Close], ConnectionClosed, &["logging in"]),
        ("after its offer", vec![Send(sasl()), Read, Close], ConnectionClosed, &["logging in"]),
        ("after our proof", vec![Send(sasl()), challenge, Read, Close], ConnectionClosed, &["logging in"]),
        ("before it is ready", vec![Send(authentication(0, b"")), Close], ConnectionClosed, &[]),
        ("in the middle of a message", vec![Send(lying(b'R', 8, b"\0")), Close], ConnectionClosed, &["logging in"]),
        ("after the question", vec![Send(welcome()), Read, Close], ConnectionClosed, &["asking what"]),
        ("after the row", vec![Send(welcome()), Read, Send(row(&GOOD)), Close], ConnectionClosed, &["asking what"]),
    ])
    .await;
    let authority = Authority::new("customer").unwrap();
    let closing = Server::plain(vec![Close]).await;
    expect(ask(&bare(closing.address)).await, ConnectionClosed, &["asking for TLS"]);
    let after_s = Server::plain(vec![Send(b"S".to_vec()), Close]).await;
    expect(ask(&with_tls(after_s.address, &authority)).await, ConnectionClosed, &["the TLS handshake"]);
}

#[tokio::test]
async fn what_does_not_speak_postgres_is_told_by_its_first_byte() {
    for (bytes, code, word) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], NotPostgres, "0x48"),
        (b"\x15\x03\x01\x00\x02", NotPostgres, "0x15"),
        (b"\0", NotPostgres, "0x00"),
        (b"R", NotPostgres, "0x52"),
        (b"Esomething nobody has vouched for\0", ServerError, "an error"),
    ] {
        let server = Server::plain(vec![Send(bytes.to_vec())]).await;
        let result = ask(&bare(server.address)).await;
        assert!(!format!("{result:?}").contains("vouched"));
        expect(result, code, &[word]);
    }
}

/// CVE-2021-23222: what somebody between us and the server puts behind the `S` must not be taken for part of the session.
#[tokio::test]
async fn plain_text_behind_the_s_is_never_read_as_the_server_s() {
    let authority = Authority::new("customer").unwrap();
    let injected = [b"S".to_vec(), error("57P03", b"injected"), welcome()].concat();
    let server = Server::plain(vec![Send(injected)]).await;
    let result = ask(&whole(server.address, &authority)).await;
    assert!(!format!("{result:?}").contains("injected"), "{result:?}");
    expect(result, TlsFailed, &["the TLS handshake"]);
    let sent = server.received().await;
    assert!(!String::from_utf8_lossy(&sent).contains(ROLE), "nothing but TLS goes out");
}

#[tokio::test]
async fn random_bytes_end_in_an_error() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let authority = Authority::new("customer").unwrap();
    for n in 0..300 {
        let length = random.usize(1..400);
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        if random.bool() {
            bytes[0] = b'S';
        }
        let server = Server::plain(vec![Send(bytes), Close]).await;
        let result = ask(&with_tls(server.address, &authority)).await;
        assert!(result.is_err(), "seed {seed}, stream {n}: {result:?}");
    }
}
