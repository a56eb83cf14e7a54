//! Texts as Java's file tools print them: dates of an English locale, and records as the generated classes do.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use jute::data::Acl;
use jute::{OpCode, Str};

/// `DateFormat.getDateTimeInstance(SHORT, LONG)`, in the time zone of the system.
pub fn date_short(ms: i64) -> String {
    format_date(ms, "%-m/%-d/%y, %-I:%M:%S %p %Z")
}

/// `DateFormat.getDateTimeInstance()`, in the time zone of the system.
pub fn date_medium(ms: i64) -> String {
    format_date(ms, "%b %-d, %Y, %-I:%M:%S %p")
}

/// `Date.toString`, in the time zone of the system.
pub fn date_long(ms: i64) -> String {
    format_date(ms, "%a %b %d %H:%M:%S %Z %Y")
}

/// ISO 8601 in UTC, for programs.
pub fn date_iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

/// Points in time beyond year 9999, which no clock says, are printed as a number.
fn format_date(ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |time| {
            let local = time.to_zoned(TimeZone::system());
            local.strftime(format).to_string()
        },
    )
}

/// Source: `Request.op2String`.
pub fn op_name(op: OpCode) -> String {
    let name = match op.0 {
        0 => "notification",
        1 => "create",
        2 => "delete",
        3 => "exists",
        4 => "getData",
        5 => "setData",
        6 => "getACL",
        7 => "setACL",
        8 => "getChildren",
        9 => "sync",
        11 => "ping",
        12 => "getChildren2",
        13 => "check",
        14 => "multi",
        15 => "create2",
        16 => "reconfig",
        17 => "checkWatches",
        18 => "removeWatches",
        19 => "createContainer",
        20 => "deleteContainer",
        21 => "createTTL",
        22 => "multiRead",
        100 => "auth",
        101 => "setWatches",
        102 => "sasl",
        103 => "getEphemerals",
        104 => "getAllChildrenNumber",
        105 => "setWatches2",
        106 => "addWatch",
        107 => "whoAmI",
        -10 => "createSession",
        -11 => "closeSession",
        -1 => "error",
        other => return format!("unknown {other}"),
    };
    name.to_owned()
}

/// A string field of a record. Source: `ToStringOutputArchive.escapeString`.
pub fn quoted(text: Option<&Str>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let mut out = String::with_capacity(text.len() + 1);
    out.push('\'');
    for letter in text.chars() {
        match letter {
            '\0' => out.push_str("%00"),
            '\n' => out.push_str("%0A"),
            '\r' => out.push_str("%0D"),
            ',' => out.push_str("%2C"),
            '}' => out.push_str("%7D"),
            '%' => out.push_str("%25"),
            other => out.push(other),
        }
    }
    out
}

/// An ACL inside of a record.
pub fn acl_fields(acl: &Acl) -> String {
    let (scheme, id) = (quoted(acl.id.scheme.as_ref()), quoted(acl.id.id.as_ref()));
    format!("{},s{{{scheme},{id}}}", acl.perms)
}

/// A list of ACLs as `List.toString` joins them; each ends its line.
pub fn acl_list(list: Option<&[Acl]>) -> String {
    let Some(list) = list else {
        return "null".to_owned();
    };
    let mut out = "[".to_owned();
    for (index, acl) in list.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = writeln!(out, "{comma}{}", acl_fields(acl));
    }
    out.push(']');
    out
}

/// Data as text, null as nothing. Source: `TxnLogToolkit.checkNullToEmpty`.
pub fn data_text(data: Option<&bytes::Bytes>) -> Str {
    Str::from_java_utf8(data.cloned().unwrap_or_default())
}

/// `%#016x`: at least 14 digits behind the 0x.
pub fn padded_hex(value: i64) -> String {
    format!("{value:#016x}")
}
