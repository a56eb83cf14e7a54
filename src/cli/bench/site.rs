//! The znodes of a run: its root, what is made below it before, and how all of that is removed.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use jute::ErrorCode;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;

use super::args::{RunArgs, Work};
use crate::client::{Client, CreateMode, Error, Servers, open_acl};
use crate::load::{Job, Keys, Pattern, Plan, Template, Zipf};

/// Where a run takes place.
#[derive(Clone, Debug)]
pub struct Site {
    /// As the caller names it: below the chroot.
    pub root: String,
    /// As the servers name it.
    outward: String,
    server: String,
    timeout: Duration,
    auth: Option<crate::load::Identity>,
    /// Stands in the root znode, so that it is known again.
    mark: String,
}

/// Children of each parent of keys.
const BUCKET: u32 = 100;
/// Length of the name of a key.
const NAME: usize = 8;
/// Requests in flight when znodes are removed.
const AHEAD: usize = 256;
/// Connections that broke while the root is made or the znodes are removed.
const ATTEMPTS: u32 = 5;

impl Site {
    /// A place of a run called `run`; nothing is made yet.
    pub fn new(args: &RunArgs, servers: &Servers, run: u64) -> Site {
        let usual = || format!("/oxkeeper-bench-{run:016x}");
        let root = args.path.clone().unwrap_or_else(usual);
        Site {
            outward: servers.outward(&root),
            root,
            server: args.server.clone(),
            timeout: Duration::from_millis(args.session_timeout.into()),
            auth: args.auth.clone(),
            mark: format!("oxkeeper bench {run:016x}"),
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let (client, events) = Client::connect(&self.server, self.timeout).await?;
        drop(events);
        if let Some(identity) = &self.auth {
            let credentials = identity.credentials.clone();
            client.add_auth(&identity.scheme, credentials).await?;
        }
        Ok(client)
    }

    /// Makes the root.
    ///
    /// # Errors
    /// Text for a person: no server answers, or there is such a znode already.
    pub async fn found(&self) -> Result<(), String> {
        let client = self.connect().await.map_err(|error| error.to_string())?;
        let (acl, mode) = (open_acl(), CreateMode::Persistent);
        let mut made = Err(Error::ConnectionLoss);
        for _ in 0..ATTEMPTS {
            let data = Some(self.mark.clone().into());
            made = client
                .create(&self.root, data, &acl, mode)
                .await
                .map(|_| ());
            match &made {
                Err(Error::ConnectionLoss) => {}
                // It may have been made before the connection broke.
                Err(error)
                    if error.code() == ErrorCode::NODE_EXISTS && self.is_ours(&client).await =>
                {
                    made = Ok(());
                    break;
                }
                _ => break,
            }
        }
        client.close().await;
        made.map_err(|error| match error.code() {
            ErrorCode::NODE_EXISTS => format!(
                "{} exists: give another --path, or remove it if it is of an earlier run",
                self.root
            ),
            ErrorCode::NO_NODE => format!("{}: its parent does not exist", self.outward),
            _ => format!("{}: {error}", self.root),
        })
    }

    async fn is_ours(&self, client: &Client) -> bool {
        let read = client.get_data(&self.root, false).await;
        read.is_ok_and(|read| read.data.as_deref() == Some(self.mark.as_bytes()))
    }

    /// Removes everything below the root, and the root; returns how many znodes that were.
    ///
    /// # Errors
    /// Text for a person, with the command that removes what is left.
    pub async fn clear(&self) -> Result<u64, String> {
        let mut removed = 0;
        let mut failure = Error::ConnectionLoss;
        for _ in 0..ATTEMPTS {
            let cleared = match self.connect().await {
                Ok(client) => {
                    let cleared = clear(&client, &self.root, &mut removed).await;
                    client.close().await;
                    cleared
                }
                Err(error) => Err(error),
            };
            match cleared {
                Ok(()) => return Ok(removed),
                Err(error) => failure = error,
            }
            let is_passing = [ErrorCode::NOT_EMPTY, ErrorCode::CONNECTION_LOSS];
            if matches!(failure, Error::NoServer(_)) || !is_passing.contains(&failure.code()) {
                break;
            }
        }
        Err(format!("{failure}; {}", self.left_over()))
    }

    /// What to do about znodes that are left.
    pub fn left_over(&self) -> String {
        let (server, root) = (&self.server, &self.root);
        format!("remove what is left with: oxkeeper cli -server {server} deleteall {root}")
    }

    /// What is to be made before the load, in this order: what makes it, and how many.
    pub fn groundwork(&self, args: &RunArgs) -> Vec<(Template, u32)> {
        let size = args.size as usize;
        match args.work {
            Work::Create | Work::Churn => {
                vec![(Template::create(&self.own(), 0), args.connections)]
            }
            Work::Session => Vec::new(),
            _ => {
                let parents = args.keys().div_ceil(BUCKET);
                vec![
                    (Template::create(&self.parent(1), 0), parents),
                    (Template::create(&self.key(), size), args.keys()),
                ]
            }
        }
    }

    /// What one connection of the load does.
    pub fn jobs(&self, args: &RunArgs) -> impl Fn(u32) -> Job {
        let (site, args) = (self.clone(), args.clone());
        let each = args.keys().min(BUCKET);
        let count = match args.work {
            // All parents but the last one have as many children, so only those are asked.
            Work::Children => args.keys() / each * each,
            _ => args.keys(),
        };
        let zipf = (args.skew > 0.0).then(|| Arc::new(Zipf::new(count, args.skew)));
        let next = Arc::new(AtomicU32::new(0));
        move |number| {
            let rng = SmallRng::seed_from_u64(args.seed.rotate_left(32) ^ u64::from(number));
            let keys = match zipf.clone() {
                Some(zipf) => Keys::Zipf { zipf, rng },
                None => Keys::Uniform { count, rng },
            };
            let size = args.size as usize;
            let key = site.key();
            Job::Requests(match args.work {
                Work::Get => Plan::one(Template::get(&key, size), keys),
                Work::Set => Plan::one(Template::set(&key, size), keys),
                Work::Exists => Plan::one(Template::exists(&key), keys),
                Work::Children => {
                    let parent = site.parent(BUCKET);
                    Plan::one(Template::children(&parent, each as usize, NAME), keys)
                }
                Work::Mixed => {
                    let (get, set) = (Template::get(&key, size), Template::set(&key, size));
                    Plan::mixed(get, set, args.reads, keys)
                }
                Work::Create => Plan::grow(&site.own().path(number), size),
                Work::Churn => Plan::churn(&site.own().path(number), size),
                Work::Delete => Plan::each(Template::delete(&key), Arc::clone(&next), count),
                Work::Session => return Job::Sessions,
            })
        }
    }

    fn parent(&self, divisor: u32) -> Pattern {
        Pattern::new(self.outward.as_str())
            .text("/b")
            .number(5, divisor)
    }

    fn key(&self) -> Pattern {
        self.parent(BUCKET).text("/k").number(NAME - 1, 1)
    }

    /// The parent of what one connection creates.
    fn own(&self) -> Pattern {
        Pattern::new(self.outward.as_str()).text("/c").number(5, 1)
    }
}

/// Removes a subtree, level by level from below; what is gone by now is fine.
async fn clear(client: &Client, root: &str, removed: &mut u64) -> Result<(), Error> {
    let mut levels = vec![vec![root.to_owned()]];
    while let Some(level) = levels.last().filter(|level| !level.is_empty()) {
        let mut below = Vec::new();
        let parents: Vec<String> = level
            .iter()
            .filter(|path| is_parent(path, root))
            .cloned()
            .collect();
        for paths in parents.chunks(AHEAD) {
            below.extend(children(client, paths).await?);
        }
        levels.push(below);
    }
    for level in levels.iter().rev() {
        for paths in level.chunks(AHEAD) {
            *removed += delete(client, paths).await?;
        }
    }
    Ok(())
}

/// Whether znodes are made below this one.
fn is_parent(path: &str, root: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path == root || name.starts_with(['b', 'c'])
}

async fn children(client: &Client, paths: &[String]) -> Result<Vec<String>, Error> {
    let mut asked = JoinSet::new();
    for path in paths {
        let (client, path) = (client.clone(), path.clone());
        asked.spawn(async move {
            let listed = client.get_children(&path, false).await;
            listed.map(|listed| (path, listed.children.unwrap_or_default()))
        });
    }
    let mut found = Vec::new();
    while let Some(listed) = asked.join_next().await {
        match listed.unwrap_or(Err(Error::Closed)) {
            Ok((path, names)) => found.extend(names.iter().map(|name| format!("{path}/{name}"))),
            Err(Error::Server(ErrorCode::NO_NODE)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn delete(client: &Client, paths: &[String]) -> Result<u64, Error> {
    let mut asked = JoinSet::new();
    for path in paths {
        let (client, path) = (client.clone(), path.clone());
        asked.spawn(async move { client.delete(&path, -1).await });
    }
    let mut count = 0;
    while let Some(deleted) = asked.join_next().await {
        match deleted.unwrap_or(Err(Error::Closed)) {
            Ok(()) => count += 1,
            Err(Error::Server(ErrorCode::NO_NODE)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
