//! What changed between two snapshots.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::{Failure, read, walk};

/// What is worth printing.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// A difference of more bytes than this.
    pub bytes: i64,
    /// A difference of more znodes than this.
    pub nodes: i64,
    /// Everything that is compared and left out is printed too.
    pub debug: bool,
    /// Levels and znodes are asked for on stdin.
    pub interactive: bool,
}

/// A znode with what lies below it.
struct Branch {
    path: String,
    /// Bytes of its data and of all below it.
    bytes: i64,
    /// Znodes below it.
    nodes: i64,
    children: Vec<usize>,
}

/// A whole snapshot.
struct Outline {
    branches: Vec<Branch>,
    /// Indices of the znodes at each depth, sorted by path.
    depths: Vec<Vec<usize>>,
    damage: Option<String>,
}

/// Prints what differs by more than the thresholds.
/// Source: `SnapshotComparer`.
pub fn compare(
    out: &mut dyn Write,
    left: &Path,
    right: &Path,
    thresholds: &Thresholds,
    json: bool,
) -> Result<(), Failure> {
    let left = Outline::read(out, left, json)?;
    let right = Outline::read(out, right, json)?;
    if !json {
        left.print(out)?;
        right.print(out)?;
    }
    let mut pair = Pair {
        out,
        left: &left,
        right: &right,
        thresholds,
        json,
    };
    pair.run()?;
    match left.damage.or(right.damage) {
        None => Ok(()),
        Some(text) => Err(Failure::new(1, text)),
    }
}

impl Outline {
    fn read(out: &mut dyn Write, path: &Path, quiet: bool) -> Result<Outline, Failure> {
        let begun = Instant::now();
        let snapshot = read(path)?;
        if !quiet {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(
                out,
                "Deserialized snapshot in {name} in {seconds:.6} seconds"
            )?;
        }
        let begun = Instant::now();
        let mut outline = Outline {
            branches: Vec::new(),
            depths: Vec::new(),
            damage: snapshot.damage,
        };
        let tree = &snapshot.tree;
        let mut above: Vec<usize> = Vec::new();
        for visit in walk(tree, "").into_iter().flatten() {
            let bytes = tree.data(visit.znode).map_or(0, <[u8]>::len) as i64;
            outline.add(&mut above, visit.level, visit.path, bytes);
        }
        let branches = &mut outline.branches;
        for depth in &mut outline.depths {
            depth.sort_by(|&a, &b| java_order(&branches[a].path, &branches[b].path));
        }
        for branch in 0..branches.len() {
            let mut children = std::mem::take(&mut branches[branch].children);
            children.sort_by(|&a, &b| java_order(&branches[a].path, &branches[b].path));
            branches[branch].children = children;
        }
        if !quiet {
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(out, "Processed data tree in {seconds:.6} seconds")?;
        }
        Ok(outline)
    }

    fn add(&mut self, above: &mut Vec<usize>, level: usize, path: String, bytes: i64) {
        above.truncate(level);
        let index = self.branches.len();
        for &branch in above.iter() {
            self.branches[branch].bytes += bytes;
            self.branches[branch].nodes += 1;
        }
        if let Some(&parent) = above.last() {
            self.branches[parent].children.push(index);
        }
        above.push(index);
        self.branches.push(Branch {
            path,
            bytes,
            nodes: 0,
            children: Vec::new(),
        });
        if self.depths.len() <= level {
            self.depths.resize_with(level + 1, Vec::new);
        }
        self.depths[level].push(index);
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Node count: {}", self.branches.len())?;
        let bytes = self.branches.first().map_or(0, |root| root.bytes);
        writeln!(out, "Total size: {bytes}\nMax depth: {}", self.depths.len())?;
        for (depth, branches) in self.depths.iter().enumerate() {
            writeln!(out, "Count of nodes at depth {depth}: {}", branches.len())?;
        }
        writeln!(out)
    }

    fn at_depth(&self, depth: usize) -> Vec<&Branch> {
        let indices = self.depths.get(depth).map_or(&[][..], Vec::as_slice);
        indices.iter().map(|&index| &self.branches[index]).collect()
    }
}

/// `String.compareTo`: by UTF-16 units.
fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

struct Pair<'a> {
    out: &'a mut dyn Write,
    left: &'a Outline,
    right: &'a Outline,
    thresholds: &'a Thresholds,
    json: bool,
}

impl Pair<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let depths = self.left.depths.len().max(self.right.depths.len());
        if self.thresholds.interactive {
            self.ask(depths)?;
        } else {
            self.say_thresholds()?;
            for depth in 0..depths {
                self.depth(depth)?;
            }
        }
        if !self.json {
            writeln!(self.out, "All layers compared.")?;
        }
        Ok(())
    }

    fn say_thresholds(&mut self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let Thresholds { bytes, nodes, .. } = self.thresholds;
        writeln!(
            self.out,
            "Printing analysis for nodes difference larger than {bytes} bytes or node count difference larger than \
             {nodes}."
        )
    }

    fn ask(&mut self, depths: usize) -> Result<(), Failure> {
        let mut lines = io::stdin().lock().lines();
        let mut current = 0;
        while current < depths {
            writeln!(self.out, "Current depth is {current}\n{QUESTION}")?;
            self.out.flush()?;
            let Some(line) = lines.next() else {
                return Err(Failure::new(1, "No line found"));
            };
            let line = line?;
            self.say_thresholds()?;
            if line.is_empty() {
                self.depth(current)?;
                current += 1;
            } else if line.starts_with('/') {
                writeln!(self.out, "Analysis for node {line}")?;
                self.subtree(&line)?;
            } else {
                match line.parse::<i32>().map(usize::try_from) {
                    Ok(Ok(depth)) if depth < depths => {
                        current = depth;
                        self.depth(current)?;
                    }
                    Ok(_) => {
                        writeln!(self.out, "Depth must be in range [0, {}]", depths - 1)?;
                        continue;
                    }
                    Err(_) => writeln!(
                        self.out,
                        "Input {line} is not valid. Depth must be in range [0, {}]. Path must be an absolute path \
                         which starts with '/'.",
                        depths - 1
                    )?,
                }
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn depth(&mut self, depth: usize) -> io::Result<()> {
        if !self.json {
            writeln!(self.out, "Analysis for depth {depth}")?;
        }
        let (left, right) = (self.left.at_depth(depth), self.right.at_depth(depth));
        self.lists(&left, &right)
    }

    fn subtree(&mut self, path: &str) -> io::Result<()> {
        let find = |outline: &'_ Outline| {
            let found = outline
                .branches
                .iter()
                .position(|branch| branch.path == path);
            found.map(|index| outline.branches[index].children.clone())
        };
        let (left, right) = (find(self.left), find(self.right));
        if left.is_none() && right.is_none() {
            return writeln!(
                self.out,
                "Path {path} is neither found in left tree nor right tree."
            );
        }
        let (left_outline, right_outline) = (self.left, self.right);
        let left = left.unwrap_or_default();
        let left: Vec<&Branch> = left.iter().map(|&at| &left_outline.branches[at]).collect();
        let right = right.unwrap_or_default();
        let right: Vec<&Branch> = right
            .iter()
            .map(|&at| &right_outline.branches[at])
            .collect();
        self.lists(&left, &right)
    }

    /// Source: `SnapshotComparer.compareNodes`.
    fn lists(&mut self, left: &[&Branch], right: &[&Branch]) -> io::Result<()> {
        let mut by_path: BTreeMap<Vec<u16>, (Option<&Branch>, Option<&Branch>)> = BTreeMap::new();
        if !self.thresholds.debug {
            for branch in left {
                by_path
                    .entry(branch.path.encode_utf16().collect())
                    .or_default()
                    .0 = Some(branch);
            }
            for branch in right {
                by_path
                    .entry(branch.path.encode_utf16().collect())
                    .or_default()
                    .1 = Some(branch);
            }
            for (left, right) in by_path.into_values() {
                self.one(left, right)?;
            }
            return Ok(());
        }
        let (mut l, mut r) = (0, 0);
        while l < left.len() || r < right.len() {
            let (one, other) = (left.get(l).copied(), right.get(r).copied());
            let order = match (one, other) {
                (Some(one), Some(other)) => {
                    writeln!(self.out, "Comparing {} to {}", one.path, other.path)?;
                    let order = java_order(&one.path, &other.path);
                    let said = match order {
                        Ordering::Less => "left is less",
                        Ordering::Greater => "right is less",
                        Ordering::Equal => "same",
                    };
                    writeln!(self.out, "{said}")?;
                    order
                }
                (Some(_), None) => Ordering::Less,
                _ => Ordering::Greater,
            };
            self.one(
                one.filter(|_| order != Ordering::Greater),
                other.filter(|_| order != Ordering::Less),
            )?;
            l += usize::from(order != Ordering::Greater);
            r += usize::from(order != Ordering::Less);
        }
        Ok(())
    }

    fn one(&mut self, left: Option<&Branch>, right: Option<&Branch>) -> io::Result<()> {
        let Thresholds { bytes, nodes, .. } = *self.thresholds;
        let told = self.thresholds.debug || self.thresholds.interactive;
        let (side, branch) = match (left, right) {
            (Some(left), Some(right)) => {
                let (by_bytes, by_nodes) = (right.bytes - left.bytes, right.nodes - left.nodes);
                let path = &left.path;
                if by_bytes.abs() > bytes || by_nodes.abs() > nodes {
                    if self.json {
                        return self.object(path, "both", by_bytes, by_nodes);
                    }
                    return writeln!(
                        self.out,
                        "Node {path} found in both trees. Delta: {by_bytes} bytes, {by_nodes} descendants"
                    );
                }
                if told {
                    let (left, right) = (left.bytes, right.bytes);
                    writeln!(
                        self.out,
                        "Filtered node {path} of left size {left}, right size {right}"
                    )?;
                }
                return Ok(());
            }
            (Some(left), None) => ("left", left),
            (None, Some(right)) => ("right", right),
            (None, None) => return Ok(()),
        };
        let path = &branch.path;
        if branch.bytes > bytes || branch.nodes > nodes {
            if self.json {
                return self.object(path, side, branch.bytes, branch.nodes);
            }
            return writeln!(
                self.out,
                "Node {path} found only in {side} tree. Descendant size: {}. Descendant count: {}",
                branch.bytes, branch.nodes
            );
        }
        if told {
            writeln!(
                self.out,
                "Filtered {side} node {path} of size {}",
                branch.bytes
            )?;
        }
        Ok(())
    }

    fn object(&mut self, path: &str, found: &str, bytes: i64, nodes: i64) -> io::Result<()> {
        let path = if path.is_empty() { "/" } else { path };
        let line = json!({"path": path, "in": found, "bytes": bytes, "nodes": nodes});
        writeln!(self.out, "{line}")
    }
}

/// What the interactive mode asks.
const QUESTION: &str = "- Press enter to move to print current depth layer;\n- Type a number to jump to and print all \
                        nodes at a given depth;\n- Enter an ABSOLUTE path to print the immediate subtree of a node. \
                        Path must start with '/'.";
