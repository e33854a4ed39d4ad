//! The task that does what is due later: turns of the group queue, tips to AVChatRooms, ends of grace periods.
//!
//! There is no task while nothing waits. Whoever makes something wait calls [`Timer::wake`].

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::delivery::{AvChatRoomTips, GroupQueue};
use crate::presence::PresenceRegistry;
use crate::threads::lock;

/// The longest sleep while a message or a tip waits: the hub's clock need not run like the runtime's.
const MAX_SLEEP_MS: u64 = 20;
/// The longest sleep with nothing to do but to end a grace period some time.
const MAX_DOZE_MS: u64 = 500;

/// Wakes the task.
pub(crate) struct Timer(Arc<Inner>);

struct Inner {
    clock: Clock,
    presence: Arc<PresenceRegistry>,
    group_queue: Arc<GroupQueue>,
    av_chat_room_tips: AvChatRoomTips,
    state: Mutex<State>,
    /// Ends a doze.
    wakeup: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    NoTask,
    Awake,
    Dozing,
}

impl Timer {
    pub(crate) fn new(
        clock: Clock,
        presence: Arc<PresenceRegistry>,
        group_queue: Arc<GroupQueue>,
        av_chat_room_tips: AvChatRoomTips,
    ) -> Self {
        Self(Arc::new(Inner {
            clock,
            presence,
            group_queue,
            av_chat_room_tips,
            state: Mutex::new(State::NoTask),
            wakeup: Arc::default(),
        }))
    }

    /// Something waits: makes sure that the task runs. To be called after it was made to wait.
    pub(crate) fn wake(&self) {
        let mut state = lock(&self.0.state);
        match *state {
            State::Awake => {}
            State::Dozing => {
                *state = State::Awake;
                self.0.wakeup.notify_one();
            }
            State::NoTask => {
                // Without a runtime there is no connection either: it is dropped with the runtime.
                if let Ok(runtime) = Handle::try_current() {
                    *state = State::Awake;
                    drop(state);
                    runtime.spawn(run(Task(Arc::downgrade(&self.0))));
                }
            }
        }
    }

    /// Makes sure that the task runs if moves in AVChatRooms or grace periods wait.
    pub(crate) fn wake_for_presence(&self) {
        if self.0.presence.has_pending() {
            self.wake();
        }
    }
}

impl Inner {
    /// Does what is due. Returns how many milliseconds to sleep, or `None` if the task is to end.
    fn turn(&self) -> Option<u64> {
        let now_ms = self.clock.steady_ms();
        self.group_queue.turn(now_ms);
        self.presence.end_grace_periods(now_ms);
        self.av_chat_room_tips.turn(now_ms);
        // From here on, whoever makes something wait finds that there is no task, or that it dozes.
        let mut state = lock(&self.state);
        let soon = self
            .group_queue
            .next_ms()
            .into_iter()
            .chain(self.presence.next_moves_ms())
            .min();
        let sleep = |at: u64, most| at.saturating_sub(now_ms).clamp(1, most);
        let (next, wait_ms) = match (soon, self.presence.next_grace_period_ms()) {
            (Some(at), _) => (State::Awake, Some(sleep(at, MAX_SLEEP_MS))),
            (None, Some(at)) => (State::Dozing, Some(sleep(at, MAX_DOZE_MS))),
            (None, None) => (State::NoTask, None),
        };
        *state = next;
        wait_ms
    }
}

/// However the task ends, another one can be started.
struct Task(Weak<Inner>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(timer) = self.0.upgrade() {
            *lock(&timer.state) = State::NoTask;
        }
    }
}

async fn run(mut task: Task) {
    loop {
        // Not held during the sleep: a hub that is dropped is gone.
        let Some(timer) = task.0.upgrade() else { return };
        let Some(wait_ms) = timer.turn() else {
            task.0 = Weak::new(); // another one may have been started already
            return;
        };
        let wakeup = Arc::clone(&timer.wakeup);
        drop(timer);
        let sleep = tokio::time::sleep(Duration::from_millis(wait_ms));
        tokio::select! {
            biased;
            () = wakeup.notified() => {}
            () = sleep => {}
        }
    }
}
