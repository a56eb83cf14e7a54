//! One subtree out of a backup, into an ensemble that lives: through its front door, in batches.
//!
//! ```text
//!   backup -> tree at the position -> znodes, parents first -> which exist already -> multi, multi, ... -> ensemble
//! ```
//!
//! Ephemeral znodes are left out: they belong to sessions. Each batch is one multi, there as a whole or not at all;
//! what is lost with a connection is looked for before it is sent again. Interrupted, the same command with
//! `--existing skip` goes on where it ended.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use jute::data::Acl;
use jute::proto::{CreateRequest, CreateTtlRequest, MultiOp, MultiResult};
use jute::{Buffer, ErrorCode, Op, Str};

use crate::cli::backup::error::BackupError;
use crate::client::{Client, CreateMode, Error, check_path, open_acl};
use crate::tree::{self, Kind, Tree, TreeOptions};

/// What to do about znodes that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Existing {
    /// Refuse, before anything is written.
    Fail,
    /// Give them the data and the ACL of the backup. What the backup does not know stays.
    Overwrite,
    /// Leave them as they are, and create what is missing.
    Skip,
}

/// What to restore, and where.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Root of the subtree in the backup.
    pub subtree: String,
    /// Servers to connect to.
    pub servers: String,
    /// Where the subtree's root shall be.
    pub target: String,
    /// What to do about znodes that exist.
    pub existing: Existing,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Znodes in one multi.
    pub batch: usize,
    /// Schemes and data to authenticate with.
    pub auth: Option<(String, String)>,
}

/// What was done, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Znodes that were created.
    pub created: usize,
    /// Znodes that got data and ACL.
    pub overwritten: usize,
    /// Znodes that exist and were left alone.
    pub skipped: usize,
    /// Ephemeral znodes of the backup.
    pub ephemerals: usize,
}

/// A znode to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Where it shall be.
    pub path: String,
    data: Buffer,
    acl: Vec<Acl>,
    mode: CreateMode,
}

/// Splits `host:port,host:port/target`; without a target the subtree goes where it was.
///
/// # Errors
/// If the target is no path.
pub fn split(into: &str, subtree: &str) -> Result<(String, String), String> {
    let (servers, target) = match into.find('/') {
        Some(at) => (&into[..at], &into[at..]),
        None => (into, subtree),
    };
    for path in [target, subtree] {
        check_path(path).map_err(|error| format!("{path}: {error}"))?;
        if path == "/zookeeper" || path.starts_with("/zookeeper/") {
            return Err(format!(
                "{path}: belongs to the servers and cannot be restored"
            ));
        }
    }
    Ok((servers.to_owned(), target.to_owned()))
}

/// The znodes below `subtree` and itself, parents first, with the paths they shall have; and how many are ephemeral.
///
/// # Errors
/// If there is no such znode.
pub fn collect(tree: &Tree, subtree: &str, target: &str) -> Option<(Vec<Znode>, usize)> {
    let options = TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    };
    let (mut znodes, mut ephemerals) = (Vec::new(), 0);
    let mut todo = vec![subtree.to_owned()];
    tree.find(subtree)?;
    while let Some(path) = todo.pop() {
        let Some(znode) = tree.find(&path) else {
            continue;
        };
        let owner = tree.persisted(znode).ephemeral_owner;
        let mode = match tree::kind(owner, &options) {
            Kind::Ephemeral(_) => {
                ephemerals += 1;
                continue;
            }
            Kind::Persistent => CreateMode::Persistent,
            Kind::Container => CreateMode::Container,
            Kind::Ttl { ms } => CreateMode::Ttl(ms),
        };
        let prefix = path.trim_end_matches('/');
        let children = tree.children(znode).map(|name| format!("{prefix}/{name}"));
        todo.extend(children.filter(|path| path != "/zookeeper"));
        znodes.push(Znode {
            path: moved(&path, subtree, target),
            data: tree.data(znode).map(bytes::Bytes::copy_from_slice),
            acl: tree.acl(znode).to_vec(),
            mode,
        });
    }
    znodes.sort_by(|a, b| a.path.cmp(&b.path));
    Some((znodes, ephemerals))
}

fn moved(path: &str, subtree: &str, target: &str) -> String {
    let below = path
        .strip_prefix(subtree.trim_end_matches('/'))
        .unwrap_or(path);
    let moved = format!("{}{below}", target.trim_end_matches('/'));
    match moved.trim_end_matches('/') {
        "" => "/".to_owned(),
        moved => moved.to_owned(),
    }
}

/// Restores the subtree of `tree`.
///
/// # Errors
/// What the servers say, or what exists.
pub async fn restore(tree: &Tree, wish: &Wish) -> Result<Done, BackupError> {
    let into = |what: String| BackupError::Server {
        server: wish.servers.clone(),
        what,
    };
    let (znodes, ephemerals) =
        collect(tree, &wish.subtree, &wish.target).ok_or_else(|| BackupError::OutOfReach {
            wanted: wish.subtree.clone(),
            what: "there is no such znode at that position".into(),
        })?;
    let connected = Client::connect(&wish.servers, PATIENCE).await;
    let (client, events) = connected.map_err(|error| into(error.to_string()))?;
    // Nobody looks at them here.
    drop(events);
    if let Some((scheme, data)) = &wish.auth {
        let added = client
            .add_auth(scheme, bytes::Bytes::from(data.clone()))
            .await;
        added.map_err(|error| into(error.to_string()))?;
    }
    let restoring = Restoring {
        client: &client,
        wish,
    };
    let done = restoring.run(znodes).await;
    client.close().await;
    let done = done.map_err(|(path, what)| into(format!("{path}: {what}")))?;
    Ok(Done { ephemerals, ..done })
}

/// Where it failed, and why.
type Failed = (String, String);

struct Restoring<'a> {
    client: &'a Client,
    wish: &'a Wish,
}

impl Restoring<'_> {
    async fn run(&self, znodes: Vec<Znode>) -> Result<Done, Failed> {
        let existing = self.existing(&znodes).await?;
        let (there, missing): (Vec<_>, Vec<_>) = znodes
            .into_iter()
            .partition(|znode| existing.contains(&znode.path));
        let mut done = Done::default();
        match self.wish.existing {
            Existing::Fail if there.iter().any(|znode| znode.path != "/") => {
                let first = there[0].path.clone();
                let what = format!(
                    "exists, as do {} of the znodes in all: nothing was written; choose --existing overwrite or skip",
                    there.len()
                );
                return Err((first, what));
            }
            Existing::Fail | Existing::Skip => done.skipped = there.len(),
            Existing::Overwrite => done.overwritten = there.len(),
        }
        done.created = missing.len();
        if self.wish.dry_run {
            return Ok(done);
        }
        if !missing.is_empty() {
            self.create_parents(&missing[0].path).await?;
        }
        for batch in batches(&missing, self.wish.batch) {
            self.create(batch).await?;
        }
        if self.wish.existing == Existing::Overwrite {
            for znode in &there {
                self.overwrite(znode).await?;
            }
        }
        Ok(done)
    }

    /// Which of them exist. Many questions are under way at once.
    async fn existing(&self, znodes: &[Znode]) -> Result<BTreeSet<String>, Failed> {
        let mut existing = BTreeSet::new();
        for part in znodes.chunks(QUESTIONS) {
            let mut asked = tokio::task::JoinSet::new();
            for znode in part {
                let (client, path) = (self.client.clone(), znode.path.clone());
                asked.spawn(async move {
                    let found = exists(&client, &path).await;
                    (path, found)
                });
            }
            while let Some(answer) = asked.join_next().await {
                let (path, found) = answer.map_err(|error| (String::new(), error.to_string()))?;
                match found {
                    Ok(true) => drop(existing.insert(path)),
                    Ok(false) => {}
                    Err(error) => return Err((path, error.to_string())),
                }
            }
        }
        Ok(existing)
    }

    /// Those above `path`, as ordinary znodes for everybody.
    async fn create_parents(&self, path: &str) -> Result<(), Failed> {
        for (at, _) in path.match_indices('/').skip(1) {
            let parent = &path[..at];
            let (acl, mode) = (open_acl(), CreateMode::Persistent);
            let make = async || {
                self.client
                    .create(parent, None, &acl, mode)
                    .await
                    .map(|_| ())
            };
            match again(self.client, make).await {
                Ok(()) | Err(Error::Server(ErrorCode::NODE_EXISTS)) => {}
                // Whoever may not create it may still use it, if it is there.
                Err(Error::Server(ErrorCode::NO_AUTH)) => {}
                Err(error) => return Err((parent.to_owned(), error.to_string())),
            }
        }
        Ok(())
    }

    /// One multi, as often as it takes.
    async fn create(&self, batch: &[Znode]) -> Result<(), Failed> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return Ok(());
        };
        for _ in 0..TRIES {
            let ops = batch.iter().map(create_op).collect();
            match self.client.multi(ops).await {
                Ok(results) => {
                    return match failure(&results) {
                        None => Ok(()),
                        Some((at, code)) => Err((
                            batch[at].path.clone(),
                            format!("{} (create)", crate::client::code_text(code)),
                        )),
                    };
                }
                Err(Error::ConnectionLoss) => {}
                Err(error) => return Err((first.path.clone(), error.to_string())),
            }
            let known = self.client.wait_connected(PATIENCE).await;
            known.map_err(|error| (first.path.clone(), error.to_string()))?;
            // It is there as a whole, or not at all.
            let found = exists(self.client, &last.path).await;
            if found == Ok(true) {
                return Ok(());
            }
        }
        Err((first.path.clone(), Error::ConnectionLoss.to_string()))
    }

    async fn overwrite(&self, znode: &Znode) -> Result<(), Failed> {
        let client = self.client;
        let data = async || {
            let set = client.set_data(&znode.path, znode.data.clone(), -1).await;
            set.map(|_| ())
        };
        let failed = |error: Error| (znode.path.clone(), error.to_string());
        again(client, data).await.map_err(failed)?;
        if znode.acl.is_empty() {
            return Ok(());
        }
        let acl = async || {
            client
                .set_acl(&znode.path, &znode.acl, -1)
                .await
                .map(|_| ())
        };
        again(client, acl).await.map_err(failed)
    }
}

/// Whether a znode exists.
async fn exists(client: &Client, path: &str) -> Result<bool, Error> {
    let mut tries = 1;
    loop {
        match client.exists(path, false).await {
            Err(Error::ConnectionLoss) if tries < TRIES => {
                tries += 1;
                client.wait_connected(PATIENCE).await?;
            }
            other => return other.map(|stat| stat.is_some()),
        }
    }
}

/// Asks again after a lost connection; only for what may be done twice.
async fn again<T>(client: &Client, ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match ask().await {
            Err(Error::ConnectionLoss) if tries < TRIES => {
                tries += 1;
                client.wait_connected(PATIENCE).await?;
            }
            other => return other,
        }
    }
}

/// The first op of a multi that failed.
fn failure(results: &[MultiResult]) -> Option<(usize, ErrorCode)> {
    let code = |result: &MultiResult| match result {
        MultiResult::Error(code)
            if *code != ErrorCode::OK && *code != ErrorCode::RUNTIME_INCONSISTENCY =>
        {
            Some(*code)
        }
        _ => None,
    };
    results
        .iter()
        .enumerate()
        .find_map(|(at, result)| code(result).map(|code| (at, code)))
}

/// Runs of at most `most` znodes that fit in a request of every server.
fn batches(znodes: &[Znode], most: usize) -> Vec<&[Znode]> {
    let mut batches = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, znode) in znodes.iter().enumerate() {
        let size = znode.path.len()
            + znode.data.as_ref().map_or(0, bytes::Bytes::len)
            + 64 * (1 + znode.acl.len());
        if at > begin && (at - begin >= most.max(1) || bytes + size > BATCH_BYTES) {
            batches.push(&znodes[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += size;
    }
    if begin < znodes.len() {
        batches.push(&znodes[begin..]);
    }
    batches
}

fn create_op(znode: &Znode) -> MultiOp {
    let acl = match znode.acl.is_empty() {
        // What a backup's own ACL table does not know permits everything, as on its server.
        true => open_acl(),
        false => znode.acl.clone(),
    };
    let path = Some(Str::from(znode.path.clone()));
    match znode.mode {
        CreateMode::Ttl(ttl) => MultiOp::CreateTtl(CreateTtlRequest {
            path,
            data: znode.data.clone(),
            acl: Some(acl),
            flags: znode.mode.flags(),
            ttl,
        }),
        mode => {
            let op = match mode {
                CreateMode::Container => Op::CreateContainer,
                _ => Op::Create,
            };
            MultiOp::Create(
                op,
                CreateRequest {
                    path,
                    data: znode.data.clone(),
                    acl: Some(acl),
                    flags: mode.flags(),
                },
            )
        }
    }
}

/// How long a connection may take, also the session timeout that is asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries of what a lost connection leaves open.
const TRIES: u32 = 10;

/// Questions under way at once.
const QUESTIONS: usize = 500;

/// Bytes in one multi: half of what a server of default settings takes.
const BATCH_BYTES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_move_with_their_subtree() {
        assert_eq!(moved("/app/x", "/app", "/app"), "/app/x");
        assert_eq!(moved("/app/x", "/app", "/other/place"), "/other/place/x");
        assert_eq!(moved("/app", "/app", "/other"), "/other");
        assert_eq!(moved("/x/y", "/", "/old"), "/old/x/y");
        assert_eq!(moved("/", "/", "/old"), "/old");
        assert_eq!(moved("/app/x", "/app", "/"), "/x");
        assert_eq!(moved("/app", "/app", "/"), "/");
    }

    #[test]
    fn the_servers_own_znodes_are_not_restored() {
        assert!(split("h:1", "/zookeeper/quota").is_err());
        assert!(split("h:1/zookeeper", "/app").is_err());
        assert!(split("h:1", "app").is_err());
        assert_eq!(
            split("a:1,b:2", "/app"),
            Ok(("a:1,b:2".into(), "/app".into()))
        );
        assert_eq!(split("a:1/x/y", "/app"), Ok(("a:1".into(), "/x/y".into())));
    }

    #[test]
    fn batches_are_bounded_in_znodes_and_bytes() {
        let znode = |bytes: usize| Znode {
            path: "/x".into(),
            data: Some(vec![0; bytes].into()),
            acl: Vec::new(),
            mode: CreateMode::Persistent,
        };
        let sizes = |znodes: &[Znode], most| {
            batches(znodes, most)
                .iter()
                .map(|part| part.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&vec![znode(1); 7], 3), [3, 3, 1]);
        assert_eq!(sizes(&vec![znode(300 << 10); 3], 100), [1, 1, 1]);
        assert_eq!(sizes(&[znode(2 << 20)], 100), [1]);
        assert!(sizes(&[], 5).is_empty());
    }
}
