//! Panics of a run, wherever they are caught: tokio catches those of tasks, and a hub those of its jobs.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// The first panic on this thread, while one watches.
    static SEEN: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Watches the thread for panics.
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let is_watched = SEEN.with_borrow_mut(|seen| match seen {
                    Some(first) => {
                        first.get_or_insert_with(|| info.to_string());
                        true
                    }
                    None => false,
                });
                if !is_watched {
                    usual(info);
                }
            }));
        });
        SEEN.set(Some(None));
        Self(())
    }

    /// What panicked first.
    pub(crate) fn end(self) -> Option<String> {
        SEEN.take().flatten()
    }
}
