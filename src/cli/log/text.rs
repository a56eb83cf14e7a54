//! Transactions as lines of text, as Java's toolkit prints them.

use std::io::{self, Write};

use bytes::Bytes;
use jute::txn::{LoggedTxn, StoredMulti, Txn, TxnHeader};
use jute::{Reader, Wire};

use crate::cli::java_text::{acl_fields, acl_list, data_text, date_short, op_name, quoted};
use crate::storage::txnlog::Entries;

/// The first line of a dump.
pub(super) fn header(out: &mut dyn Write, entries: &Entries) -> io::Result<()> {
    let (version, dbid) = entries.header().unwrap_or_default();
    writeln!(
        out,
        "ZooKeeper Transactional Log File with dbid {dbid} txnlog format version {version}"
    )
}

/// One record; `prefix` says what is wrong with it.
/// Source: `TxnLogToolkit.printTxn`. Differs from Java, which stops at a record that it cannot decode.
pub(super) fn line(out: &mut dyn Write, payload: &Bytes, prefix: &str) -> io::Result<()> {
    let text = match LoggedTxn::read(payload.clone()) {
        Ok(logged) => {
            let fields = fields(&logged.txn, payload);
            format!("{} {fields}", head(&logged.header))
        }
        Err(error) => {
            let header = read_header(payload).map_or(String::new(), |header| head(&header) + " ");
            format!("{header}unreadable: {error}")
        }
    };
    if !prefix.is_empty() {
        write!(out, "{prefix} - ")?;
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{text}{end}")
}

fn read_header(payload: &Bytes) -> Option<TxnHeader> {
    TxnHeader::read(&mut Reader::new(payload.clone(), payload.len())).ok()
}

fn head(header: &TxnHeader) -> String {
    format!(
        "{} session {:#x} cxid {:#x} zxid {:#x} {}",
        date_short(header.time),
        header.client_id,
        i64::from(header.cxid),
        header.zxid,
        op_name(header.kind)
    )
}

/// Source: `TxnLogToolkit.getFormattedTxnStr`, `ToStringOutputArchive`.
fn fields(txn: &Txn, payload: &Bytes) -> String {
    let path = |path: &Option<jute::Str>| path.as_deref().unwrap_or("null").to_owned();
    match txn {
        Txn::Create(txn) | Txn::Create2(txn) => {
            let (path, data) = (path(&txn.path), data_text(txn.data.as_ref()));
            let acl = acl_list(txn.acl.as_deref());
            format!(
                "{path},{data},{acl},{},{}",
                txn.ephemeral, txn.parent_cversion
            )
        }
        Txn::CreateContainer(txn) => {
            let (path, data) = (path(&txn.path), data_text(txn.data.as_ref()));
            let acl = acl_list(txn.acl.as_deref());
            format!("{path},{data},{acl},{}", txn.parent_cversion)
        }
        Txn::CreateTtl(txn) => {
            let (path, data) = (path(&txn.path), data_text(txn.data.as_ref()));
            let acl = acl_list(txn.acl.as_deref());
            format!("{path},{data},{acl},{},{}", txn.parent_cversion, txn.ttl)
        }
        Txn::SetData(txn) | Txn::Reconfig(txn) => {
            let (path, data) = (path(&txn.path), data_text(txn.data.as_ref()));
            format!("{path},{data},{}", txn.version)
        }
        Txn::Multi(_) => multi(payload).unwrap_or_default(),
        Txn::Delete(txn) | Txn::DeleteContainer(txn) => format!("{}\n", quoted(txn.path.as_ref())),
        Txn::Check(txn) => format!("{},{}\n", quoted(txn.path.as_ref()), txn.version),
        Txn::CreateSession(txn) => format!("{}\n", txn.timeout),
        Txn::Error(txn) => format!("{}\n", txn.err),
        Txn::CloseSession(None) => String::new(),
        Txn::CloseSession(Some(txn)) => {
            let paths = txn.paths.iter().flatten();
            let paths: Vec<String> = paths.map(|path| quoted(Some(path))).collect();
            format!("v{{{}}}\n", paths.join(","))
        }
        Txn::SetAcl(txn) => {
            let acls = txn.acl.iter().flatten();
            let acls: Vec<String> = acls
                .map(|acl| format!("s{{{}}}", acl_fields(acl)))
                .collect();
            let path = quoted(txn.path.as_ref());
            format!("{path},v{{{}}},{}\n", acls.join(","), txn.version)
        }
    }
}

/// The parts of a multi are printed as the bytes they are.
fn multi(payload: &Bytes) -> Option<String> {
    let mut reader = Reader::new(payload.clone(), payload.len());
    TxnHeader::read(&mut reader).ok()?;
    let stored = StoredMulti::read(&mut reader).ok()?;
    let parts = stored.txns.iter().flatten();
    let parts: Vec<String> = parts
        .map(|part| format!("{}:{}", op_name(part.kind), data_text(part.data.as_ref())))
        .collect();
    Some(parts.join(";"))
}
