//! Signals that ask the server to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// SIGTERM and SIGINT, from the start of the process on: the first process of a container has no other way to end.
#[derive(Clone)]
pub struct Asked(Arc<State>);

#[derive(Default)]
struct State {
    serves: AtomicBool,
    came: Notify,
}

impl Asked {
    /// Begins to listen. To be called on a runtime, whose threads have to go on while the data is recovered.
    ///
    /// Until somebody [waits](Asked::wait), a signal ends the process at once: nothing was accepted yet, and what is
    /// being recovered is as safe as in a crash.
    ///
    /// # Errors
    /// If signals cannot be listened for.
    pub fn listen() -> io::Result<Asked> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let state = Arc::<State>::default();
        let asked = Asked(state.clone());
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if !state.serves.load(Ordering::Acquire) {
                tracing::info!("{name}: stopped before it served");
                std::process::exit(0);
            }
            tracing::info!("{name}: stopping; what was accepted is finished first");
            state.came.notify_one();
        });
        Ok(asked)
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn wait(&self) {
        self.0.serves.store(true, Ordering::Release);
        self.0.came.notified().await;
    }
}
