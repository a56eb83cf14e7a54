//! The conversation: which session there is, what was typed, what comes of it.

use std::future::{Future, pending};
use std::sync::mpsc as blocking;
use std::time::Duration;

use super::commands;
use super::failure::{Failure, message};
use super::invocation::{Invocation, split};
use super::lines::{Input, Lines, without_escapes};
use super::print::{Out, event_text, state_name};
use super::table;
use super::walk::join;
use crate::client::{Client, Error, Event, Events, Options, Servers};

/// The shell and its session.
pub struct Shell {
    invocation: Invocation,
    out: Out,
    /// As it was named: the prompt shows it.
    host: String,
    client: Client,
    /// None when the session is over and all of its events are told.
    events: Option<Events>,
    print_watches: bool,
    /// Every line, by its number.
    history: Vec<String>,
    exit_code: u8,
}

/// Whether the conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    End,
}

impl Shell {
    /// Connects, runs one command or a conversation, and returns the exit code. Source: `ZooKeeperMain.run`.
    ///
    /// The session is not closed at the end, but by `quit` and `close`: an ephemeral znode made by one command is there
    /// until the session expires, as with zkCli.
    pub async fn run(invocation: Invocation) -> u8 {
        let out = Out::new();
        let host = invocation.server.clone();
        out.line(&format!("Connecting to {host}"));
        let (client, events) = match open(&host, &invocation) {
            Ok(opened) => opened,
            Err(error) => {
                out.error(&error.to_string());
                return 1;
            }
        };
        let mut shell = Shell {
            invocation,
            out,
            host,
            client,
            events: Some(events),
            print_watches: true,
            history: Vec::new(),
            exit_code: 0,
        };
        if let Err(failure) = shell.wait_if_asked().await {
            shell.out.error(&failure.text);
            return failure.code;
        }
        match shell.invocation.command.take() {
            Some(words) => {
                shell.process(words).await;
            }
            None => shell.converse().await,
        }
        shell.tell_events().await;
        shell.out.flush();
        shell.exit_code
    }

    async fn converse(&mut self) {
        self.out.line("Welcome to ZooKeeper!");
        // The first prompt shows a connection where there is one soon.
        let connected = self.client.clone();
        let _ = self
            .with_events(connected.wait_connected(FIRST_PROMPT))
            .await;
        let mut lines = Lines::open();
        loop {
            self.tell_events().await;
            let (host, state) = (&self.host, state_name(self.client.state()));
            let prompt = format!("[zk: {host}({state}) {}] ", self.history.len());
            if lines.is_piped() {
                self.out.text(&prompt);
            }
            self.out.flush();
            lines.ask(&prompt);
            let Some(line) = self.next_line(&mut lines).await else {
                break;
            };
            if line.is_empty() {
                continue;
            }
            self.history.push(line.clone());
            if self.process(split(&line)).await == Next::End {
                return;
            }
        }
        if lines.is_piped() {
            self.out.line("");
        }
    }

    /// The next line; events and completions are served meanwhile.
    async fn next_line(&mut self, lines: &mut Lines) -> Option<String> {
        loop {
            tokio::select! {
                event = next_event(&mut self.events) => {
                    if self.print_watches {
                        let text = event_text(&event);
                        if !lines.print_above(&text) {
                            self.out.text(&text);
                            self.out.flush();
                        }
                    }
                }
                input = lines.next() => match input {
                    Input::Line(line) => return Some(without_escapes(&line)),
                    Input::End => return None,
                    Input::Complete { path, names } => {
                        tokio::spawn(complete(self.client.clone(), path, names));
                    }
                }
            }
        }
    }

    /// Runs a command and says what failed. Source: `ZooKeeperMain.processCmd`.
    async fn process(&mut self, words: Vec<String>) -> Next {
        match Box::pin(self.command(words)).await {
            Ok(next) => {
                // quit leaves with the code of what was before it.
                if next == Next::Line {
                    self.exit_code = 0;
                }
                next
            }
            Err(failure) => {
                self.exit_code = failure.code;
                self.out.error(&failure.text);
                Next::Line
            }
        }
    }

    /// Source: `ZooKeeperMain.processZKCmd`.
    async fn command(&mut self, words: Vec<String>) -> Result<Next, Failure> {
        let Some(name) = words.first() else {
            self.out.error_plain(&table::overview());
            return Err(Failure::new("No command entered"));
        };
        if table::find(name).is_none() {
            self.out.error_plain(&table::overview());
            return Err(Failure::unknown_command(name));
        }
        match (name.as_str(), words.get(1)) {
            ("quit", _) => {
                self.close().await;
                return Ok(Next::End);
            }
            ("redo", Some(number)) => match self.redo(number).await? {
                Next::End => return Ok(Next::End),
                Next::Line => {}
            },
            ("history", _) => self.print_history(),
            ("printwatches", None) => {
                let state = if self.print_watches { "on" } else { "off" };
                self.out.line(&format!("printwatches is {state}"));
            }
            ("printwatches", Some(word)) => self.print_watches = word == "on",
            ("connect", host) => {
                let host = host.unwrap_or(&self.host).clone();
                self.connect(host).await?;
            }
            _ => {}
        }
        if !self.client.state().is_alive() {
            self.out.line("Not connected");
            return Ok(Next::Line);
        }
        let client = self.client.clone();
        let out = &self.out;
        let done = with_events(
            &mut self.events,
            out,
            self.print_watches,
            commands::execute(&client, out, &words),
        );
        let done = done.await;
        self.tell_events().await;
        done.map(|()| Next::Line)
    }

    /// Runs an earlier line again, which takes the place of this one in the history.
    async fn redo(&mut self, number: &str) -> Result<Next, Failure> {
        let number: i32 = commands::number(number)?;
        let current = self.history.len().saturating_sub(1);
        let index = usize::try_from(number)
            .ok()
            .filter(|index| *index < current);
        let Some(index) = index else {
            return Err(Failure::new("Command index out of range"));
        };
        let line = self.history[index].clone();
        let words = split(&line);
        if words.first().is_some_and(|name| name == "redo") {
            return Err(Failure::new("No redoing redos"));
        }
        self.history[current] = line;
        Ok(self.process(words).await)
    }

    /// The last lines with their numbers.
    fn print_history(&self) {
        let first = self.history.len().saturating_sub(HISTORY_SHOWN);
        for (number, line) in self.history.iter().enumerate().skip(first) {
            self.out.line(&format!("{number} - {line}"));
        }
    }

    async fn connect(&mut self, host: String) -> Result<(), Failure> {
        // A text that names no server leaves the session as it is; Java ends there.
        let opened = open(&host, &self.invocation);
        let (client, events) = opened.map_err(|error| Failure::new(error.to_string()))?;
        if self.client.state().is_alive() {
            self.close().await;
        }
        self.host = host;
        self.client = client;
        self.events = Some(events);
        self.wait_if_asked().await
    }

    async fn wait_if_asked(&mut self) -> Result<(), Failure> {
        if !self.invocation.wait {
            return Ok(());
        }
        let (client, timeout) = (self.client.clone(), self.invocation.timeout);
        let waited = self.with_events(client.wait_connected(timeout)).await;
        waited.map_err(|error| Failure::new(message(&error, "")))
    }

    async fn close(&mut self) {
        let client = self.client.clone();
        self.with_events(client.close()).await;
        self.tell_events().await;
    }

    async fn with_events<T>(&mut self, work: impl Future<Output = T>) -> T {
        with_events(&mut self.events, &self.out, self.print_watches, work).await
    }

    /// Prints the events that have come; at the end of a session, all that there will be.
    async fn tell_events(&mut self) {
        while let Some(events) = &mut self.events {
            let over = !self.client.state().is_alive();
            let event = match over {
                true => events.next().await,
                false => match events.ready() {
                    None => return,
                    event => event,
                },
            };
            match event {
                Some(event) if self.print_watches => self.out.text(&event_text(&event)),
                Some(_) => {}
                None => self.events = None,
            }
        }
    }
}

fn open(host: &str, invocation: &Invocation) -> Result<(Client, Events), Error> {
    let options = Options {
        session_timeout: invocation.timeout,
        read_only: invocation.read_only,
        ..Options::default()
    };
    Ok(Client::open(Servers::parse(host)?, options))
}

/// Does `work`, and prints the events that come before it is done.
async fn with_events<T>(
    events: &mut Option<Events>,
    out: &Out,
    print: bool,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            event = next_event(events) => {
                if print {
                    out.text(&event_text(&event));
                }
            }
            done = &mut work => return done,
        }
    }
}

/// The next event; never, once there are no more.
async fn next_event(events: &mut Option<Events>) -> Event {
    if let Some(open) = events {
        if let Some(event) = open.next().await {
            return event;
        }
        *events = None;
    }
    pending().await
}

/// Tells which znodes begin with `path`.
async fn complete(client: Client, path: String, names: blocking::SyncSender<Vec<String>>) {
    let (parent, typed) = match path.rsplit_once('/') {
        Some(("", typed)) => ("/", typed),
        Some((parent, typed)) => (parent, typed),
        None => return,
    };
    let found = match client.get_children(parent, false).await {
        Ok(answer) => answer.children.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let fitting = found.iter().filter(|name| name.starts_with(typed));
    let mut fitting: Vec<String> = fitting.map(|name| join(parent, name)).collect();
    fitting.sort();
    // The editor may have stopped waiting.
    let _ = names.send(fitting);
}

/// Lines that `history` shows, itself among them.
const HISTORY_SHOWN: usize = 11;
/// How long the first prompt waits for a connection.
const FIRST_PROMPT: Duration = Duration::from_millis(500);
