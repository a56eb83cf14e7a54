//! Reads a running server over HTTP: one of ours gives its newest snapshot and its log, a Java server a snapshot.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode, header};
use jute::persist::FileHeader;

use super::data_dir::{Position, follows};
use super::error::BackupError;
use super::folder::{Folder, Output, Segments, current, finish_snapshot};
use super::manifest::{Chain, SnapshotFile, parse_zxid};
use super::run::{Addition, Report};
use crate::admin::backup::{LOG, SNAPSHOT};
use crate::base::Zxid;
use crate::cli::http::{Address, Connection};
use crate::storage::snapshot::Compression;
use crate::storage::snapshot_name;

/// A server to ask.
#[derive(Clone, Debug)]
pub struct Server {
    /// `http://host:port`, as given.
    pub address: String,
    /// The header `Authorization`: a scheme, and what it wants.
    pub auth: String,
}

/// Longest silence of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds to the backup what the server holds beyond it.
///
/// # Errors
/// What is in the way; the backup is then what it was.
pub async fn from_server(
    folder: &mut Folder,
    server: &Server,
    full: bool,
) -> Result<Report, BackupError> {
    folder.tidy()?;
    let from = current(&folder.manifest).map(Chain::last);
    let mut addition = Addition::new(server.address.clone());
    let why = match current(&folder.manifest) {
        None => "the first backup".to_owned(),
        Some(_) if full => "a full backup was asked for".to_owned(),
        Some(chain) => match server.log(&Position::of(chain)).await? {
            Log::Goes(response) => {
                let mut segments = Segments::new(chain.dir(&folder.path));
                addition.accepted_epoch = number(&response, "accepted_epoch");
                server
                    .copy_log(response, chain.last(), &mut segments)
                    .await?;
                addition.logs = segments.finish()?;
                return addition.commit(folder, from);
            }
            Log::Ends(why) => why,
            Log::Unknown => "a Java server gives snapshots alone".to_owned(),
        },
    };
    let name = folder.next_chain();
    let dir = folder.chain_dir(&name)?;
    let response = server.snapshot().await?;
    addition.accepted_epoch = number(&response, "accepted_epoch");
    let replaced_at = zxid(&response, "replaced_at");
    let is_ours = response.headers().contains_key("snapshot_name");
    let snapshot = server.copy_snapshot(response, &dir).await?;
    let mut chain = Chain {
        folder: name,
        why,
        source: server.address.clone(),
        replaced_at,
        snapshots: vec![snapshot],
        logs: Vec::new(),
    };
    if is_ours {
        match server.log(&Position::of(&chain)).await? {
            Log::Goes(response) => {
                let mut segments = Segments::new(dir);
                server
                    .copy_log(response, chain.base(), &mut segments)
                    .await?;
                addition.logs = segments.finish()?;
            }
            Log::Ends(why) => return Err(server.failed(format!("{why}; try again"))),
            Log::Unknown => return Err(server.failed("it gives no log".into())),
        }
    } else if let [snapshot] = &mut chain.snapshots[..]
        && snapshot.holds_upto > Some(snapshot.zxid)
    {
        tracing::warn!(
            "{}: written while the server went on from {} to {}, and a Java server does not send what happened in \
             between: back up its data folder instead, or when nobody writes",
            snapshot.file,
            snapshot.zxid,
            snapshot.holds_upto.unwrap_or_default()
        );
    }
    addition.chain = Some(chain);
    addition.commit(folder, from)
}

/// What a server says of its log behind a position.
enum Log {
    Goes(Response<Incoming>),
    /// It does not go on from there.
    Ends(String),
    /// It knows nothing of such a question.
    Unknown,
}

impl Server {
    fn failed(&self, what: String) -> BackupError {
        BackupError::Server {
            server: self.address.clone(),
            what,
        }
    }

    async fn log(&self, position: &Position) -> Result<Log, BackupError> {
        let mut path = format!("{LOG}?after={}", position.last);
        if let Some(checksum) = position.checksum {
            path.push_str(&format!("&checksum={checksum}"));
        }
        if let Some(zxid) = position.replaced_at {
            path.push_str(&format!("&replaced_at={zxid}"));
        }
        let response = self.get(&path).await?;
        match response.status() {
            StatusCode::OK => Ok(Log::Goes(response)),
            StatusCode::CONFLICT => Ok(Log::Ends(error_in(response).await)),
            StatusCode::NOT_FOUND => Ok(Log::Unknown),
            _ => Err(self.refused(response).await),
        }
    }

    async fn snapshot(&self) -> Result<Response<Incoming>, BackupError> {
        let mut response = self.get(SNAPSHOT).await?;
        if response.status() == StatusCode::NOT_FOUND {
            response = self.get("/commands/snapshot?streaming=true").await?;
        }
        let is_stream = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"));
        match response.status() {
            StatusCode::OK if is_stream => Ok(response),
            _ => Err(self.refused(response).await),
        }
    }

    async fn refused(&self, response: Response<Incoming>) -> BackupError {
        let status = response.status();
        let hint = match status {
            StatusCode::UNAUTHORIZED => "; give credentials with --auth",
            StatusCode::FORBIDDEN => "; whoever asks needs every permission on /",
            StatusCode::TOO_MANY_REQUESTS => {
                "; it gives one snapshot per admin.rateLimiterIntervalInMS"
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                "; is admin.snapshot.enabled off, or does it look for a leader?"
            }
            _ => "",
        };
        let error = error_in(response).await;
        self.failed(format!("it answers {status} {error}{hint}"))
    }

    async fn copy_snapshot(
        &self,
        mut response: Response<Incoming>,
        dir: &std::path::Path,
    ) -> Result<SnapshotFile, BackupError> {
        let Some(zxid) = zxid(&response, "last_zxid") else {
            return Err(self.failed("its answer has no header last_zxid".into()));
        };
        let mut open: Option<(String, Output)> = None;
        while let Some(piece) = self.piece(&mut response).await? {
            let (name, mut output) = match open.take() {
                Some(open) => open,
                None => {
                    let name = snapshot_name(zxid, Compression::of_bytes(&piece));
                    let output = Output::create(dir, &name)?;
                    (name, output)
                }
            };
            output.write(&piece)?;
            open = Some((name, output));
        }
        let (name, output) =
            open.ok_or_else(|| self.failed("it sends an empty snapshot".into()))?;
        finish_snapshot(output, &name, zxid)
    }

    async fn copy_log(
        &self,
        mut response: Response<Incoming>,
        after: Zxid,
        segments: &mut Segments,
    ) -> Result<(), BackupError> {
        let mut records = Records {
            buffer: BytesMut::new(),
            begun: false,
            last: after,
        };
        while let Some(piece) = self.piece(&mut response).await? {
            records.buffer.extend_from_slice(&piece);
            while let Some((zxid, payload)) = records.next().map_err(|what| self.failed(what))? {
                segments.append(zxid, &payload)?;
            }
        }
        match records.buffer.is_empty() {
            true => Ok(()),
            false => Err(self.failed("its log ends in the middle of a record".into())),
        }
    }

    async fn piece(&self, response: &mut Response<Incoming>) -> Result<Option<Bytes>, BackupError> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, response.frame()).await;
            let frame = frame.map_err(|_| self.failed("it stopped sending".into()))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame =
                frame.map_err(|error| self.failed(format!("the answer broke off: {error}")))?;
            // What is no data are trailers.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Response<Incoming>, BackupError> {
        let ask = async {
            let address = Address::parse(&self.address)?;
            let mut connection = Connection::open(&address).await?;
            connection.get(path, Some(&self.auth)).await
        };
        let response = tokio::time::timeout(PATIENCE, ask).await;
        let response = response.unwrap_or_else(|_| Err("does not answer in time".into()));
        response.map_err(|what| self.failed(what))
    }
}

/// What an answer in JSON says is wrong, or "".
async fn error_in(response: Response<Incoming>) -> String {
    let body = http_body_util::Limited::new(response.into_body(), 64 << 10);
    let Ok(body) = body.collect().await else {
        return String::new();
    };
    let json: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    json["error"].as_str().unwrap_or_default().to_owned()
}

fn text<'a>(response: &'a Response<Incoming>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn zxid(response: &Response<Incoming>, name: &str) -> Option<Zxid> {
    text(response, name).and_then(parse_zxid)
}

fn number(response: &Response<Incoming>, name: &str) -> Option<i64> {
    text(response, name)?.parse().ok()
}

/// Records as they arrive.
struct Records {
    buffer: BytesMut,
    /// Whether the header of the file was there.
    begun: bool,
    last: Zxid,
}

impl Records {
    /// The next record that is there as a whole, or what is wrong.
    fn next(&mut self) -> Result<Option<(Zxid, Bytes)>, String> {
        if !self.begun {
            if self.buffer.len() < FileHeader::SIZE {
                return Ok(None);
            }
            if self.buffer[..4] != FileHeader::LOG.magic.to_be_bytes() {
                return Err("what it sends is no log".into());
            }
            self.buffer.advance(FileHeader::SIZE);
            self.begun = true;
        }
        let Some(mut head) = self.buffer.get(..12) else {
            return Ok(None);
        };
        let (checksum, length) = (head.get_u64(), head.get_u32() as usize);
        if !(32..=i32::MAX as usize).contains(&length) {
            return Err(format!(
                "a record of {length} bytes comes behind {}",
                self.last
            ));
        }
        if self.buffer.len() < length + 13 {
            return Ok(None);
        }
        let mut record = self.buffer.split_to(length + 13).freeze();
        let is_ended = record[length + 12] == b'B';
        record.advance(12);
        record.truncate(length);
        let zxid = Zxid((&record[12..20]).get_i64());
        if !is_ended || u64::from(simd_adler32::adler32(&&record[..])) != checksum {
            return Err(format!("the record behind {} is damaged", self.last));
        }
        if zxid > self.last && !follows(zxid, self.last) {
            return Err(format!(
                "records are missing between {} and {zxid}",
                self.last
            ));
        }
        self.last = self.last.max(zxid);
        Ok(Some((zxid, record)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use jute::Wire;

    use super::*;

    fn log(zxids: &[i64]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        FileHeader::LOG.write(&mut jute::Writer::for_file(&mut bytes));
        for zxid in zxids {
            let mut payload = vec![7; 40];
            payload[12..20].copy_from_slice(&zxid.to_be_bytes());
            bytes.put_u64(simd_adler32::adler32(&&payload[..]).into());
            bytes.put_u32(40);
            bytes.put_slice(&payload);
            bytes.put_u8(b'B');
        }
        bytes.to_vec()
    }

    /// The records of a stream that comes in pieces of `step` bytes, and what is left of it.
    fn read(stream: &[u8], step: usize) -> Result<(Vec<i64>, usize), String> {
        let mut records = Records {
            buffer: BytesMut::new(),
            begun: false,
            last: Zxid(4),
        };
        let mut zxids = Vec::new();
        for piece in stream.chunks(step) {
            records.buffer.extend_from_slice(piece);
            while let Some((zxid, _)) = records.next()? {
                zxids.push(zxid.0);
            }
        }
        Ok((zxids, records.buffer.len()))
    }

    #[test]
    fn records_are_read_from_pieces_of_any_size() {
        let stream = log(&[5, 6, 7, 0x1_0000_0001]);
        for step in [1, 7, 53, 1000] {
            assert_eq!(read(&stream, step), Ok((vec![5, 6, 7, 0x1_0000_0001], 0)));
        }
        assert_eq!(read(&log(&[]), 3), Ok((vec![], 0)));
        let (zxids, left) = read(&stream[..stream.len() - 1], 9).unwrap();
        assert_eq!((zxids.len(), left > 0), (3, true));
    }

    #[test]
    fn holes_damage_and_lengths_that_lie_are_refused() {
        for hole in [&[6][..], &[5, 7], &[5, 0x1_0000_0002]] {
            assert!(read(&log(hole), 100).is_err(), "{hole:?}");
        }
        let stream = log(&[5]);
        for at in [0, 20, 23, 27, 30, 40, 60, stream.len() - 1] {
            let mut bytes = stream.clone();
            bytes[at] ^= 0x80;
            let read = read(&bytes, 100);
            assert!(!matches!(read, Ok((_, 0))), "{at}: {read:?}");
        }
    }
}
