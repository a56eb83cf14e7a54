//! `/commands/restore`: a snapshot that is sent takes the place of this server's database.
//!
//! Source: `Commands.RestoreCommand`, `ZooKeeperServer.restoreFromSnapshot`. Differs from Java: a packed snapshot will
//! do, what is restored is durable before the answer, and in an ensemble the leader alone takes it, for all members.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::oneshot;

use super::Admin;
use super::answer::{Answer, Call, Upload};
use super::snapshot::{authorize, bare, switched_on};
use crate::base::Zxid;
use crate::replica::RestoreRefused;
use crate::runtime::mailbox::Message;
use crate::storage::snapshot::{self, Compression};
use crate::storage::{OsDisk, received_name};
use crate::tree::Tree;
use crate::zab::io::Role;

/// Takes the snapshot and answers when it is what this server serves.
pub(super) async fn restore(admin: Arc<Admin>, call: Call) -> Answer {
    if let Err(refused) = authorize(&admin, &call) {
        return *refused;
    }
    if let Err(status) = switched_on(&admin, admin.config.admin_restore_enabled, "restore") {
        return bare(status);
    }
    if let Some(refused) = leads_not(&admin) {
        return refused;
    }
    if !admin.rates.restore.allow(admin.clock.mono()) {
        let remote = call.remote;
        admin.counters.metrics.restore_rate_limited_count.inc();
        tracing::warn!("{remote}: refused, one restore per admin.rateLimiterIntervalInMS");
        return bare(StatusCode::TOO_MANY_REQUESTS);
    }
    let (remote, began) = (call.remote, admin.clock.stamp());
    let metrics = &admin.counters.metrics;
    match carry_out(&admin, call.upload).await {
        Ok(zxid) => {
            metrics.restore_time.record_ms(admin.clock.stamp() - began);
            let mut answer = Answer::default();
            answer.put("last_zxid", zxid.0);
            answer
        }
        Err(error) => {
            metrics.restore_error_count.inc();
            tracing::warn!("{remote}: not restored: {error}");
            match error {
                Failed::Sent(_) => bare(StatusCode::INTERNAL_SERVER_ERROR),
                Failed::Refused(refused) => {
                    Answer::failed(StatusCode::INTERNAL_SERVER_ERROR, &refused.to_string())
                }
            }
        }
    }
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// What was sent is no database, or did not arrive. Java says no more than that.
    #[error("{0}")]
    Sent(#[from] io::Error),
    #[error("{0}")]
    Refused(#[from] RestoreRefused),
}

/// A member that does not lead refuses before anything is sent, and before it counts.
fn leads_not(admin: &Admin) -> Option<Answer> {
    admin.config.member.as_ref()?;
    let ensemble = admin.counters.ensemble();
    let refused = match (ensemble.role, ensemble.leader) {
        (Some(Role::Leading), _) => return None,
        (Some(_), Some(leader)) => RestoreRefused::NotLeading(leader),
        _ => RestoreRefused::NoLeader,
    };
    tracing::warn!("a restore is refused: {refused}");
    Some(Answer::failed(StatusCode::CONFLICT, &refused.to_string()))
}

async fn carry_out(admin: &Admin, upload: Upload) -> Result<Zxid, Failed> {
    let spool = Spool::take(admin.dirs.0.clone(), upload).await?;
    let options = admin.gate.read(|tree| tree.options().clone());
    let loaded = tokio::task::spawn_blocking(move || spool.load(options));
    let (zxid, tree) = loaded.await.map_err(io::Error::other)??;
    let (asked, told) = oneshot::channel();
    admin.mailbox.push(Message::Restore(Box::new(tree), asked));
    told.await.map_err(io::Error::other)??;
    Ok(zxid)
}

/// What was sent, in a file that a start removes if nobody else does.
struct Spool(PathBuf);

impl Spool {
    async fn take(dir: PathBuf, mut upload: Upload) -> io::Result<Spool> {
        let mut open: Option<(Spool, File)> = None;
        while let Some(piece) = upload.next().await? {
            let (spool, mut file) = match open.take() {
                Some(open) => open,
                None => {
                    let packed = Compression::of_bytes(&piece);
                    let name = received_name(&format!("upload{}", packed.suffix()));
                    let spool = Spool(dir.join(name));
                    let file = File::create(&spool.0)?;
                    (spool, file)
                }
            };
            let written = tokio::task::spawn_blocking(move || {
                file.write_all(&piece)?;
                Ok::<_, io::Error>(file)
            });
            open = Some((spool, written.await.map_err(io::Error::other)??));
        }
        let nothing = || io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was sent");
        open.map(|(spool, _)| spool).ok_or_else(nothing)
    }

    fn load(self, options: crate::tree::TreeOptions) -> io::Result<(Zxid, Tree)> {
        let loaded = snapshot::read(&OsDisk, &self.0, Zxid::ZERO, options);
        let loaded = loaded.map_err(io::Error::other)?;
        let digest = loaded.digest.map(|(zxid, _)| zxid);
        let zxid = loaded.last_zxid.or(digest).unwrap_or_default();
        let mut tree = loaded.tree;
        tree.set_last_zxid(zxid);
        Ok((zxid, tree))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}
