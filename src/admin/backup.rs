//! What `oxkeeper backup --server` asks a running server for: its newest snapshot, and the log behind a position.
//!
//! ```text
//!   GET /backup/snapshot                          the newest finished file, as it is stored
//!       answered with   snapshot_name, last_zxid, snapshot_size, replaced_at, accepted_epoch
//!   GET /backup/log?after=0x5&checksum=7&replaced_at=0x3   records behind 0x5, up to the last one applied
//!       200             a log file without padding; it ends where the stream ends
//!       409             the log does not go on from there, and why: begin with a snapshot
//! ```
//!
//! Both need what `snapshot` needs; neither makes the server write anything, so their rate is not limited. A broken
//! answer breaks the connection.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use hyper::{Method, StatusCode};
use jute::Wire;
use jute::persist::FileHeader;

use super::answer::{Answer, Call, Query};
use super::commands::{Command, Run};
use super::snapshot::{authorize, bare, write};
use super::{Admin, spool};
use crate::base::Zxid;
use crate::cli::backup::data_dir::{self, Continues, Position};
use crate::cli::backup::error::BackupError;
use crate::cli::backup::manifest::parse_zxid;
use crate::storage::snapshot::stream;
use crate::storage::{Dirs, OsDisk, install};

/// Path of the newest snapshot.
pub const SNAPSHOT: &str = "/backup/snapshot";

/// Path of the log.
pub const LOG: &str = "/backup/log";

static COMMANDS: [Command; 2] = [
    Command {
        names: &[SNAPSHOT],
        needs_server: true,
        method: Method::GET,
        run: Run::Act(|admin, call| Box::pin(snapshot(admin, call))),
    },
    Command {
        names: &[LOG],
        needs_server: true,
        method: Method::GET,
        run: Run::Act(|admin, call| Box::pin(log(admin, call))),
    },
];

/// What is at this path, if it is one of these.
pub(super) fn find(path: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name() == path)
}

fn refused(admin: &Admin, call: &Call) -> Option<Answer> {
    if let Err(refused) = authorize(admin, call) {
        return Some(*refused);
    }
    let off = !admin.config.admin_snapshot_enabled;
    off.then(|| bare(StatusCode::SERVICE_UNAVAILABLE))
}

fn dirs(admin: &Admin) -> Dirs {
    Dirs {
        data: admin.dirs.0.clone(),
        log: admin.dirs.1.clone(),
    }
}

async fn snapshot(admin: Arc<Admin>, call: Call) -> Answer {
    if let Some(refused) = refused(&admin, &call) {
        return refused;
    }
    if let Ok(Some(answer)) = open_newest(&admin) {
        return answer;
    }
    // There is none, or it was purged a moment ago.
    let answer = match write(&admin).await {
        Ok(_) => open_newest(&admin),
        Err(error) => Err(error),
    };
    answer.ok().flatten().unwrap_or_else(|| {
        let error = "there is no snapshot and none could be written; the log says why";
        Answer::failed(StatusCode::INTERNAL_SERVER_ERROR, error)
    })
}

fn open_newest(admin: &Admin) -> io::Result<Option<Answer>> {
    let dirs = dirs(admin);
    let newest = stream::newest(&OsDisk, &dirs, Zxid::ZERO).map_err(io::Error::other)?;
    let Some((zxid, path)) = newest else {
        return Ok(None);
    };
    let file = File::open(&path)?;
    let bytes = file.metadata()?.len();
    let mut answer = Answer::default();
    answer.header("last_zxid", &zxid.to_string());
    answer.header("snapshot_size", &bytes.to_string());
    let name = path.file_name().and_then(|name| name.to_str());
    answer.header("snapshot_name", name.unwrap_or_default());
    if let Some(zxid) = install::received(&OsDisk, &dirs).map_err(io::Error::other)? {
        answer.header("replaced_at", &zxid.to_string());
    }
    if let Some(epoch) = data_dir::accepted_epoch(&dirs) {
        answer.header("accepted_epoch", &epoch.to_string());
    }
    answer.stream = Some(spool::file(file, bytes));
    Ok(Some(answer))
}

/// What the parameters say, or what is wrong with them.
fn position(query: &Query) -> Result<Position, &'static str> {
    let zxid = |name| query.get(name).map(parse_zxid);
    Ok(Position {
        last: zxid("after").flatten().ok_or("after=0x... is missing")?,
        checksum: match query.get("checksum").map(str::parse) {
            None => None,
            Some(Ok(checksum)) => Some(checksum),
            Some(Err(_)) => return Err("checksum is no number"),
        },
        replaced_at: match zxid("replaced_at") {
            None => None,
            Some(Some(zxid)) => Some(zxid),
            Some(None) => return Err("replaced_at is no zxid"),
        },
    })
}

async fn log(admin: Arc<Admin>, call: Call) -> Answer {
    if let Some(refused) = refused(&admin, &call) {
        return refused;
    }
    let position = match position(&call.query) {
        Ok(position) => position,
        Err(what) => return Answer::failed(StatusCode::BAD_REQUEST, what),
    };
    let upto = admin.gate.read(crate::tree::Tree::last_zxid);
    let dirs = dirs(&admin);
    let found = dirs.clone();
    let continues =
        tokio::task::spawn_blocking(move || data_dir::continues(&found, &position, upto)).await;
    match continues {
        Ok(Ok(Continues::Yes)) => {}
        Ok(Ok(Continues::No(why))) => return Answer::failed(StatusCode::CONFLICT, &why),
        Ok(Err(error)) => {
            tracing::warn!("{}: the log cannot be backed up: {error}", call.remote);
            return bare(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Err(_) => return bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
    let mut answer = Answer::default();
    if let Some(epoch) = data_dir::accepted_epoch(&dirs) {
        answer.header("accepted_epoch", &epoch.to_string());
    }
    answer.stream = Some(spool::streamed(None, move |sink| {
        send(&dirs, position.last, upto, sink)
    }));
    answer
}

/// Sends the records behind `after`.
fn send(dirs: &Dirs, after: Zxid, upto: Zxid, sink: &spool::Sink) -> io::Result<()> {
    let mut piece = BytesMut::new();
    FileHeader::LOG.write(&mut jute::Writer::for_file(&mut piece));
    let sent = data_dir::read_log(dirs, after, upto, |_, payload| {
        piece.put_u64(simd_adler32::adler32(&&payload[..]).into());
        piece.put_u32(payload.len() as u32);
        piece.put_slice(&payload);
        piece.put_u8(b'B');
        if piece.len() < PIECE {
            return Ok(());
        }
        let sent = spool::send(sink, piece.split().freeze());
        sent.map_err(|error| BackupError::io("send", &dirs.log, error))
    });
    sent.map_err(io::Error::other)?;
    spool::send(sink, piece.freeze())
}

/// Bytes sent at once.
const PIECE: usize = 256 << 10;
