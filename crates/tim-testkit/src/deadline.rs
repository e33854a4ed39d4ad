//! A deadline in real time, for what virtual time cannot bound: an endless loop, a call that blocks, a wait without a limit.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for every test of the workspace on a loaded machine.
const LIMIT: Duration = Duration::from_secs(300);

/// The tests under way: number of the watch, name, end of their time.
static WATCHED: Mutex<Vec<(u64, String, Instant)>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();
static MONITOR: Once = Once::new();

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Ends the watch with the test's thread.
struct Watch(u64);

impl Drop for Watch {
    fn drop(&mut self) {
        watched(|watched| watched.retain(|(number, ..)| *number != self.0));
    }
}

/// Gives the test that runs on this thread five minutes from now. [`deadline_in`] has the details.
pub fn deadline() {
    deadline_in(LIMIT);
}

/// Gives the test that runs on this thread `limit` from now: if its thread has not ended then, the test's name goes to
/// stderr, and the process ends with 101, as if the test had failed. There is no other way to end a thread that hangs.
/// Harnesses call this when they are set up, so that no test can hang. Another call on the same thread replaces the first.
pub fn deadline_in(limit: Duration) {
    let name = thread::current().name().unwrap_or("of no name").to_owned();
    deadline_of(&format!("test {name}"), limit);
}

/// As [`deadline_in`], for something else that runs on this thread than a test of its name.
pub(crate) fn deadline_of(name: &str, limit: Duration) {
    static NEXT: Mutex<u64> = Mutex::new(0);
    let number = {
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next
    };
    watched(|watched| watched.push((number, name.to_owned(), Instant::now() + limit)));
    WATCH.with_borrow_mut(|watch| *watch = Some(Watch(number)));
    MONITOR.call_once(|| drop(thread::spawn(monitor)));
    CHANGED.notify_all();
}

fn watched<T>(change: impl FnOnce(&mut Vec<(u64, String, Instant)>) -> T) -> T {
    change(&mut WATCHED.lock().unwrap_or_else(PoisonError::into_inner))
}

fn monitor() {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let now = Instant::now();
        if let Some((_, name, _)) = watched.iter().find(|(.., until)| *until <= now) {
            // Past the test runner, which would keep it for itself.
            let _ = writeln!(
                std::io::stderr(),
                "\n{name} is past its deadline: it hangs. The process ends."
            );
            std::process::exit(101);
        }
        let next = watched.iter().map(|(.., until)| *until).min();
        let pause = next.map_or(LIMIT, |next| next - now);
        watched = CHANGED
            .wait_timeout(watched, pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watches(name: &str) -> usize {
        let name = format!("test {name}");
        watched(|watched| watched.iter().filter(|(_, other, _)| *other == name).count())
    }

    #[test]
    fn a_test_has_one_deadline_and_none_when_its_thread_has_ended() {
        let name = "a thread of this test alone";
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            deadline();
            deadline_in(2 * LIMIT);
            watches(name)
        });
        assert_eq!(thread.unwrap().join().unwrap(), 1);
        assert_eq!(watches(name), 0);
    }
}
