//! Commands on znodes: ls, get, set, stat, create, delete, deleteall and the ACLs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jute::data::{Acl, Id, Stat};
use jute::proto::{DeleteRequest, MultiOp, MultiResult};
use jute::{ErrorCode, Str};
use tokio::task::JoinSet;

use super::commands::{Call, expected_version};
use super::failure::{Failure, OnPath, message};
use super::parse::Parsed;
use super::print::{Out, hex_dump};
use super::walk::{Walk, join, subtree};
use crate::client::{Client, CreateMode, Error, open_acl};

/// Source: `LsCommand`.
pub async fn list(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 0)?;
    if parsed.has("?") {
        call.out.line("usage: ls [options] path");
        call.out.text(&call.command.options_text());
    }
    let parsed = call.parse_with_old_watch(words, 0, "ls [-w] path")?;
    let Some(path) = parsed.args.get(1) else {
        return Err(call.wrong_use());
    };
    let watch = parsed.has("w");
    if parsed.has("R") {
        call.client.get_data(path, watch).await.on(path)?;
        call.out.line(path);
        let mut walk = Walk::new(call.client, path, watch);
        while let Some((parent, names)) = walk.next().await? {
            for name in names {
                call.out.line(&join(&parent, &name));
            }
        }
        return Ok(());
    }
    let answer = call.client.get_children(path, watch).await.on(path)?;
    let mut names = answer.children.unwrap_or_default();
    names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    call.out.line(&format!("[{}]", names.join(", ")));
    if parsed.has("s") {
        call.out.stat(&answer.stat);
    }
    Ok(())
}

/// Source: `GetCommand`.
pub async fn get(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse_with_old_watch(words, 2, "get [-s] [-w] path")?;
    let path = &parsed.args[1];
    let answer = call.client.get_data(path, parsed.has("w")).await.on(path)?;
    let data = answer.data.unwrap_or(Bytes::from_static(b"null"));
    if parsed.has("x") {
        call.out.line(&hex_dump(&data));
    } else if parsed.has("b") {
        call.out.line(&STANDARD.encode(&data));
    } else {
        print_data(call.out, data);
    }
    if parsed.has("s") {
        call.out.stat(&answer.stat);
    }
    Ok(())
}

/// Data as text, as Java decodes it, with a line end.
pub fn print_data(out: &Out, data: Bytes) {
    out.line(&Str::from_java_utf8(data));
}

/// Source: `SetCommand`.
pub async fn set(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 3)?;
    let (path, text) = (&parsed.args[1], &parsed.args[2]);
    let data = match parsed.has("b") {
        true => STANDARD
            .decode(text)
            .map_err(|error| Failure::new(format!("-b argument is not base64: {error}")))?,
        false => text.clone().into_bytes(),
    };
    let version = expected_version(&parsed)?;
    let set = call.client.set_data(path, Some(data.into()), version);
    let stat = set.await.on(path)?;
    if parsed.has("s") {
        call.out.stat(&stat);
    }
    Ok(())
}

/// Source: `StatCommand`.
pub async fn stat(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse_with_old_watch(words, 2, "stat [-w] path")?;
    let path = &parsed.args[1];
    let stat: Option<Stat> = call.client.exists(path, parsed.has("w")).await.on(path)?;
    match stat {
        Some(stat) => {
            call.out.stat(&stat);
            Ok(())
        }
        None => Err(Failure::of(&Error::Server(ErrorCode::NO_NODE), path)),
    }
}

/// Source: `CreateCommand`.
pub async fn create(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let mode = mode(&parsed)?;
    let path = &parsed.args[1];
    let data = parsed.args.get(2).map(|data| Bytes::from(data.clone()));
    let acl = match parsed.args.get(3) {
        Some(text) => parse_acl(call.out, text),
        None => open_acl(),
    };
    if acl.is_empty() {
        // Java's client refuses it before it is sent, and has no path to name then.
        call.out.error("KeeperErrorCode = InvalidACL");
        return Err(Failure::of(&INVALID_ACL, "null"));
    }
    let created = match call.client.create(path, data, &acl, mode).await {
        Ok(created) => created,
        Err(error) => {
            match error.code() {
                ErrorCode::EPHEMERAL_ON_LOCAL_SESSION => {
                    let text = "Unable to create ephemeral node on a local session";
                    call.out.error(text);
                }
                ErrorCode::INVALID_ACL => call.out.error(&message(&error, path)),
                _ => {}
            }
            return Err(Failure::of(&error, path));
        }
    };
    // Java takes the whole path away from a session in the znode it creates.
    let path = created.path.filter(|path| *path != "/").unwrap_or_default();
    // On standard error, as Java has it.
    call.out.error_plain(&format!("Created {path}"));
    Ok(())
}

/// What kind of znode the options ask for.
fn mode(parsed: &Parsed) -> Result<CreateMode, Failure> {
    let (e, s, c) = (parsed.has("e"), parsed.has("s"), parsed.has("c"));
    if c && (e || s) {
        return Err(Failure::new(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ));
    }
    let ttl: Option<i64> = match parsed.value("t").map(str::parse) {
        None => None,
        Some(Ok(ttl)) => Some(ttl),
        Some(Err(_)) => return Err(Failure::new("-t argument must be a long value")),
    };
    if ttl.is_some() && e {
        return Err(Failure::new("TTLs cannot be used with Ephemeral znodes"));
    }
    if ttl.is_some() && c {
        return Err(Failure::new("TTLs cannot be used with Container znodes"));
    }
    if ttl.is_some_and(|ttl| !(1..=TTL_MAX).contains(&ttl)) {
        return Err(Failure::new(format!(
            "ttl must be positive and cannot be larger than: {TTL_MAX}"
        )));
    }
    Ok(match (e, s, c, ttl) {
        (true, true, ..) => CreateMode::EphemeralSequential,
        (true, false, ..) => CreateMode::Ephemeral,
        (_, true, _, Some(ttl)) => CreateMode::SequentialTtl(ttl),
        (_, true, _, None) => CreateMode::PersistentSequential,
        (_, _, true, _) => CreateMode::Container,
        (.., Some(ttl)) => CreateMode::Ttl(ttl),
        (.., None) => CreateMode::Persistent,
    })
}

/// Source: `DeleteCommand`.
pub async fn delete(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    if parsed.args.len() > 2 {
        call.out.error(
            "'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.",
        );
    }
    let path = &parsed.args[1];
    let version = expected_version(&parsed)?;
    call.client.delete(path, version).await.on(path)
}

/// Source: `DeleteAllCommand`, `ZKUtil.deleteRecursive`.
pub async fn delete_all(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let batch: i32 = match parsed.value("b").map(str::parse) {
        None => DELETE_BATCH,
        Some(Ok(batch)) => batch,
        Some(Err(_)) => return Err(Failure::new("-b argument must be an int value")),
    };
    let paths = subtree(call.client, &parsed.args[1]).await?;
    // Leaves first, the root of them all last.
    let paths = paths.into_iter().rev();
    match usize::try_from(batch) {
        Ok(batch @ 1..) => {
            if !delete_in_batches(call.client, paths, batch).await {
                call.out
                    .error("Failed to delete some node(s) in the subtree!");
            }
        }
        _ => {
            for path in paths {
                call.client.delete(&path, -1).await.on(&path)?;
            }
        }
    }
    Ok(())
}

/// Whether all of `paths` were deleted; stops at the first batch that fails.
async fn delete_in_batches(
    client: &Client,
    paths: impl Iterator<Item = String>,
    batch: usize,
) -> bool {
    let mut flying = JoinSet::new();
    let (mut ops, mut bytes) = (Vec::new(), 0);
    let mut paths = paths.peekable();
    while let Some(path) = paths.next() {
        bytes += path.len();
        ops.push(MultiOp::Delete(DeleteRequest {
            path: Some(path.into()),
            version: -1,
        }));
        if ops.len() < batch && bytes < BATCH_BYTES && paths.peek().is_some() {
            continue;
        }
        // Several batches fly at once; the session keeps their order.
        if flying.len() == BATCHES_AT_ONCE && !succeeded(flying.join_next().await) {
            return false;
        }
        let (client, ops) = (client.clone(), std::mem::take(&mut ops));
        flying.spawn(async move { client.multi(ops).await });
        bytes = 0;
    }
    let mut all = true;
    while let Some(done) = flying.join_next().await {
        all &= succeeded(Some(done));
    }
    all
}

type Batch = Result<Result<Vec<MultiResult>, Error>, tokio::task::JoinError>;

fn succeeded(batch: Option<Batch>) -> bool {
    match batch {
        Some(Ok(Ok(results))) => !results.iter().any(|r| matches!(r, MultiResult::Error(_))),
        Some(_) => false,
        None => true,
    }
}

/// Source: `GetAclCommand`.
pub async fn get_acl(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let path = &parsed.args[1];
    let answer = call.client.get_acl(path).await.on(path)?;
    for acl in answer.acl.iter().flatten() {
        let (scheme, id) = (text(&acl.id.scheme), text(&acl.id.id));
        // An id prints itself with a line end behind it.
        let perms = permissions(acl.perms);
        call.out.line(&format!("'{scheme},'{id}\n: {perms}"));
    }
    if parsed.has("s") {
        call.out.stat(&answer.stat);
    }
    Ok(())
}

fn text(text: &Option<Str>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Source: `SetAclCommand`.
pub async fn set_acl(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 3)?;
    let path = &parsed.args[1];
    let acl = parse_acl(call.out, &parsed.args[2]);
    let version = expected_version(&parsed)?;
    if !parsed.has("R") {
        if acl.is_empty() {
            return Err(Failure::of(&INVALID_ACL, "null"));
        }
        let stat = call.client.set_acl(path, &acl, version).await.on(path)?;
        if parsed.has("s") {
            call.out.stat(&stat);
        }
        return Ok(());
    }
    call.client.get_data(path, false).await.on(path)?;
    set_one_acl(call, path, &acl, version).await;
    let mut walk = Walk::new(call.client, path, false);
    while let Some((parent, names)) = walk.next().await? {
        for name in names {
            set_one_acl(call, &join(&parent, &name), &acl, version).await;
        }
    }
    Ok(())
}

/// What fails below is said and passed over, as in Java: on standard output, without a line end.
async fn set_one_acl(call: &Call<'_>, path: &str, acl: &[Acl], version: i32) {
    if acl.is_empty() {
        call.out.text(&message(&INVALID_ACL, ""));
    } else if let Err(error) = call.client.set_acl(path, acl, version).await {
        call.out.text(&message(&error, path));
    }
}

/// Reads `scheme:id:perms,...`; what is none is said and left out. Source: `AclParser`.
fn parse_acl(out: &Out, text: &str) -> Vec<Acl> {
    let mut list = Vec::new();
    // Java's split leaves out what is empty at the end.
    for one in text.trim_end_matches(',').split(',') {
        let parts = one.split_once(':').and_then(|(scheme, rest)| {
            let (id, perms) = rest.rsplit_once(':')?;
            Some((scheme, id, perms))
        });
        let Some((scheme, id, perms)) = parts else {
            out.error(&format!("{one} does not have the form scheme:id:perm"));
            continue;
        };
        let mut bits = 0;
        for letter in perms.chars() {
            match PERMISSIONS.iter().find(|(known, _)| *known == letter) {
                Some((_, bit)) => bits |= bit,
                None => out.error(&format!("Unknown perm type: {letter}")),
            }
        }
        list.push(Acl {
            perms: bits,
            id: Id {
                scheme: Some(scheme.into()),
                id: Some(id.into()),
            },
        });
    }
    list
}

/// Permissions as letters. Source: `ZKUtil.getPermString`.
fn permissions(bits: i32) -> String {
    let set = PERMISSIONS.iter().filter(|(_, bit)| bits & bit != 0);
    set.map(|(letter, _)| letter).collect()
}

/// In the order in which they are printed.
const PERMISSIONS: [(char, i32); 5] = [('c', 4), ('d', 8), ('r', 1), ('w', 2), ('a', 16)];
const INVALID_ACL: Error = Error::Server(ErrorCode::INVALID_ACL);
/// Longest time to live, in ms. Source: `EphemeralType.TTL`.
const TTL_MAX: i64 = 0xff_ffff_ffff;
/// znodes deleted in one request, unless `-b` says otherwise.
const DELETE_BATCH: i32 = 1000;
/// Bytes of paths in one request: servers take no more than 1 MiB.
const BATCH_BYTES: usize = 512 * 1024;
/// Source: `ZKUtil.deleteInBatch`.
const BATCHES_AT_ONCE: usize = 10;
