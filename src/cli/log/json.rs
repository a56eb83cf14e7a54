//! Transactions as JSON, one object per line.

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jute::Buffer;
use jute::data::Acl;
use jute::txn::{LoggedTxn, Txn};
use serde_json::{Map, Value, json};

use super::{Failure, Filter, UNEXPECTED, open, path_of};
use crate::cli::java_text::{date_iso, op_name};
use crate::storage::Disk;
use crate::storage::txnlog::Entry;

/// Prints a log. What cannot be read is an object with `error`, and the walk ends there.
pub(super) fn dump(
    out: &mut dyn Write,
    disk: &dyn Disk,
    path: &Path,
    filter: &Filter<'_>,
) -> Result<(), Failure> {
    let mut entries = open(disk, path)?;
    let file = path.display().to_string();
    let mut damaged = false;
    loop {
        let (offset, payload, right, marked) = match entries.step()? {
            Entry::End { offset, cut } => {
                if cut {
                    let what = "the file ends in the middle of a record";
                    writeln!(out, "{}", trouble(&file, offset, what))?;
                }
                break;
            }
            Entry::Unreasonable { offset, length } => {
                let what = format!("a record of length {length}");
                writeln!(out, "{}", trouble(&file, offset, &what))?;
                damaged = true;
                break;
            }
            Entry::Record {
                offset,
                payload,
                expected,
                found,
                marked,
            } => (offset, payload, expected == found, marked),
        };
        match LoggedTxn::read(payload) {
            Ok(logged) => {
                if filter.shows(&logged) || !right {
                    let mut object = object(&logged);
                    object.insert("file".into(), file.as_str().into());
                    object.insert("offset".into(), offset.into());
                    if !right {
                        object.insert("error".into(), "the checksum is wrong".into());
                    }
                    writeln!(out, "{}", Value::Object(object))?;
                }
            }
            Err(error) => writeln!(out, "{}", trouble(&file, offset, &error.to_string()))?,
        }
        damaged |= !right || !marked;
        if !marked {
            let what = "the record has no end mark";
            writeln!(out, "{}", trouble(&file, offset, what))?;
            break;
        }
    }
    match damaged {
        false => Ok(()),
        true => Err(Failure::new(UNEXPECTED, format!("{file}: damaged"))),
    }
}

fn trouble(file: &str, offset: u64, what: &str) -> Value {
    json!({"error": what, "file": file, "offset": offset})
}

fn object(logged: &LoggedTxn) -> Map<String, Value> {
    let header = &logged.header;
    let mut object = Map::new();
    object.insert("zxid".into(), format!("{:#x}", header.zxid).into());
    object.insert("time".into(), date_iso(header.time).into());
    object.insert("session".into(), format!("{:#x}", header.client_id).into());
    object.insert("cxid".into(), header.cxid.into());
    object.extend(operation(&logged.txn));
    if let Some(digest) = &logged.digest {
        let digest = format!("{:#x}", digest.tree_digest);
        object.insert("digest".into(), digest.into());
    }
    object
}

fn operation(txn: &Txn) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("type", op_name(txn.op().into()).into());
    if let Some(path) = path_of(txn) {
        put("path", path.into());
    }
    match txn {
        Txn::Create(txn) | Txn::Create2(txn) => {
            put("data", base64(&txn.data));
            put("acl", acls(txn.acl.as_deref()));
            put("ephemeral", txn.ephemeral.into());
            put("parentCVersion", txn.parent_cversion.into());
        }
        Txn::CreateContainer(txn) => {
            put("data", base64(&txn.data));
            put("acl", acls(txn.acl.as_deref()));
            put("parentCVersion", txn.parent_cversion.into());
        }
        Txn::CreateTtl(txn) => {
            put("data", base64(&txn.data));
            put("acl", acls(txn.acl.as_deref()));
            put("parentCVersion", txn.parent_cversion.into());
            put("ttl", txn.ttl.into());
        }
        Txn::SetData(txn) | Txn::Reconfig(txn) => {
            put("data", base64(&txn.data));
            put("version", txn.version.into());
        }
        Txn::SetAcl(txn) => {
            put("acl", acls(txn.acl.as_deref()));
            put("version", txn.version.into());
        }
        Txn::Check(txn) => {
            put("version", txn.version.into());
        }
        Txn::CreateSession(txn) => {
            put("timeout", txn.timeout.into());
        }
        Txn::CloseSession(Some(txn)) => {
            let paths = txn.paths.iter().flatten();
            let paths: Vec<Value> = paths.map(|path| path.as_str().into()).collect();
            put("paths", paths.into());
        }
        Txn::Error(txn) => {
            put("err", txn.err.into());
        }
        Txn::Multi(txns) => {
            let ops = txns.iter().map(|txn| Value::Object(operation(txn)));
            put("ops", ops.collect());
        }
        Txn::Delete(_) | Txn::DeleteContainer(_) | Txn::CloseSession(None) => {}
    }
    object
}

/// Data for programs: base64, null for null.
pub(in crate::cli) fn base64(data: &Buffer) -> Value {
    data.as_ref()
        .map_or(Value::Null, |data| STANDARD.encode(data).into())
}

/// An ACL for programs.
pub(in crate::cli) fn acls(list: Option<&[Acl]>) -> Value {
    let Some(list) = list else {
        return Value::Null;
    };
    let one = |acl: &Acl| {
        let (scheme, id) = (acl.id.scheme.as_deref(), acl.id.id.as_deref());
        json!({"perms": acl.perms, "scheme": scheme, "id": id})
    };
    list.iter().map(one).collect()
}
