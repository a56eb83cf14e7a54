//! Four-letter words: a word instead of a first frame, a text instead of a session.
//!
//! Source: `FourLetterCommands`, `server.command.*`.

mod dump;
mod watches;

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::json::java_double;
use super::monitor::{self, rounded};
use super::{Admin, Mode, NOT_SERVING, folder_bytes, text, version};
use crate::config::ensemble::PeerAddress;
use crate::config::{self, HostPort, Membership};
use crate::replica::conn::Conn;

/// Every word Java knows, the bytes of a telnet interrupt among them.
const WORDS: [[u8; 4]; 19] = [
    *b"conf", *b"cons", *b"crst", *b"dirs", *b"dump", *b"envi", *b"gtmk", *b"hash", *b"isro",
    *b"mntr", *b"ruok", *b"srst", *b"srvr", *b"stat", *b"stmk", *b"wchc", *b"wchp", *b"wchs",
    TELNET,
];
const TELNET: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

/// Words that are answered from a few numbers, so that nobody else has to wait meanwhile.
const QUICK: [[u8; 4]; 7] = [
    *b"ruok", *b"isro", *b"srvr", *b"envi", *b"gtmk", *b"stmk", TELNET,
];

/// Whether these four bytes, first on a connection, are a word and not the length of a frame.
pub fn is_word(bytes: [u8; 4]) -> bool {
    WORDS.contains(&bytes)
}

/// Whether a task may make the answer itself; otherwise it goes through [`Admin::look`].
pub fn is_quick(word: [u8; 4]) -> bool {
    QUICK.contains(&word)
}

/// Bytes that belong to a word: a trace mask behind `stmk`.
pub fn argument_bytes(word: [u8; 4]) -> usize {
    if word == *b"stmk" { 8 } else { 0 }
}

/// The answer to a word, whole; `None` if the connection is to be closed without one, because `argument`, what came
/// behind the word, is too short. `conn` is the connection that asked.
pub fn answer(admin: &Admin, word: [u8; 4], argument: &[u8], conn: &Conn) -> Option<String> {
    let name = match word {
        TELNET => "telnet close",
        _ => str::from_utf8(&word).unwrap_or_default(),
    };
    if !admin.config.four_letter_whitelist.allows(name) {
        return Some(format!(
            "{name} is not executed because it is not in the whitelist.\n"
        ));
    }
    Some(match &word {
        b"ruok" => match admin.not_alive() {
            None => "imok".into(),
            Some(why) => format!("not ok: {why}\n"),
        },
        b"envi" => environment(),
        b"gtmk" => admin.trace_mask.load(Ordering::Relaxed).to_string(),
        b"stmk" => {
            let mask = i64::from_be_bytes(*argument.first_chunk()?);
            admin.trace_mask.store(mask, Ordering::Relaxed);
            mask.to_string()
        }
        &TELNET => String::new(),
        word => admin.word(word, conn),
    })
}

fn environment() -> String {
    let mut out = String::from("Environment:\n");
    for (key, value) in super::environment::list() {
        line(&mut out, format_args!("{key}={value}"));
    }
    out
}

impl Admin {
    /// The answer to a word about the server.
    fn word(&self, word: &[u8; 4], conn: &Conn) -> String {
        let ensemble = self.counters.ensemble();
        let Some(mode) = self.mode_for_clients(&ensemble) else {
            return match word {
                b"isro" => "null".into(),
                b"hash" => NOT_SERVING.into(),
                _ => format!("{NOT_SERVING}\n"),
            };
        };
        match word {
            b"isro" => "rw".into(),
            b"srvr" => self.srvr(mode, None),
            b"stat" => self.srvr(mode, Some(conn)),
            b"mntr" => monitor::mntr(self),
            b"cons" => self.cons(conn),
            b"conf" => self.conf(),
            b"hash" => self.hash(),
            b"dirs" => self.dirs(),
            b"dump" => dump::dump(self, mode),
            b"wchs" => watches::summary(&self.watches()),
            b"wchc" => watches::by_connection(&self.watches()),
            b"wchp" => watches::by_path(&self.watches()),
            b"crst" => {
                self.reset_connections();
                "Connection stats reset.\n".into()
            }
            b"srst" => {
                self.reset_stats(mode == Mode::Leader);
                "Server stats reset.\n".into()
            }
            word => unreachable!("{word:?} is no word"),
        }
    }

    fn dirs(&self) -> String {
        let (data, log) = (folder_bytes(&self.dirs.0), folder_bytes(&self.dirs.1));
        format!("datadir_size: {data}\nlogdir_size: {log}\n")
    }

    fn srvr(&self, mode: Mode, with_clients: Option<&Conn>) -> String {
        let mut out = format!("Zookeeper version: {}\n", version());
        if let Some(own) = with_clients {
            out.push_str("Clients:\n");
            for conn in self.gate.conns() {
                line(&mut out, format_args!(" {})", basics(&conn, own)));
            }
            out.push('\n');
        }
        let latency = self.counters.latency();
        let (received, sent) = self.counters.packets();
        let (zxid, znodes) = self
            .gate
            .read(|tree| (tree.last_zxid(), tree.znode_count()));
        let avg = java_double(rounded(latency.avg));
        line(
            &mut out,
            format_args!("Latency min/avg/max: {}/{avg}/{}", latency.min, latency.max),
        );
        line(&mut out, format_args!("Received: {received}"));
        line(&mut out, format_args!("Sent: {sent}"));
        line(
            &mut out,
            format_args!("Connections: {}", self.gate.conn_count()),
        );
        line(
            &mut out,
            format_args!("Outstanding: {}", self.counters.outstanding()),
        );
        line(&mut out, format_args!("Zxid: {zxid}"));
        line(&mut out, format_args!("Mode: {}", mode.name()));
        line(&mut out, format_args!("Node count: {znodes}"));
        if mode == Mode::Leader {
            let [last, min, max] = self.counters.metrics.stats.proposal_size.last_min_max();
            line(
                &mut out,
                format_args!("Proposal sizes last/min/max: {last}/{min}/{max}"),
            );
        }
        out
    }

    fn cons(&self, own: &Conn) -> String {
        let mut out = String::new();
        for conn in self.gate.conns() {
            let Some(lane) = conn.lane.get() else {
                line(&mut out, format_args!(" {})", basics(&conn, own)));
                continue;
            };
            let last = conn.stats.last();
            let (_, timeout) = lane.last_heard();
            let cxid = match last.cxid {
                cxid @ 0.. => format!(",lcxid={cxid:#x}"),
                _ => String::new(),
            };
            line(
                &mut out,
                format_args!(
                    " {},sid={},lop={},est={},to={}{cxid},lzxid={:#x},lresp={},llat={},\
                     minlat={},avglat={},maxlat={})",
                    basics(&conn, own),
                    lane.session(),
                    last.op.unwrap_or("NA"),
                    conn.stats.established.0,
                    timeout.as_millis(),
                    last.zxid,
                    last.at,
                    last.latency,
                    last.min_latency,
                    last.avg_latency,
                    last.max_latency
                ),
            );
        }
        out.push('\n');
        out
    }

    fn hash(&self) -> String {
        let noted: Vec<_> = self.gate.read(|tree| tree.noted_digests().collect());
        let mut out = String::new();
        for (zxid, digest) in noted {
            line(&mut out, format_args!("{:x}: {}", zxid.0, digest as i64));
        }
        out
    }

    fn conf(&self) -> String {
        let config = &self.config;
        let port = config
            .client_addr
            .as_ref()
            .map_or(-1, |HostPort { port, .. }| i32::from(*port));
        let mut out = String::new();
        let (data, log) = &self.dirs;
        line(&mut out, format_args!("clientPort={port}"));
        line(&mut out, format_args!("secureClientPort=-1"));
        line(&mut out, format_args!("dataDir={}", data.display()));
        line(&mut out, format_args!("dataDirSize={}", folder_bytes(data)));
        line(&mut out, format_args!("dataLogDir={}", log.display()));
        line(&mut out, format_args!("dataLogSize={}", folder_bytes(log)));
        line(
            &mut out,
            format_args!("tickTime={}", config.tick_time.as_millis()),
        );
        line(
            &mut out,
            format_args!("maxClientCnxns={}", config.max_client_cnxns),
        );
        let (min, max) = (config.min_session_timeout, config.max_session_timeout);
        line(
            &mut out,
            format_args!("minSessionTimeout={}", min.as_millis()),
        );
        line(
            &mut out,
            format_args!("maxSessionTimeout={}", max.as_millis()),
        );
        let backlog = config.client_port_listen_backlog;
        line(&mut out, format_args!("clientPortListenBacklog={backlog}"));
        line(&mut out, format_args!("serverId={}", config.server_id));
        if let Some(own) = &config.member {
            membership(&mut out, own);
        }
        out
    }
}

/// The part of `conf` about the ensemble. Source: `QuorumZooKeeperServer.dumpConf`.
fn membership(out: &mut String, own: &Membership) {
    let addresses = own.ensemble.members.get(&own.id.0);
    let addresses = addresses.map_or(&[][..], |member| member.addresses.as_slice());
    let ports = |port: fn(&PeerAddress) -> u16| {
        let mut ports: Vec<u16> = Vec::new();
        for port in addresses.iter().map(port) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        ports.join("|")
    };
    line(out, format_args!("initLimit={}", own.init_limit));
    line(out, format_args!("syncLimit={}", own.sync_limit));
    line(out, format_args!("electionAlg=3"));
    line(
        out,
        format_args!("electionPort={}", ports(|address| address.election_port)),
    );
    line(
        out,
        format_args!("quorumPort={}", ports(|address| address.quorum_port)),
    );
    let peer_type = u8::from(own.role == config::ensemble::Role::Observer);
    line(out, format_args!("peerType={peer_type}"));
    line(out, format_args!("membership: "));
    out.push_str(&own.ensemble.text());
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}

/// Address, interest and packet counts, without the closing bracket.
fn basics(conn: &Conn, own: &Conn) -> String {
    let interest = interest(conn, Some(own));
    let (received, sent) = conn.stats.packets();
    format!(
        "{}[{interest}](queued={},recved={received},sent={sent}",
        text::socket_address(&conn.remote),
        conn.stats.queued()
    )
}

/// What the socket of a connection is watched for: 1 to read, 4 to write. Nothing while its request is served, so it is
/// 0 for `own`, which waits for this very answer.
pub(super) fn interest(conn: &Conn, own: Option<&Conn>) -> u8 {
    if own.is_some_and(|own| own.id == conn.id) {
        return 0;
    }
    1 | if conn.outbox.is_empty() { 0 } else { 4 }
}

#[cfg(test)]
mod tests;
