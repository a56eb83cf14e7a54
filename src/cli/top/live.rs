//! The live view: tasks look at the servers, one thread draws and hears the keys.

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::picture::{Picture, Watched};
use super::sample::{self, Sample};
use super::screen::{Outcome, Screen};
use crate::cli::http::Address;

/// What the drawing thread hears of.
enum News {
    /// The server of this number was looked at.
    Looked(usize, Box<Result<Sample, String>>),
    /// There are more servers.
    Found(Vec<String>),
    /// The program is told to end.
    End,
}

/// How long news may wait to be shown.
const TICK: Duration = Duration::from_millis(50);

/// A server with more connections is asked for them in one round of so many.
const MANY: (usize, u32) = (2000, 10);

/// Shows the servers until the user has seen enough; if it `seeks`, also the others of the first one's ensemble, once
/// that tells who they are. The terminal is then as it was before, also after a panic.
///
/// # Errors
/// The terminal's.
pub fn run(
    runtime: &Runtime,
    watched: Vec<Watched>,
    addresses: Vec<Address>,
    interval: Duration,
    seeks: bool,
) -> io::Result<()> {
    let (tell, news) = channel();
    if let (true, Some(first)) = (seeks, addresses.first()) {
        runtime.spawn(seek(first.clone(), interval, tell.clone()));
    }
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        let tell = tell.clone();
        let _context = runtime.enter();
        let mut signals = signal(kind)?;
        runtime.spawn(async move {
            signals.recv().await;
            // The other side may have ended already.
            let _ = tell.send(News::End);
        });
    }
    let start = |number: usize, address: Address| {
        runtime.spawn(watch(number, address, interval, tell.clone()));
    };
    for (number, address) in addresses.into_iter().enumerate() {
        start(number, address);
    }
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, watched, &news, &start);
    let restored = ratatui::try_restore();
    shown.and(restored)
}

async fn seek(first: Address, interval: Duration, tell: Sender<News>) {
    loop {
        if let Some(others) = sample::others(&first).await {
            // The other side may have ended already.
            let _ = tell.send(News::Found(others));
            return;
        }
        tokio::time::sleep(interval).await;
    }
}

async fn watch(number: usize, address: Address, interval: Duration, tell: Sender<News>) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pause = 0;
    loop {
        ticks.tick().await;
        let looked = sample::look(&address, pause == 0).await;
        let sessions = looked.as_ref().ok().and_then(|it| it.sessions.as_ref());
        pause = match sessions {
            Some(sessions) if sessions.len() > MANY.0 => MANY.1 - 1,
            _ => u32::saturating_sub(pause, 1),
        };
        if tell.send(News::Looked(number, Box::new(looked))).is_err() {
            return;
        }
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    mut watched: Vec<Watched>,
    news: &Receiver<News>,
    start: &dyn Fn(usize, Address),
) -> io::Result<()> {
    let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut screen = Screen::new(Picture::of(&watched), coloured);
    let mut changed = true;
    loop {
        if changed {
            terminal.draw(|frame| screen.draw(frame))?;
        }
        changed = event::poll(TICK)?;
        if changed {
            // Whatever else it is, a new size for one, is drawn for.
            let event = event::read()?;
            let key = event.as_key_press_event();
            if key.is_some_and(|key| screen.press(key) == Outcome::Quit) {
                return Ok(());
            }
        }
        let mut is_new = false;
        loop {
            match news.try_recv() {
                Ok(News::Looked(number, sample)) => {
                    if let Some(server) = watched.get_mut(number) {
                        server.update(*sample);
                        is_new = true;
                    }
                }
                Ok(News::Found(servers)) => {
                    for server in servers {
                        if let Ok(address) = Address::parse(&server) {
                            start(watched.len(), address);
                            watched.push(Watched::new(server));
                        }
                    }
                }
                Ok(News::End) => return Ok(()),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if is_new {
            screen.update(Picture::of(&watched));
            changed = true;
        }
    }
}
