//! What is printed, and where to.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use jute::data::Stat;

use crate::cli::java_text::date_long as date;
use crate::client::{Event, EventKind, State};

/// Standard output and error. Errors come behind what was printed before them.
#[derive(Debug)]
pub struct Out {
    stdout: RefCell<BufWriter<Stdout>>,
    red_errors: bool,
}

impl Out {
    /// Colours are for terminals, and only where nobody asks for none.
    pub fn new() -> Out {
        Out {
            stdout: RefCell::new(BufWriter::new(std::io::stdout())),
            red_errors: std::io::stderr().is_terminal() && colours_wanted(),
        }
    }

    /// Prints `text` as it is.
    pub fn text(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Prints `text` and a line end.
    pub fn line(&self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    /// Prints bytes.
    pub fn bytes(&self, bytes: &[u8]) {
        let written = self.stdout.borrow_mut().write_all(bytes);
        end_if_nobody_reads(written);
    }

    /// Puts what was printed on its way.
    pub fn flush(&self) {
        let written = self.stdout.borrow_mut().flush();
        end_if_nobody_reads(written);
    }

    /// Prints a line on standard error.
    pub fn error(&self, text: &str) {
        self.flush();
        match self.red_errors {
            true => eprintln!("\x1b[31m{text}\x1b[0m"),
            false => eprintln!("{text}"),
        }
    }

    /// Prints a line on standard error that is no error.
    pub fn error_plain(&self, text: &str) {
        self.flush();
        eprintln!("{text}");
    }

    /// Prints a znode's Stat. Source: `StatPrinter`.
    pub fn stat(&self, stat: &Stat) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\ncversion = {}\ndataVersion = {}\n\
             aclVersion = {}\nephemeralOwner = {:#x}\ndataLength = {}\nnumChildren = {}\n",
            stat.czxid,
            date(stat.ctime),
            stat.mzxid,
            date(stat.mtime),
            stat.pzxid,
            stat.cversion,
            stat.version,
            stat.aversion,
            stat.ephemeral_owner,
            stat.data_length,
            stat.num_children,
        );
        self.text(&text);
    }
}

/// Whether colours are welcome on a terminal. See no-color.org.
pub fn colours_wanted() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !dumb && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A pipe whose reader has gone ends the program, quietly.
fn end_if_nobody_reads(written: std::io::Result<()>) {
    if written.is_err() {
        std::process::exit(1);
    }
}

/// An event with the empty lines and the heading that zkCli gives it. Source: `ZooKeeperMain.MyWatcher`.
pub fn event_text(event: &Event) -> String {
    let (state, kind, path, zxid) = match event {
        Event::State(state) => (state_event(*state), "None", "null", -1),
        Event::Watch {
            kind,
            path,
            zxid,
            connected,
        } => {
            let state = match connected {
                true => "SyncConnected",
                false => "Disconnected",
            };
            (state, kind_name(*kind), path.as_str(), *zxid)
        }
    };
    format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}\n")
}

fn state_event(state: State) -> &'static str {
    match state {
        State::Connecting => "Disconnected",
        State::Connected => "SyncConnected",
        State::ConnectedReadOnly => "ConnectedReadOnly",
        State::AuthFailed => "AuthFailed",
        State::Expired => "Expired",
        State::Closed => "Closed",
    }
}

/// The state as the prompt has it. Source: `ZooKeeper.States`.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Connecting => "CONNECTING",
        State::Connected => "CONNECTED",
        State::ConnectedReadOnly => "CONNECTEDREADONLY",
        State::AuthFailed => "AUTH_FAILED",
        State::Expired | State::Closed => "CLOSED",
    }
}

fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::NodeCreated => "NodeCreated",
        EventKind::NodeDeleted => "NodeDeleted",
        EventKind::NodeDataChanged => "NodeDataChanged",
        EventKind::NodeChildrenChanged => "NodeChildrenChanged",
        EventKind::DataWatchRemoved => "DataWatchRemoved",
        EventKind::ChildWatchRemoved => "ChildWatchRemoved",
        EventKind::PersistentWatchRemoved => "PersistentWatchRemoved",
    }
}

/// Bytes in rows of sixteen, without a line end behind the last. Source: Netty's `ByteBufUtil.prettyHexDump`.
pub fn hex_dump(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let rule = format!("+--------+{}+{}+", "-".repeat(49), "-".repeat(16));
    let mut text = format!("         +{}+\n         |", "-".repeat(49));
    for column in 0..16 {
        let _ = write!(text, "  {column:x}");
    }
    let _ = write!(text, " |\n{rule}");
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let shown = bytes.iter().map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        });
        let shown: String = shown.collect();
        let _ = write!(text, "\n|{:08x}|{hex:48} |{shown:16}|", row * 16);
    }
    let _ = write!(text, "\n{rule}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hex_dump_has_rows_of_sixteen() {
        let wanted = "\
         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+
|00000000| 68 65 6c 6c 6f 20 77 6f 72 6c 64 20 30 31 32 33 |hello world 0123|
|00000010| 34 00 ff                                        |4..             |
+--------+-------------------------------------------------+----------------+";
        let wanted = format!("         {}", wanted.trim_start());
        assert_eq!(hex_dump(b"hello world 01234\x00\xff"), wanted);
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn an_event_reads_as_javas() {
        let event = Event::Watch {
            kind: EventKind::NodeCreated,
            path: "/a".into(),
            zxid: 38,
            connected: true,
        };
        let wanted =
            "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeCreated path:/a zxid: 38\n";
        assert_eq!(event_text(&event), wanted);
        let wanted =
            "\nWATCHER::\n\nWatchedEvent state:Disconnected type:None path:null zxid: -1\n";
        assert_eq!(event_text(&Event::State(State::Connecting)), wanted);
    }
}
