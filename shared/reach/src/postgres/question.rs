//! What a server is asked once we are in, and what it says.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncWrite};

use super::messages::Messages;
use crate::failure::Failure;
use crate::gateway::ServerFacts;

/// Needs no right but to connect. Every function, table and operator is named with its schema: a `search_path` set for the
/// role or the database could put others in their place, and run them as our role. `pg_settings.setting` is a number in the
/// setting's own unit, which for `max_slot_wal_keep_size` is MB; `SHOW` would print `1GB`. That setting came with
/// PostgreSQL 13; before, slots kept WAL without end.
const QUESTION: &str = "\
SELECT pg_catalog.pg_is_in_recovery(), \
(SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) 'server_version_num'), \
(SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) 'wal_level'), \
(SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) 'max_replication_slots'), \
(SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) 'max_slot_wal_keep_size'), \
(SELECT pg_catalog.count(*) FROM pg_catalog.pg_database AS d WHERE d.datallowconn AND NOT d.datistemplate)";

/// As PostgreSQL says that there is no limit.
const UNLIMITED: i64 = -1;

/// Asks the server what it is.
pub(super) async fn ask<S>(messages: &mut Messages<S>) -> Result<ServerFacts, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut query = BytesMut::new();
    frontend::query(QUESTION, &mut query).map_err(|error| Failure::not_postgres(error.to_string()))?;
    messages.send(&query).await?;
    let mut row = None;
    loop {
        match messages.next().await? {
            Message::DataRow(body) if row.is_none() => row = Some(body),
            Message::ReadyForQuery(_) => break,
            Message::ErrorResponse(error) => return Err(Failure::of_server(error.fields())),
            Message::RowDescription(_)
            | Message::CommandComplete(_)
            | Message::NoticeResponse(_)
            | Message::ParameterStatus(_) => {}
            _ => return Err(Failure::not_postgres("the server sent a message out of its turn")),
        }
    }
    row.and_then(|row| facts(&row))
        .ok_or_else(|| Failure::not_postgres("the server's answer to what it is cannot be read"))
}

fn facts(row: &DataRowBody) -> Option<ServerFacts> {
    let ranges: Vec<_> = row.ranges().collect().ok()?;
    let mut fields = Vec::new();
    for range in ranges {
        fields.push(match range {
            Some(range) => Some(std::str::from_utf8(row.buffer().get(range)?).ok()?),
            None => None,
        });
    }
    let [Some(in_recovery), Some(version), Some(wal_level), Some(slots), keep, Some(databases)] = fields.as_slice()
    else {
        return None;
    };
    Some(ServerFacts {
        version: version.parse().ok()?,
        in_recovery: match *in_recovery {
            "t" => true,
            "f" => false,
            _ => return None,
        },
        wal_level: is_word(wal_level).then(|| (*wal_level).to_owned())?,
        max_replication_slots: slots.parse().ok()?,
        max_slot_wal_keep_size_mb: match keep {
            Some(size) => size.parse().ok().filter(|size| *size >= UNLIMITED)?,
            None => UNLIMITED,
        },
        databases: databases.parse().ok()?,
    })
}

/// A value of a setting that is one of a few words.
fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row as the server sends it.
    fn row(fields: &[Option<&str>]) -> Option<ServerFacts> {
        let mut body = u16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |text| i32::try_from(text.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(field.unwrap_or_default().as_bytes());
        }
        let mut message = BytesMut::from(&b"D"[..]);
        message.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend_from_slice(&body);
        match Message::parse(&mut message).unwrap() {
            Some(Message::DataRow(body)) => facts(&body),
            _ => panic!("no row"),
        }
    }

    #[test]
    fn a_row_is_read_whole_or_not_at_all() {
        let good = [Some("f"), Some("150018"), Some("logical"), Some("10"), Some("1024"), Some("3")];
        let facts = ServerFacts {
            version: 150_018,
            in_recovery: false,
            wal_level: "logical".to_owned(),
            max_replication_slots: 10,
            max_slot_wal_keep_size_mb: 1024,
            databases: 3,
        };
        assert_eq!(row(&good), Some(facts.clone()));
        let with = |n: usize, value: Option<&'static str>| {
            let mut fields = good;
            fields[n] = value;
            row(&fields)
        };
        assert_eq!(with(0, Some("t")), Some(ServerFacts { in_recovery: true, ..facts.clone() }));
        for unlimited in [None, Some("-1")] {
            let expected = ServerFacts { max_slot_wal_keep_size_mb: -1, ..facts.clone() };
            assert_eq!(with(4, unlimited), Some(expected), "{unlimited:?}");
        }
        for (n, bad) in [
            (0, Some("true")),
            (0, None),
            (1, Some("15.18")),
            (1, None),
            (2, Some("logical; DROP")),
            (2, Some("")),
            (2, None),
            (3, Some("-1")),
            (3, None),
            (4, Some("1GB")),
            (4, Some("-2")),
            (5, Some("4294967296")),
            (5, None),
        ] {
            assert_eq!(with(n, bad), None, "{n}: {bad:?}");
        }
        assert_eq!(row(&good[..5]), None);
        assert_eq!(row(&[&good[..], &[Some("more")]].concat()), None);
    }
}
