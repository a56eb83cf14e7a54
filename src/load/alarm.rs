//! A timer finer than the runtime's, which counts whole milliseconds.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer of the kernel.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// One that does not ring.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: the timer is owned by the AsyncFd, which never gives it away: it stays open, and the same.
        let timer = unsafe { AsyncFd::register(timer) };
        Ok(Alarm(timer?))
    }

    /// Lets it ring once after `pause`, in place of what was set before.
    ///
    /// # Errors
    /// None, for a pause within reason.
    pub fn set(&self, pause: Duration) -> io::Result<()> {
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let pause = pause.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: never,
            it_value: Timespec {
                tv_sec: pause.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: pause.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Waits until it rings.
    ///
    /// # Errors
    /// The runtime is ending.
    pub async fn rings(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut count = [0; 8];
        // It may have been set anew since: then there is nothing to read, and it is not yet time.
        let _ = rustix::io::read(self.0.get_ref(), &mut count);
        ready.clear_ready();
        Ok(())
    }
}
