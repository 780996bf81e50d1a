//! Runs tasks one poll at a time, in an order that follows from nothing but themselves.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::time::VirtualTime;

/// A task of a run.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Somebody waits for what nobody will ever do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck;

type Queue = Arc<Mutex<VecDeque<usize>>>;

struct TaskWaker {
    task: usize,
    queued: AtomicBool,
    queue: Queue,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.task);
        }
    }
}

/// Runs all tasks to their ends. Whoever was woken first runs first; when nobody can run, time jumps to the next who waits.
///
/// # Errors
/// A task waits for something other than time, and nothing runs that could bring it about.
pub fn run(time: &VirtualTime, tasks: Vec<Task<'_>>) -> Result<(), Stuck> {
    let queue = Queue::default();
    let wakers: Vec<Arc<TaskWaker>> = (0..tasks.len())
        .map(|task| Arc::new(TaskWaker { task, queued: AtomicBool::new(false), queue: Arc::clone(&queue) }))
        .collect();
    for waker in &wakers {
        Arc::clone(waker).wake();
    }
    let mut tasks: Vec<Option<Task<'_>>> = tasks.into_iter().map(Some).collect();
    let mut left = tasks.len();
    while left > 0 {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(index) = next else {
            if time.jump() {
                continue;
            }
            return Err(Stuck);
        };
        let (Some(slot), Some(waker)) = (tasks.get_mut(index), wakers.get(index)) else { continue };
        waker.queued.store(false, Ordering::SeqCst);
        let Some(task) = slot else { continue };
        if task.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker)))) == Poll::Ready(()) {
            *slot = None;
            left -= 1;
        }
    }
    Ok(())
}

/// Runs one future to its end.
///
/// # Errors
/// As [`run`].
pub fn block_on<T>(time: &VirtualTime, future: impl Future<Output = T>) -> Result<T, Stuck> {
    let mut output = None;
    run(time, vec![Box::pin(async { output = Some(future.await) })])?;
    output.ok_or(Stuck)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    fn time() -> VirtualTime {
        VirtualTime::starting("2026-11-21T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn time_jumps_to_the_next_who_waits_and_equals_keep_their_order() {
        let (time, seen) = (time(), RefCell::new(Vec::new()));
        let waits = |name: &'static str, seconds: u64| -> Task<'_> {
            let (time, seen) = (time.clone(), &seen);
            Box::pin(async move {
                time.sleep(Duration::from_secs(seconds)).await;
                seen.borrow_mut().push((name, time.now().as_second()));
            })
        };
        let start = time.now().as_second();
        run(&time, vec![waits("late", 60), waits("first", 5), waits("second", 5)]).unwrap();
        assert_eq!(*seen.borrow(), [("first", start + 5), ("second", start + 5), ("late", start + 60)]);
    }

    #[test]
    fn a_dropped_wait_does_not_move_the_clock() {
        let time = time();
        let start = time.now();
        block_on(&time, async {
            let mut limit = Box::pin(time.sleep(Duration::from_secs(28)));
            let poll = std::future::poll_fn(|context| Poll::Ready(limit.as_mut().poll(context)));
            assert_eq!(poll.await, Poll::Pending);
            drop(limit);
            time.sleep(Duration::from_secs(1)).await;
        })
        .unwrap();
        assert_eq!(time.now().duration_since(start).as_secs(), 1);
    }

    #[test]
    fn waiting_for_nothing_is_found() {
        assert_eq!(block_on(&time(), std::future::pending::<()>()), Err(Stuck));
    }
}
