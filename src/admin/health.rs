//! Whether the server is well: `/livez`, `/readyz`, `/healthz`, and the word `ruok`.
//!
//! ```text
//!   alive   the commit loop and the log writer live, and neither is stuck;      /livez, ruok, and part of the others
//!           before that: the recovery of the data goes on
//!   ready   alive, and clients are served: alone, or with a quorum;             /readyz
//!           not while a restore is on
//!   well    ready, and nothing is about to end that                             /healthz
//! ```
//!
//! The texts are those of Kubernetes' own endpoints: `ok`, or with `?verbose` one line per check.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::answer::{Body, Query, whole};
use super::{Admin, process};
use crate::runtime::pulse::{Doing, Pulse};

/// A thread that has been at one thing for so long is stuck. Far beyond what a slow disk or a large change takes.
const STUCK: Duration = Duration::from_secs(30);

/// What is known to take long, such as taking over a snapshot or reading a log from its beginning, has this time. A
/// disk that does nothing at all for so long does not come back by itself.
const STUCK_AT_LENGTH: Duration = Duration::from_secs(15 * 60);

/// A recovery that has read nothing for so long is stuck. Between two files it is only thinking.
const RECOVERY_STUCK: Duration = Duration::from_secs(5 * 60);

/// Share of the zxids of an epoch, in percent, from which on its end is near.
const ROLLOVER_PERCENT: u64 = 95;

/// Share of the files that may be open, in percent, from which on they run out.
const FILES_PERCENT: u64 = 95;

/// Something that is looked at: nothing, or what is wrong.
struct Check {
    name: &'static str,
    wrong: Option<String>,
}

/// Answers a probe; `None` if `path` is none.
pub(super) async fn respond(
    admin: &std::sync::Arc<Admin>,
    path: &str,
    query: &Query,
) -> Option<Response<Body>> {
    let name = path.strip_prefix('/')?;
    let mut checks = match name {
        "livez" => admin.alive(),
        "readyz" => admin.ready(),
        // These look at disks, which may hang.
        "healthz" => admin.look(Admin::well).await.unwrap_or_default(),
        _ => return None,
    };
    if let Some(excluded) = query.get("exclude") {
        checks.retain(|check| check.name != excluded);
    }
    Some(answer(name, &checks, query.get("verbose").is_some()))
}

fn answer(name: &str, checks: &[Check], verbose: bool) -> Response<Body> {
    let is_well = checks.iter().all(|check| check.wrong.is_none());
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    for Check { name, wrong } in checks {
        let _ = match wrong {
            None => writeln!(text, "[+]{name} ok"),
            Some(why) => writeln!(text, "[-]{name} failed: {why}"),
        };
    }
    let end = if is_well { "passed" } else { "failed" };
    let _ = writeln!(text, "{name} check {end}");
    let mut response = match is_well && !verbose {
        true => Response::new(whole("ok")),
        false => Response::new(whole(text)),
    };
    if !is_well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Admin {
    /// What is wrong with the threads without which nothing goes on; `None` if nothing is. From a few atomics.
    pub fn not_alive(&self) -> Option<String> {
        let wrong = self.alive().into_iter().filter_map(|check| {
            let why = check.wrong?;
            Some(format!("{}: {why}", check.name))
        });
        let wrong: Vec<_> = wrong.collect();
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }

    fn alive(&self) -> Vec<Check> {
        if let Some(progress) = &self.recovery {
            return vec![still_recovering(&progress.text(), progress.idle())];
        }
        let now = self.clock.mono();
        let check = |name, pulse: &Pulse, work: &str| Check {
            name,
            wrong: stuck(pulse.doing(now), work),
        };
        vec![
            check(
                "commit-loop",
                &self.pulses.commit_loop,
                "at one round of work",
            ),
            check(
                "log-writer",
                &self.pulses.log_writer,
                "writing to the disk of dataLogDir",
            ),
        ]
    }

    /// A leader that leaves clients to the others counts as serving: an ensemble that is restarted one by one waits for
    /// each to be ready.
    fn ready(&self) -> Vec<Check> {
        let mut checks = self.alive();
        if let Some(progress) = &self.recovery {
            checks.push(Check {
                name: "recovered",
                wrong: Some(progress.text()),
            });
            return checks;
        }
        let serves = self.mode(&self.counters.ensemble()).is_some();
        let wrong = (!serves).then(|| {
            "there is no leader that this server follows; are enough others up and reachable?"
                .to_owned()
        });
        checks.push(Check {
            name: "quorum",
            wrong,
        });
        let wrong = self.counters.restores().then(|| {
            "a restore is on; clients are cut off until the database that was sent is in place"
                .to_owned()
        });
        checks.push(Check {
            name: "restore",
            wrong,
        });
        checks
    }

    fn well(&self) -> Vec<Check> {
        let mut checks = self.ready();
        if self.recovery.is_some() {
            return checks;
        }
        let (data, log) = &self.dirs;
        // A snapshot of the tree, and the log that is written meanwhile.
        let tree = self.gate.read(crate::tree::Tree::data_size);
        let ahead = self.config.pre_alloc_bytes.saturating_mul(2);
        let mut disk = |name, dir: &Path, wanted: u64| {
            let wrong = short_of_space(dir, wanted);
            checks.push(Check { name, wrong });
        };
        disk("data-disk", data, tree.saturating_add(ahead));
        if log != data {
            disk("log-disk", log, ahead);
        }
        let zxid = self.gate.read(|tree| tree.last_zxid());
        checks.push(Check {
            name: "zxid-rollover",
            wrong: near_rollover(zxid.0 as u64 & COUNTER),
        });
        let (open, most) = process::open_files();
        let few_left = (open as u64).saturating_mul(100) >= most.saturating_mul(FILES_PERCENT);
        let wrong = format!("{open} of at most {most} files are open; raise the limit (ulimit -n)");
        checks.push(Check {
            name: "open-files",
            wrong: few_left.then_some(wrong),
        });
        let differed = self.counters.metrics.digest_mismatches_count.total();
        let wrong = format!(
            "{differed} transactions left other data than on the leader; see docs/differences.md"
        );
        checks.push(Check {
            name: "tree-digest",
            wrong: (differed > 0).then_some(wrong),
        });
        checks
    }
}

/// What is wrong with a thread that does this, its usual work being `work`.
fn stuck(doing: Doing, work: &str) -> Option<String> {
    match doing {
        Doing::Ended => Some("its thread has ended; restart the server".to_owned()),
        Doing::Working(time) if time >= STUCK => {
            Some(format!("it has been {work} for {} s", time.as_secs()))
        }
        Doing::AtLength(time) if time >= STUCK_AT_LENGTH => Some(format!(
            "it has been changing the files of dataDir for {} s; is their disk still there?",
            time.as_secs()
        )),
        _ => None,
    }
}

fn still_recovering(at: &str, idle: Duration) -> Check {
    let wrong = (idle >= RECOVERY_STUCK).then(|| {
        let seconds = idle.as_secs();
        format!("{at}, and nothing more of it for {seconds} s; does its disk answer?")
    });
    Check {
        name: "recovery",
        wrong,
    }
}

/// The part of a zxid that counts within an epoch.
const COUNTER: u64 = 0xffff_ffff;

fn near_rollover(counter: u64) -> Option<String> {
    let percent = counter.saturating_mul(100) / COUNTER;
    (percent >= ROLLOVER_PERCENT).then(|| {
        format!(
            "{percent} % of this epoch's zxids are used; when they end, so does the leadership, and a new one is \
             elected: restart the leader at a quiet time"
        )
    })
}

fn short_of_space(dir: &Path, wanted: u64) -> Option<String> {
    const MEGABYTE: u64 = 1 << 20;
    let found = match rustix::fs::statvfs(dir) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", dir.display())),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    (free < wanted).then(|| {
        format!(
            "{}: {} MB are free, a snapshot and the log after it want {} MB; see autopurge.purgeInterval",
            dir.display(),
            free / MEGABYTE,
            wanted.div_ceil(MEGABYTE)
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::*;
    use crate::admin::tests::server;

    async fn text(response: Response<Body>) -> (u16, String) {
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_read_as_those_of_kubernetes() {
        let good = Check {
            name: "a",
            wrong: None,
        };
        let bad = Check {
            name: "b",
            wrong: Some("it is".into()),
        };
        let list = [good, bad];
        let shown = "[+]a ok\n[-]b failed: it is\nreadyz check failed\n".to_owned();
        assert_eq!(text(answer("readyz", &list, false)).await, (503, shown));
        assert_eq!(
            text(answer("livez", &list[..1], false)).await,
            (200, "ok".into())
        );
        let shown = "[+]a ok\nlivez check passed\n".to_owned();
        assert_eq!(text(answer("livez", &list[..1], true)).await, (200, shown));
    }

    #[tokio::test]
    async fn a_server_is_not_ready_while_it_is_restored() {
        let admin = Arc::new(server("dataDir=/d\nclientPort=2181\n", "1"));
        let probe = async |path| {
            let answer = respond(&admin, path, &Query::default()).await;
            text(answer.unwrap()).await
        };
        admin.counters.restore(true);
        let (status, said) = probe("/readyz").await;
        assert_eq!(status, 503);
        assert!(
            said.contains("[-]restore failed: a restore is on"),
            "{said}"
        );
        assert_eq!(probe("/livez").await, (200, "ok".into()));
        admin.counters.restore(false);
        assert_eq!(probe("/readyz").await, (200, "ok".into()));
    }

    #[test]
    fn what_takes_long_by_its_nature_is_stuck_much_later_than_a_sync() {
        let seconds = Duration::from_secs;
        assert!(stuck(Doing::Working(seconds(30)), "syncing").is_some());
        assert_eq!(stuck(Doing::AtLength(seconds(14 * 60)), "syncing"), None);
        let why = stuck(Doing::AtLength(seconds(15 * 60)), "syncing").unwrap();
        assert!(why.contains("files of dataDir for 900 s"), "{why}");
        assert!(stuck(Doing::Ended, "syncing").is_some());
    }

    #[test]
    fn a_recovery_is_alive_unless_it_stands_still() {
        let wrong = |seconds| still_recovering("log.5", Duration::from_secs(seconds)).wrong;
        assert_eq!(wrong(299), None);
        assert!(wrong(300).unwrap().starts_with("log.5, and nothing"));
    }

    #[test]
    fn what_runs_out_is_said_before_it_does() {
        assert_eq!(near_rollover(COUNTER / 2), None);
        assert!(near_rollover(COUNTER - 1).unwrap().contains("99 %"));
        let here = Path::new(".");
        assert_eq!(short_of_space(here, 1), None);
        assert!(
            short_of_space(here, u64::MAX)
                .unwrap()
                .contains("MB are free")
        );
        assert!(short_of_space(Path::new("/no/such/folder"), 1).is_some());
    }
}
