//! Waiting for something to come about.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

const LOOK: Duration = Duration::from_millis(100);

/// By the machine's own clock: its programs know no other.
#[expect(clippy::disallowed_methods, reason = "real servers take real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Looks again and again, until it is `Ok(Ok(..))` or the limit is over. `Ok(Err(..))` is what was seen instead; an error is what
/// was seen, too, since a node that starts refuses connections.
pub(crate) fn until<T, Seen: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Result<T, Seen>, Error>,
) -> Result<T, Error> {
    let started = now();
    loop {
        let seen = match look() {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(seen)) => format!("{seen:?}"),
            Err(error) => error.to_string(),
        };
        if started.elapsed() >= limit {
            return Err(Error::NotSeen { what: what.to_owned(), seconds: limit.as_secs(), seen });
        }
        thread::sleep(LOOK);
    }
}
