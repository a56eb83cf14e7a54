//! How many znodes and bytes lie below each znode.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{Failure, read, refuse_no_file, walk};

struct Branch {
    path: String,
    level: usize,
    leaf: bool,
    znodes: u64,
    bytes: u64,
}

/// Prints the znodes that have children, down to `depth` levels below `start`; all of them for 0.
/// Source: `SnapshotRecursiveSummary`.
pub fn summarize(
    out: &mut dyn Write,
    path: &Path,
    start: &str,
    depth: i32,
    json: bool,
) -> Result<(), Failure> {
    refuse_no_file(path).map_err(|failure| Failure { code: 1, ..failure })?;
    let snapshot = read(path)?;
    let Some(walk) = walk(&snapshot.tree, start) else {
        let text = format!("{}: there is no znode {start}", path.display());
        return Err(Failure::new(1, text));
    };
    let mut branches = Vec::new();
    // Index of the branch that was last met at each level.
    let mut above: Vec<usize> = Vec::new();
    for visit in walk {
        above.truncate(visit.level);
        let bytes = snapshot.tree.data(visit.znode).map_or(0, <[u8]>::len) as u64;
        for &branch in &above {
            let branch: &mut Branch = &mut branches[branch];
            branch.znodes += 1;
            branch.bytes += bytes;
        }
        above.push(branches.len());
        branches.push(Branch {
            path: visit.path,
            level: visit.level,
            leaf: visit.children == 0,
            znodes: 0,
            bytes,
        });
    }
    let shown = |branch: &&Branch| {
        let deep = i32::try_from(branch.level).unwrap_or(i32::MAX);
        !branch.leaf && (depth == 0 || deep <= depth)
    };
    for branch in branches.iter().filter(shown) {
        let Branch {
            path,
            znodes,
            bytes,
            ..
        } = branch;
        if json {
            writeln!(
                out,
                "{}",
                json!({"path": path, "znodes": znodes, "bytes": bytes})
            )?;
            continue;
        }
        let tab = "--".repeat(branch.level);
        writeln!(
            out,
            "{tab} {path}\n{tab}   children: {znodes}\n{tab}   data: {bytes}"
        )?;
    }
    if !json {
        writeln!(out)?;
    }
    snapshot.verdict()
}
