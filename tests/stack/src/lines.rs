//! What a child process prints, kept line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(10);

/// Lines of one or several streams, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    file: Mutex<Option<File>>,
    open: AtomicUsize,
}

impl Lines {
    /// Lines that are also written to `file`.
    pub(crate) fn copied_to(file: Option<File>) -> Self {
        let lines = Self::default();
        *lock(&lines.shared.file) = file;
        lines
    }

    /// Takes in a stream until its end, in a thread. A full pipe would stop the child.
    pub(crate) fn follow(&self, stream: impl Read + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        shared.open.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while stream.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                if let Some(file) = lock(&shared.file).as_mut() {
                    let _ = writeln!(file, "{line}");
                }
                lock(&shared.lines).push(line);
                bytes.clear();
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// All lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        lock(&self.shared.lines).clone()
    }

    /// Waits for a line that `wanted` accepts, and gives the first.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Option<String> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(line) = lock(&self.shared.lines).iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            if waited >= limit {
                return None;
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// The last lines of a child that has ended or hangs. What it printed last may still be on its way.
    pub(crate) fn tail(&self) -> String {
        for _ in 0..30 {
            if self.shared.open.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::sleep(LOOK);
        }
        let lines = lock(&self.shared.lines);
        let first = lines.len().saturating_sub(20);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
