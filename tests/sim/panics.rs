//! Panics in tasks: the runtime swallows them, so a hook keeps them. A run has one thread to itself, and so do they.

use std::cell::RefCell;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Forgets what this thread saw so far, and keeps what comes.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            // A thread at its very end has no list any more, and no run either.
            let _ = SEEN.try_with(|seen| seen.borrow_mut().push(info.to_string()));
            before(info);
        }));
    });
    SEEN.with_borrow_mut(Vec::clear);
}

/// Panics of this thread since.
pub fn seen() -> Vec<String> {
    SEEN.with_borrow(Vec::clone)
}

#[test]
fn a_panic_in_a_task_is_seen() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { panic!("no runtime") };
    watch();
    let ended = runtime.block_on(async { tokio::spawn(async { panic!("a fault of the task") }).await });
    assert!(ended.is_err(), "the runtime swallows it");
    assert!(seen().iter().any(|line| line.contains("a fault of the task")), "{:?}", seen());
}
