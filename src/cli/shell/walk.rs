//! Whole subtrees: what is below a path, many requests in flight.

use std::collections::VecDeque;

use jute::{ErrorCode, Str};
use tokio::task::JoinSet;

use super::failure::{Failure, OnPath};
use crate::client::{Client, Error};

/// The path of a child.
pub fn join(parent: &str, name: &str) -> String {
    match parent {
        "/" => format!("/{name}"),
        parent => format!("{parent}/{name}"),
    }
}

type Names = Result<Vec<Str>, Error>;

/// Visits a subtree: each znode's children together, in order, before what is below the first of them.
/// Source: `ZKUtil.visitSubTreeDFS`.
pub struct Walk<'a> {
    client: &'a Client,
    watch: bool,
    /// znodes whose children are still to be visited, by depth; those asked for have them already.
    levels: Vec<VecDeque<(String, Option<Names>)>>,
    root: bool,
}

impl<'a> Walk<'a> {
    /// Begins below `path`, maybe with a watch on the children of each znode.
    pub fn new(client: &'a Client, path: &str, watch: bool) -> Walk<'a> {
        let first = VecDeque::from([(path.to_owned(), None)]);
        Walk {
            client,
            watch,
            levels: vec![first],
            root: true,
        }
    }

    /// The next znode that has children, and their names in order; None at the end.
    ///
    /// # Errors
    /// What could not be listed. A znode that is gone by now has no children.
    pub async fn next(&mut self) -> Result<Option<(String, Vec<Str>)>, Failure> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some((path, names)) = level.pop_front() else {
                self.levels.pop();
                continue;
            };
            let names = match names {
                Some(names) => names,
                None => {
                    let more = level.iter_mut().take(AHEAD - 1);
                    list_ahead(self.client, &path, self.watch, more).await
                }
            };
            let names = match names {
                Err(Error::Server(ErrorCode::NO_NODE)) if !self.root => Vec::new(),
                names => names.on(&path)?,
            };
            self.root = false;
            if names.is_empty() {
                continue;
            }
            let below = names.iter().map(|name| (join(&path, name), None));
            self.levels.push(below.collect());
            return Ok(Some((path, names)));
        }
    }
}

/// Lists the children of `path`, and those of the znodes that come next, all at once.
async fn list_ahead(
    client: &Client,
    path: &str,
    watch: bool,
    next: impl Iterator<Item = &mut (String, Option<Names>)>,
) -> Names {
    let mut places: Vec<&mut (String, Option<Names>)> = next.collect();
    let paths = places.iter().map(|place| place.0.clone()).collect();
    let mut own = list_all(client, paths, path, watch).await;
    let first = own.pop().unwrap_or(Err(Error::Closed));
    for (place, names) in places.iter_mut().zip(own) {
        place.1 = Some(names);
    }
    first
}

/// The children of each of `paths`, and of `last` behind them.
async fn list_all(client: &Client, paths: Vec<String>, last: &str, watch: bool) -> Vec<Names> {
    let mut asked = JoinSet::new();
    let count = paths.len() + 1;
    for (number, path) in paths.into_iter().chain([last.to_owned()]).enumerate() {
        let client = client.clone();
        asked.spawn(async move { (number, children(&client, &path, watch).await) });
    }
    let mut answers = vec![Err(Error::Closed); count];
    while let Some(done) = asked.join_next().await {
        if let Ok((number, names)) = done {
            answers[number] = names;
        }
    }
    answers
}

async fn children(client: &Client, path: &str, watch: bool) -> Names {
    let answer = client.get_children(path, watch).await?;
    let mut names = answer.children.unwrap_or_default();
    names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    Ok(names)
}

/// `path` and all below it, parents before their children.
///
/// # Errors
/// What could not be listed, a znode that is gone by now included. Source: `ZKUtil.listSubTreeBFS`.
pub async fn subtree(client: &Client, path: &str) -> Result<Vec<String>, Failure> {
    let mut all = vec![path.to_owned()];
    let mut level = 0..1;
    while !level.is_empty() {
        let end = all.len();
        for from in level.clone().step_by(AHEAD) {
            let to = (from + AHEAD).min(level.end);
            let paths = all[from..to - 1].to_vec();
            let lists = list_all(client, paths, &all[to - 1].clone(), false).await;
            for (number, names) in (from..to).zip(lists) {
                let parent = all[number].clone();
                for name in names.on(&parent)? {
                    all.push(join(&parent, &name));
                }
            }
        }
        level = end..all.len();
    }
    Ok(all)
}

/// Requests in flight.
const AHEAD: usize = 128;
