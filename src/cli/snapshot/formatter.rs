//! Every znode of a snapshot: as text, for ncdu, and as JSON for programs.

use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jute::data::{Acl, StatPersisted};
use serde_json::{Value, json};

use super::{Failure, name_zxid, read, refuse_no_file, walk, with_progress};
use crate::base::{SessionId, java_map};
use crate::cli::java_text::{date_iso, date_long, padded_hex};
use crate::cli::log::acls;
use crate::cli::progress::Progress;
use crate::storage::snapshot::{self, Parts};
use crate::tree::{LoadError, Tree};

/// Prints every znode and session as text.
/// Source: `SnapshotFormatter.printDetails`.
pub fn details(out: &mut dyn Write, path: &Path, data: bool) -> Result<(), Failure> {
    refuse_no_file(path)?;
    let snapshot = read(path)?;
    let tree = &snapshot.tree;
    writeln!(out, "ZNode Details (count={}):", tree.znode_count())?;
    let mut last = name_zxid(path);
    for visit in walk(tree, "/").into_iter().flatten() {
        let stat = tree.persisted(visit.znode);
        last = last.max(stat.mzxid).max(stat.pzxid);
        writeln!(out, "----\n{}", visit.path)?;
        print_stat(out, &stat)?;
        let bytes = tree.data(visit.znode).unwrap_or_default();
        match data {
            true => writeln!(out, "  data = {}", STANDARD.encode(bytes))?,
            false => writeln!(out, "  dataLength = {}", bytes.len())?,
        }
    }
    writeln!(out, "----")?;
    print_sessions(out, tree)?;
    writeln!(out, "----\nLast zxid: {last:#x}")?;
    snapshot.verdict()
}

fn print_stat(out: &mut dyn Write, stat: &StatPersisted) -> io::Result<()> {
    writeln!(out, "  cZxid = {}", padded_hex(stat.czxid))?;
    writeln!(out, "  ctime = {}", date_long(stat.ctime))?;
    writeln!(out, "  mZxid = {}", padded_hex(stat.mzxid))?;
    writeln!(out, "  mtime = {}", date_long(stat.mtime))?;
    writeln!(out, "  pZxid = {}", padded_hex(stat.pzxid))?;
    writeln!(out, "  cversion = {}", stat.cversion)?;
    writeln!(out, "  dataVersion = {}", stat.version)?;
    writeln!(out, "  aclVersion = {}", stat.aversion)?;
    writeln!(
        out,
        "  ephemeralOwner = {}",
        padded_hex(stat.ephemeral_owner)
    )
}

fn print_sessions(out: &mut dyn Write, tree: &Tree) -> io::Result<()> {
    writeln!(out, "Session Details (sid, timeout, ephemeralCount):")?;
    let mut sessions: Vec<(SessionId, i32)> = tree.sessions().collect();
    let slots = java_map::slots(SESSION_SLOTS, sessions.len());
    sessions.sort_by_key(|(id, _)| java_map::slot(java_map::hash_of_number(id.0), slots));
    for (id, timeout) in sessions {
        let ephemerals = tree.ephemerals(id).count();
        writeln!(out, "{}, {timeout}, {ephemerals}", padded_hex(id.0))?;
    }
    Ok(())
}

/// Prints sizes as one document for ncdu, <https://dev.yorhel.nl/ncdu/jsonfmt>.
/// Source: `SnapshotFormatter.printSnapshotJson`.
pub fn ncdu(out: &mut dyn Write, path: &Path) -> Result<(), Failure> {
    refuse_no_file(path)?;
    let snapshot = read(path)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    write!(
        out,
        "[1,0,{{\"progname\":\"SnapshotFormatter.java\",\"progver\":\"0.01\",\"timestamp\":{}}}",
        now.unwrap_or_default().as_millis()
    )?;
    let mut open = 0;
    let mut number = FIRST_INODE;
    for visit in walk(&snapshot.tree, "/").into_iter().flatten() {
        // What was opened at this level or below has no more children.
        while open > visit.level {
            open -= 1;
            write!(out, "]")?;
        }
        number += 1;
        let name = match visit.path.as_str() {
            "/" => "/",
            path => path.rsplit('/').next().unwrap_or_default(),
        };
        let size = snapshot.tree.data(visit.znode).map_or(0, <[u8]>::len);
        let bracket = if visit.children > 0 { "[" } else { "" };
        write!(
            out,
            ",{bracket}{{\"name\":\"{}\",\"asize\":{size},\"dsize\":{size},\"dev\":0,\"ino\":{number}}}",
            escaped(name)
        )?;
        open += usize::from(visit.children > 0);
    }
    write!(out, "{}", "]".repeat(open + 1))?;
    snapshot.verdict()
}

/// As Jackson escapes text. Source: `JsonStringEncoder.quoteAsString`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other < ' ' => out.push_str(&format!("\\u{:04X}", other as u32)),
            other => out.push(other),
        }
    }
    out
}

/// Prints the parts as they come out of the file, so that one of any size takes no memory.
pub(super) fn json(out: &mut dyn Write, path: &Path, data: bool) -> Result<(), Failure> {
    refuse_no_file(path)?;
    let mut lines = Lines {
        out,
        data,
        failed: None,
    };
    let read = with_progress(path, Progress::while_printing, |disk| {
        snapshot::visit(disk, path, &mut lines)
    });
    if let Some(error) = lines.failed.take() {
        return Err(error.into());
    }
    let sections = read.map_err(|problem| {
        let text = format!("{}: {problem}", path.display());
        Failure::new(1, text)
    })?;
    let digest = sections
        .digest
        .map(|(zxid, digest)| json!({"zxid": format!("{zxid}"), "digest": format!("{digest:#x}")}));
    let last = sections.last_zxid.map(|zxid| zxid.to_string());
    let end = json!({"kind": "end", "zxid": format!("{:#x}", name_zxid(path)), "digest": digest, "lastZxid": last});
    writeln!(out, "{end}")?;
    Ok(())
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    data: bool,
    failed: Option<io::Error>,
}

impl Lines<'_> {
    fn print(&mut self, value: &Value) -> Result<(), LoadError> {
        if let Err(error) = writeln!(self.out, "{value}") {
            self.failed = Some(error);
            return Err(LoadError::NoRoot); // ends the walk
        }
        Ok(())
    }
}

impl Parts for Lines<'_> {
    fn session(&mut self, id: i64, timeout: i32) {
        let id = format!("{id:#x}");
        let line = json!({"kind": "session", "id": id, "timeout": timeout});
        let _ = self.print(&line);
    }

    fn acl(&mut self, id: i64, list: Vec<Acl>) -> Result<(), LoadError> {
        self.print(&json!({"kind": "acl", "id": id, "acl": acls(Some(&list))}))
    }

    fn znode(
        &mut self,
        path: &[u8],
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        let path = String::from_utf8_lossy(path);
        let path = if path.is_empty() { "/" } else { &path };
        let mut line = json!({
            "kind": "znode",
            "path": path,
            "dataLength": data.map_or(0, <[u8]>::len),
            "acl": acl,
            "czxid": format!("{:#x}", stat.czxid),
            "mzxid": format!("{:#x}", stat.mzxid),
            "pzxid": format!("{:#x}", stat.pzxid),
            "ctime": date_iso(stat.ctime),
            "mtime": date_iso(stat.mtime),
            "version": stat.version,
            "cversion": stat.cversion,
            "aversion": stat.aversion,
            "ephemeralOwner": format!("{:#x}", stat.ephemeral_owner),
        });
        if self.data {
            line["data"] = data.map(|data| STANDARD.encode(data)).into();
        }
        self.print(&line)
    }
}

/// Java counts on from here. Source: `SnapshotFormatter.INODE_IDX`.
const FIRST_INODE: u64 = 1000;

/// Room of a `HashMap` made without a size.
const SESSION_SLOTS: usize = 16;
