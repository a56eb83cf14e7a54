//! Four-letter words: a word instead of a first frame, a text instead of a session.
//!
//! Source: `FourLetterCommands`, `server.command.*`.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Mono;
use crate::config::{Config, HostPort};
use crate::replica::conn::Conn;
use crate::replica::gate::Gate;
use crate::replica::status::Counters;
use crate::runtime::clock::Clock;

/// What the words tell about.
pub struct Admin {
    /// The tree, its watches and connections.
    pub gate: Arc<Gate>,
    /// What the server counts.
    pub counters: Arc<Counters>,
    /// What the server was started with.
    pub config: Arc<Config>,
    /// Folder of snapshots and folder of logs, absolute.
    pub dirs: (PathBuf, PathBuf),
    /// The process's clock.
    pub clock: Clock,
    /// When the server began to serve.
    pub started: Mono,
}

/// Every word Java knows, the bytes of a telnet interrupt among them.
const WORDS: [[u8; 4]; 19] = [
    *b"conf", *b"cons", *b"crst", *b"dirs", *b"dump", *b"envi", *b"gtmk", *b"hash", *b"isro",
    *b"mntr", *b"ruok", *b"srst", *b"srvr", *b"stat", *b"stmk", *b"wchc", *b"wchp", *b"wchs",
    TELNET,
];
const TELNET: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

/// Whether these four bytes, first on a connection, are a word and not the length of a frame.
pub fn is_word(bytes: [u8; 4]) -> bool {
    WORDS.contains(&bytes)
}

/// The answer to a word, whole. `conn` is the connection that asked.
pub fn answer(admin: &Admin, word: [u8; 4], conn: &Conn) -> String {
    let name = match word {
        TELNET => "telnet close",
        _ => str::from_utf8(&word).unwrap_or_default(),
    };
    if !admin.config.four_letter_whitelist.allows(name) {
        return format!("{name} is not executed because it is not in the whitelist.\n");
    }
    match &word {
        b"ruok" => "imok".into(),
        b"isro" => "rw".into(),
        b"srvr" => admin.srvr(None),
        b"stat" => admin.srvr(Some(conn)),
        b"mntr" => admin.mntr(),
        b"cons" => admin.cons(conn),
        b"conf" => admin.conf(),
        &TELNET => String::new(),
        _ => format!("{name} is not built into this server yet.\n"),
    }
}

/// Version line, as clients and tools parse it: up to the first comma, `x.y.z-` and a text.
pub fn version() -> String {
    format!(
        "3.9.5-oxkeeper-{}, built on {}",
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_DATE")
    )
}

impl Admin {
    fn srvr(&self, with_clients: Option<&Conn>) -> String {
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
        let avg = rounded(latency.avg);
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
        line(&mut out, format_args!("Mode: standalone"));
        line(&mut out, format_args!("Node count: {znodes}"));
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
                     minlat=0,avglat={},maxlat={})",
                    basics(&conn, own),
                    lane.session(),
                    last.op,
                    conn.stats.established.0,
                    timeout.as_millis(),
                    last.zxid,
                    last.at,
                    last.latency,
                    last.avg_latency,
                    last.max_latency
                ),
            );
        }
        out.push('\n');
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
        out
    }

    fn mntr(&self) -> String {
        let latency = self.counters.latency();
        let (received, sent) = self.counters.packets();
        let (open_files, max_files) = open_files();
        let watches = self.gate.with_watches(crate::watch::Table::watch_count);
        let (znodes, bytes, ephemerals, sessions) = self.gate.read(|tree| {
            let sessions = tree.sessions().count();
            (
                tree.znode_count(),
                tree.data_size(),
                tree.ephemeral_count(),
                sessions,
            )
        });
        let mut out = String::new();
        let mut put = |key: &str, value: &dyn std::fmt::Display| {
            line(&mut out, format_args!("zk_{key}\t{value}"));
        };
        put("version", &version());
        put("server_state", &"standalone");
        put("avg_latency", &rounded(latency.avg));
        put("max_latency", &latency.max);
        put("min_latency", &latency.min);
        put("packets_received", &received);
        put("packets_sent", &sent);
        put("num_alive_connections", &self.gate.conn_count());
        put("outstanding_requests", &self.counters.outstanding());
        put("znode_count", &znodes);
        put("watch_count", &watches);
        put("ephemerals_count", &ephemerals);
        put("approximate_data_size", &bytes);
        put("global_sessions", &sessions);
        put("local_sessions", &0);
        put("open_file_descriptor_count", &open_files);
        put("max_file_descriptor_count", &max_files);
        put("uptime", &(self.clock.mono() - self.started).as_millis());
        out
    }
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}

/// Address, interest and packet counts, without the closing bracket. The number after the address is what the socket
/// is watched for: 1 to read; a connection that waits for this very answer is watched for nothing.
fn basics(conn: &Conn, own: &Conn) -> String {
    let interest = u8::from(conn.id != own.id);
    let (received, sent) = conn.stats.packets();
    format!(
        "/{}[{interest}](queued={},recved={received},sent={sent}",
        conn.remote,
        conn.stats.queued()
    )
}

/// Four decimals, half up, always with a point: as Java prints a rounded double.
fn rounded(value: f64) -> String {
    format!("{:?}", (value * 10_000.0).round() / 10_000.0)
}

fn folder_bytes(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let files = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.metadata().ok());
    files
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// Open files of this process, and how many it may have.
fn open_files() -> (usize, u64) {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (open, limit.current.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_print_as_javas_doubles() {
        assert_eq!(rounded(0.0), "0.0");
        assert_eq!(rounded(3.628_24), "3.6282");
        assert_eq!(rounded(2.0), "2.0");
    }

    #[test]
    fn words_are_told_from_frame_lengths() {
        assert!(is_word(*b"ruok"));
        assert!(!is_word([0, 0, 0, 45]));
        assert!(!is_word(*b"RUOK"));
    }
}
