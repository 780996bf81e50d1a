//! A server's process, which ends with its holder.

use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::account::Account;

const LOOK: Duration = Duration::from_millis(20);
/// Compilers may be running beside it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts the server, and ends it by SIGQUIT (no more writes, no waiting for clients) when its standard input ends: with
/// whoever holds the other end, however that ends.
const HOLDER: &str = r#"
exec 3<&0
"$@" 3<&- &
server=$!
( read -r _ <&3; kill -QUIT "$server" ) &
holder=$!
wait "$server"
status=$?
kill "$holder" 2>/dev/null
exit "$status"
"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn start(account: Account, server: &[&Path], log: &Path) -> Result<Self, Error> {
        let output = File::create(log).map_err(Error::io(format!("write {}", log.display())))?;
        let errors = output.try_clone().map_err(Error::io("share the log"))?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(HOLDER).arg("holder").args(server);
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        command.current_dir("/").env_remove("PGDATA");
        account.runs(&mut command);
        let mut child = command.spawn().map_err(Error::io("start sh"))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin })
    }

    /// Waits for a text in the log, while it runs.
    pub(crate) fn wait_for(&mut self, wanted: &str, log: &Path) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        loop {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            if text.contains(wanted) {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(Error::io("look after the server"))?.is_some();
            if ended || waited >= START_LIMIT {
                return Err(Error::NotReady { wanted: wanted.to_owned(), log: text });
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
