//! Names: RFC 1034 and 1035, RFC 2308 (an absent name).

use std::time::Duration;

use ports::{NameAnswer, Names as _};

use crate::stage::Stage;

const LIMIT: Duration = Duration::from_secs(8);

fn addresses(list: &[&str], ttl: u64) -> NameAnswer {
    let addresses = list.iter().map(|a| a.parse().unwrap()).collect();
    NameAnswer::Addresses { addresses, ttl: Duration::from_secs(ttl) }
}

pub(crate) async fn an_address_in_text_is_its_own_answer(stage: &impl Stage) {
    assert_eq!(stage.names().resolve("10.9.0.5", LIMIT).await, addresses(&["10.9.0.5"], 0));
}

pub(crate) async fn a_name_that_nobody_has_does_not_exist(stage: &impl Stage) {
    assert_eq!(stage.names().resolve("nobody.example.internal", LIMIT).await, NameAnswer::NxDomain);
}

pub(crate) async fn addresses_come_sorted_with_their_ttl(stage: &impl Stage) {
    stage.name("db.example.internal", &["10.9.0.6", "10.9.0.5"], 30);
    assert_eq!(stage.names().resolve("db.example.internal", LIMIT).await, addresses(&["10.9.0.5", "10.9.0.6"], 30));
    stage.name("db.example.internal", &["10.9.0.7"], 5);
    assert_eq!(
        stage.names().resolve("db.example.internal", LIMIT).await,
        addresses(&["10.9.0.7"], 5),
        "nothing is kept"
    );
}
