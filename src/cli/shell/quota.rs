//! Commands on quotas, which are znodes under `/zookeeper/quota`.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use jute::ErrorCode;

use super::commands::Call;
use super::failure::{Failure, OnPath};
use super::walk::Walk;
use crate::client::{Client, CreateMode, Error, open_acl};

/// Source: `Quotas`.
const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";
/// Option, key, and what the value must be at least.
const KINDS: [(&str, &str, i64); 4] = [
    ("n", COUNT, 1),
    ("b", BYTES, 0),
    ("N", COUNT_HARD, 1),
    ("B", BYTES_HARD, 0),
];

/// The text of a quota or of what is counted: numbers by key, -1 for none. Source: `StatsTrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Track(BTreeMap<String, i64>);

impl Track {
    fn parse(data: Option<Bytes>) -> Result<Track, Failure> {
        let data = data.unwrap_or_default();
        let text = String::from_utf8_lossy(&data);
        let mut track = Track::default();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let (Some(key), Some(number)) = (parts.next(), parts.next()) else {
                return Err(Failure::new(format!("not a quota: {text}")));
            };
            let number = match number {
                "" => -1,
                number => super::commands::number(number)?,
            };
            track.0.insert(key.to_owned(), number);
        }
        Ok(track)
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    fn set(&mut self, key: &str, number: i64) {
        self.0.insert(key.to_owned(), number);
    }

    fn bytes(&self) -> Option<Bytes> {
        Some(Bytes::from(self.to_string()))
    }
}

/// `count` and `bytes` first, in a form that servers of old read, too. Source: `StatsTrack.toString`.
impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        let others = self
            .0
            .iter()
            .filter(|(key, _)| *key != COUNT && *key != BYTES);
        for (number, (key, value)) in others.enumerate() {
            let before = if number == 0 { "=;" } else { ";" };
            write!(f, "{before}{key}={value}")?;
        }
        Ok(())
    }
}

/// Source: `ListQuotaCommand`.
pub async fn list(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let path = &parsed.args[1];
    let limits = format!("{ROOT}{path}/{LIMITS}");
    call.out.error_plain(&format!("absolute path is {limits}"));
    let missing = |_| {
        call.out.error(&format!("quota for {path} does not exist."));
    };
    let Some(quota) = read(call.client, &limits).await? else {
        missing(());
        return Ok(());
    };
    let Some(stats) = read(call.client, &format!("{ROOT}{path}/{STATS}")).await? else {
        missing(());
        return Ok(());
    };
    call.out.line(&format!("Output quota for {path} {quota}"));
    call.out.line(&format!("Output stat for {path} {stats}"));
    Ok(())
}

/// Source: `DelQuotaCommand`.
pub async fn delete(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let path = &parsed.args[1];
    let parent = format!("{ROOT}{path}");
    let limits = format!("{parent}/{LIMITS}");
    let Some(mut quota) = read(call.client, &limits).await? else {
        call.out.line(&format!("Quota does not exist for {path}"));
        return Ok(());
    };
    let mut chosen = KINDS
        .iter()
        .filter(|(option, ..)| parsed.has(option))
        .peekable();
    if chosen.peek().is_some() {
        for (_, key, _) in chosen {
            quota.set(key, -1);
        }
        let set = call.client.set_data(&limits, quota.bytes(), -1).await;
        return set.on(&limits).map(|_| ());
    }
    match delete_all(call.client, &parent).await {
        Err(Error::Server(ErrorCode::NO_NODE)) => {
            call.out.error(&format!("quota for {path} does not exist."));
            Ok(())
        }
        done => done.on(&parent),
    }
}

/// Deletes what is in `parent`, and then every znode above it that is left empty.
async fn delete_all(client: &Client, parent: &str) -> Result<(), Error> {
    let names = client.get_children(parent, false).await?.children;
    for name in names.iter().flatten() {
        client.delete(&format!("{parent}/{name}"), -1).await?;
    }
    let mut path = parent;
    while path != ROOT {
        let left = client.get_children(path, false).await?.children;
        if left.is_some_and(|left| !left.is_empty()) {
            break;
        }
        client.delete(path, -1).await?;
        path = path.rfind('/').map_or(ROOT, |at| &path[..at]);
    }
    Ok(())
}

/// Source: `SetQuotaCommand`.
pub async fn set(call: &Call<'_>, words: &[String]) -> Result<(), Failure> {
    let parsed = call.parse(words, 2)?;
    let path = &parsed.args[1];
    if path.starts_with(ROOT) {
        let text = format!("cannot set a quota under the path: {ROOT}");
        call.out.error(&text);
        return Ok(());
    }
    let mut wanted = Track::default();
    for (option, key, least) in KINDS {
        wanted.set(key, -1);
        let Some(text) = parsed.value(option) else {
            continue;
        };
        // Counts are ints in Java, bytes are longs.
        let number = match least {
            0 => text.parse::<i64>().ok(),
            _ => text.parse::<i32>().ok().map(i64::from),
        };
        let Some(number) = number else {
            let text = "NumberFormatException happens when parsing the option value";
            call.out.error(text);
            return Ok(());
        };
        if number < least {
            call.out.error(match least {
                0 => "the bytes quota must be greater than or equal to zero",
                _ => "the num quota must be greater than zero",
            });
            return Ok(());
        }
        wanted.set(key, number);
    }
    create(call, path, wanted).await
}

/// Source: `SetQuotaCommand.createQuota`.
async fn create(call: &Call<'_>, path: &str, wanted: Track) -> Result<(), Failure> {
    let client = call.client;
    if client.exists(path, false).await.on(path)?.is_none() {
        return Err(Failure::new(format!("{path} does not exist.")));
    }
    no_quota_below(client, path).await?;
    no_quota_above(client, path).await?;
    // Below a chroot there are none at first, and nobody counts by what is made there; as in Java.
    for made in ["/zookeeper", ROOT] {
        ensure(client, made).await.on(made)?;
    }
    let mut parent = ROOT.to_owned();
    for name in path.split('/').skip(1) {
        parent = format!("{parent}/{name}");
        ensure(client, &parent).await.on(&parent)?;
    }
    let (limits, stats) = (format!("{parent}/{LIMITS}"), format!("{parent}/{STATS}"));
    let (acl, mode) = (open_acl(), CreateMode::Persistent);
    let Some(mut quota) = read(client, &limits).await? else {
        let made = client.create(&limits, wanted.bytes(), &acl, mode).await;
        made.on(&limits)?;
        let mut zero = Track::default();
        zero.set(COUNT, 0);
        zero.set(BYTES, 0);
        let made = client.create(&stats, zero.bytes(), &acl, mode).await;
        made.on(&stats)?;
        warn_if_exceeded(call, &wanted, &stats).await?;
        return Ok(());
    };
    for (_, key, _) in KINDS {
        if wanted.get(key) > -1 {
            quota.set(key, wanted.get(key));
        }
    }
    warn_if_exceeded(call, &quota, &stats).await?;
    let set = client.set_data(&limits, quota.bytes(), -1).await;
    set.on(&limits).map(|_| ())
}

async fn ensure(client: &Client, path: &str) -> Result<(), Error> {
    if client.exists(path, false).await?.is_some() {
        return Ok(());
    }
    let made = client
        .create(path, None, &open_acl(), CreateMode::Persistent)
        .await;
    match made {
        Ok(_) | Err(Error::Server(ErrorCode::NODE_EXISTS)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn warn_if_exceeded(call: &Call<'_>, quota: &Track, stats: &str) -> Result<(), Failure> {
    let Some(used) = read(call.client, stats).await? else {
        return Err(Failure::of(&Error::Server(ErrorCode::NO_NODE), stats));
    };
    for (what, keys) in [
        ("count", [COUNT, COUNT_HARD]),
        ("bytes", [BYTES, BYTES_HARD]),
    ] {
        let used = used.get(what);
        let exceeded = |key: &&str| quota.get(key) > -1 && quota.get(key) < used;
        if keys.iter().any(exceeded) {
            call.out.line(&format!(
                "[Warning]: the {what} quota you create is less than the existing {what}:{used}"
            ));
        }
    }
    Ok(())
}

async fn no_quota_below(client: &Client, path: &str) -> Result<(), Failure> {
    let own = format!("{ROOT}{path}");
    if client.exists(&own, false).await.on(&own)?.is_none() {
        return Ok(());
    }
    let mut walk = Walk::new(client, &own, false);
    while let Some((parent, names)) = walk.next().await? {
        if parent != own && names.iter().any(|name| *name == LIMITS) {
            let below = &parent[ROOT.len()..];
            let text = format!("{path} has a child {below} which has a quota");
            return Err(Failure::new(text));
        }
    }
    Ok(())
}

async fn no_quota_above(client: &Client, path: &str) -> Result<(), Failure> {
    let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
    for above in above {
        let parent = format!("{ROOT}{above}");
        let names = match client.get_children(&parent, false).await {
            Err(Error::Server(ErrorCode::NO_NODE)) => return Ok(()),
            answer => answer.on(&parent)?.children.unwrap_or_default(),
        };
        if names.is_empty() {
            return Ok(());
        }
        if names.iter().any(|name| *name == LIMITS) {
            let text = format!("{path} has a parent {above} which has a quota");
            return Err(Failure::new(text));
        }
    }
    Ok(())
}

/// The track of a znode; None where there is none.
async fn read(client: &Client, path: &str) -> Result<Option<Track>, Failure> {
    match client.get_data(path, false).await {
        Ok(answer) => Track::parse(answer.data).map(Some),
        Err(Error::Server(ErrorCode::NO_NODE)) => Ok(None),
        Err(error) => Err(Failure::of(&error, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_reads_and_writes_the_text_of_every_version() {
        for text in [
            "count=3,bytes=-1=;byteHardLimit=-1;countHardLimit=7",
            "count=1,bytes=4",
        ] {
            let track = Track::parse(Some(Bytes::from_static(text.as_bytes()))).unwrap();
            assert_eq!(track.to_string(), text);
        }
        let old = Track::parse(Some(Bytes::from_static(b"count=5,bytes="))).unwrap();
        assert_eq!(old.to_string(), "count=5,bytes=-1");
        assert!(Track::parse(Some(Bytes::from_static(b"nonsense"))).is_err());
        assert!(Track::parse(Some(Bytes::from_static(b"count=x"))).is_err());
    }
}
