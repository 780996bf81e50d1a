//! What a DNS server's reply means. Pure.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use ports::NameAnswer;

/// The meaning of a reply to a query for `name`'s records of the type `wanted`: its answer section, or how it failed.
pub(super) fn read(name: &Name, wanted: RecordType, reply: Result<&[Record], &NetError>) -> NameAnswer {
    match reply {
        Ok(records) => addresses(name, wanted, records),
        Err(error) => failure(error),
    }
}

/// How much an answer says, for choosing between several servers' failures: one that tried outranks one that would not,
/// and any reply outranks silence.
pub(super) fn telling(answer: &NameAnswer) -> u8 {
    match answer {
        NameAnswer::TimedOut => 0,
        NameAnswer::Failed(_) => 1,
        NameAnswer::Refused => 2,
        NameAnswer::ServFail => 3,
        NameAnswer::NoData | NameAnswer::NxDomain | NameAnswer::Addresses { .. } => 4,
    }
}

/// Follows the aliases from `name`, and takes only the addresses of the name at their end: a reply may hold records of
/// other names, which nobody asked for.
fn addresses(name: &Name, wanted: RecordType, records: &[Record]) -> NameAnswer {
    let mut owner = name;
    let mut ttl = u32::MAX;
    // Each record can lengthen the chain once, so more steps than records means a loop.
    for _ in 0..=records.len() {
        let mut found: Vec<IpAddr> = Vec::new();
        let mut next = None;
        for record in records.iter().filter(|record| record.name == *owner) {
            match &record.data {
                RData::A(address) if wanted == RecordType::A => found.push(address.0.into()),
                RData::AAAA(address) if wanted == RecordType::AAAA => found.push(address.0.into()),
                RData::CNAME(target) => next = Some(&target.0),
                _ => continue,
            }
            ttl = ttl.min(record.ttl);
        }
        if !found.is_empty() {
            found.sort_unstable();
            found.dedup();
            return NameAnswer::Addresses { addresses: found, ttl: Duration::from_secs(ttl.into()) };
        }
        match next {
            Some(target) => owner = target,
            None => return NameAnswer::Failed(format!("the answer holds no address of {owner}")),
        }
    }
    NameAnswer::Failed(format!("the aliases of {name} go round in a circle"))
}

fn failure(error: &NetError) -> NameAnswer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => no_records(none),
        NetError::Dns(DnsError::ResponseCode(code)) => refusal(*code),
        NetError::Timeout => NameAnswer::TimedOut,
        other => NameAnswer::Failed(other.to_string()),
    }
}

fn no_records(none: &NoRecords) -> NameAnswer {
    match none.response_code {
        ResponseCode::NXDomain => NameAnswer::NxDomain,
        // Only a server that does not resolve for others points elsewhere (name servers, and no SOA of a negative answer):
        // it says nothing about the name.
        ResponseCode::NoError if none.ns.is_some() && none.soa.is_none() => {
            NameAnswer::Failed("the server answered with a referral to other servers".to_owned())
        }
        ResponseCode::NoError => NameAnswer::NoData,
        code => refusal(code),
    }
}

fn refusal(code: ResponseCode) -> NameAnswer {
    match code {
        ResponseCode::ServFail => NameAnswer::ServFail,
        ResponseCode::Refused => NameAnswer::Refused,
        other => NameAnswer::Failed(format!("the server answered {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::net::ForwardNSData;
    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NS, SOA};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, address: [u8; 4]) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A(address.into())))
    }

    fn alias(owner: &str, ttl: u32, target: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
    }

    fn found(addresses: &[&str], ttl: u64) -> NameAnswer {
        NameAnswer::Addresses {
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            ttl: Duration::from_secs(ttl),
        }
    }

    fn of_db(records: &[Record]) -> NameAnswer {
        read(&name("db.test."), RecordType::A, Ok(records))
    }

    fn none(code: ResponseCode) -> NoRecords {
        NoRecords::new(Box::new(Query::query(name("db.test."), RecordType::A)), code)
    }

    fn of_error(error: NetError) -> NameAnswer {
        read(&name("db.test."), RecordType::A, Err(&error))
    }

    #[test]
    fn addresses_are_sorted_each_once_with_the_smallest_ttl() {
        let records =
            [a("db.test.", 60, [10, 9, 0, 7]), a("db.test.", 5, [10, 9, 0, 5]), a("db.test.", 60, [10, 9, 0, 7])];
        assert_eq!(of_db(&records), found(&["10.9.0.5", "10.9.0.7"], 5));
    }

    #[test]
    fn the_ttl_of_an_alias_counts_wherever_it_stands() {
        let records =
            [a("end.test.", 60, [10, 9, 0, 5]), alias("mid.test.", 7, "END.test."), alias("db.test.", 30, "mid.test.")];
        assert_eq!(of_db(&records), found(&["10.9.0.5"], 7));
    }

    #[test]
    fn records_of_other_names_and_types_are_left_out() {
        let records = [
            a("db.test.", 60, [10, 9, 0, 5]),
            a("evil.test.", 1, [10, 9, 0, 66]),
            Record::from_rdata(name("db.test."), 1, RData::AAAA(AAAA("fd00::5".parse().unwrap()))),
        ];
        assert_eq!(of_db(&records), found(&["10.9.0.5"], 60));
        assert_eq!(read(&name("db.test."), RecordType::AAAA, Ok(&records)), found(&["fd00::5"], 1));
        assert!(matches!(of_db(&records[1..]), NameAnswer::Failed(_)));
    }

    #[test]
    fn aliases_in_a_circle_are_a_failure() {
        let records = [alias("db.test.", 60, "b.test."), alias("b.test.", 60, "db.test.")];
        let NameAnswer::Failed(reason) = of_db(&records) else {
            panic!("not a failure");
        };
        assert!(reason.contains("circle"), "{reason}");
    }

    #[test]
    fn every_way_of_not_answering_is_its_own_case() {
        let code = |code| NetError::Dns(DnsError::ResponseCode(code));
        assert_eq!(of_error(none(ResponseCode::NXDomain).into()), NameAnswer::NxDomain);
        assert_eq!(of_error(none(ResponseCode::NoError).into()), NameAnswer::NoData);
        assert_eq!(of_error(none(ResponseCode::ServFail).into()), NameAnswer::ServFail);
        assert_eq!(of_error(code(ResponseCode::ServFail)), NameAnswer::ServFail);
        assert_eq!(of_error(code(ResponseCode::Refused)), NameAnswer::Refused);
        assert_eq!(of_error(NetError::Timeout), NameAnswer::TimedOut);
        assert!(matches!(of_error(code(ResponseCode::NotImp)), NameAnswer::Failed(_)));
        assert!(matches!(of_error(NetError::Truncated), NameAnswer::Failed(_)));
    }

    #[test]
    fn a_referral_says_nothing_about_the_name() {
        let soa = SOA::new(name("ns.test."), name("root.test."), 1, 1, 1, 1, 1);
        let elsewhere = ForwardNSData {
            ns: Record::from_rdata(name("test."), 60, RData::NS(NS(name("ns.test.")))),
            glue: Vec::new().into(),
        };
        let mut referral = none(ResponseCode::NoError);
        referral.ns = Some(vec![elsewhere].into());
        let mut no_data = referral.clone();
        no_data.soa = Some(Box::new(Record::from_rdata(name("test."), 60, soa)));

        assert!(matches!(of_error(referral.into()), NameAnswer::Failed(_)));
        assert_eq!(of_error(no_data.into()), NameAnswer::NoData);
    }
}
