//! Rates between two looks, and what becomes of them when a server ends, begins anew or is Java's.

use std::time::Duration;

use super::*;
use crate::cli::top::sample::{Hot, Stats};

/// Histograms with one bound at 10 ms; so many below it, so many above.
fn times(below: u64, above: u64) -> Times {
    Times {
        at_most: vec![below, below + above],
        seconds: below as f64 * 0.005 + above as f64 * 0.02,
    }
}

/// After so many requests and half as many pings, so many seconds after `start`.
fn sample(start: Instant, seconds: u64, requests: u64) -> Sample {
    let session = |client: &str, received| Session {
        client: client.into(),
        id: 0x10,
        established: 7,
        received,
        ..Session::default()
    };
    Sample {
        at: start + Duration::from_secs(seconds),
        stats: Ok(Stats {
            state: "leader".into(),
            zxid: 0x1_0000_0000 + requests,
            connections: 2,
            outstanding: 1,
            received: 10 * requests,
        }),
        vitals: Some(Vitals {
            began: 1000.0,
            memory: Some(1 << 20),
            bounds: vec![0.01],
            stages: vec![
                ("queue".into(), times(requests, 0)),
                ("log".into(), times(0, requests / 2)),
            ],
            operations: vec![
                ("getData".into(), times(requests, 0)),
                ("ping".into(), times(requests / 2, 0)),
            ],
            fsync: times(0, requests),
        }),
        hot: Some(Hot {
            window: 10.0,
            every: 4,
            reads: vec![("/a".into(), 5.0, 1.0), ("/b".into(), 3.0, 1.0)],
            writes: vec![("/a".into(), 2.0, 0.5)],
            children: Vec::new(),
        }),
        sessions: Some(vec![
            session("1.1.1.1:1", requests),
            session("2.2.2.2:2", 5),
        ]),
    }
}

fn watched(samples: impl IntoIterator<Item = Result<Sample, String>>) -> Watched {
    let mut watched = Watched::new("zk1:8080".into());
    samples.into_iter().for_each(|it| watched.update(it));
    watched
}

#[test]
fn rates_are_of_the_time_between_two_looks() {
    let start = Instant::now();
    let server = watched([Ok(sample(start, 0, 100)), Ok(sample(start, 2, 500))]);
    let picture = Picture::of(&[server]);
    let line = &picture.servers[0];
    assert_eq!(
        (line.state.as_str(), line.zxid.as_deref()),
        ("leader", Some("0x1000001f4"))
    );
    assert_eq!(line.requests_per_second, Some(200.0), "without pings");
    assert_eq!(
        (line.p50_seconds, line.p99_seconds),
        (Some(0.005), Some(0.0099))
    );
    assert_eq!(line.fsync_p99_seconds, Some(0.01), "beyond the last bound");
    assert_eq!(picture.sessions[0].requests_per_second, Some(200.0));
    assert_eq!(picture.sessions[1].requests_per_second, Some(0.0));
    assert_eq!(picture.sessions[0].session, "0x10");
    let stages = picture.stages.iter();
    let stages: Vec<_> = stages
        .map(|it| (it.stage.as_str(), it.per_second))
        .collect();
    assert_eq!(stages, [("queue", 200.0), ("log", 100.0), ("fsync", 200.0)]);
    assert!((picture.stages[0].mean_seconds - 0.005).abs() < 1e-9);
}

#[test]
fn one_look_has_no_rates_and_none_has_nothing() {
    let one = watched([Ok(sample(Instant::now(), 0, 100))]);
    let picture = Picture::of(&[one, watched([])]);
    assert_eq!(picture.servers[0].connections, Some(2));
    assert_eq!(picture.servers[0].requests_per_second, None);
    assert_eq!(picture.sessions[0].requests_per_second, None);
    assert!(picture.stages.is_empty());
    assert_eq!(
        (
            picture.servers[1].state.as_str(),
            &picture.servers[1].problem
        ),
        ("", &None)
    );
}

#[test]
fn a_server_that_began_anew_has_rates_from_its_second_look_on() {
    let start = Instant::now();
    let mut fresh = sample(start, 2, 40);
    fresh.vitals.as_mut().unwrap().began = 2000.0;
    let mut next = sample(start, 3, 60);
    next.vitals.as_mut().unwrap().began = 2000.0;
    let mut server = watched([Ok(sample(start, 0, 100)), Ok(fresh)]);
    assert_eq!(
        Picture::of(std::slice::from_ref(&server)).servers[0].requests_per_second,
        None
    );
    server.update(Ok(next));
    assert_eq!(
        Picture::of(&[server]).servers[0].requests_per_second,
        Some(20.0)
    );
    // Without any sign but the counts.
    let server = watched([Ok(sample(start, 0, 100)), Ok(sample(start, 2, 40))]);
    let picture = Picture::of(&[server]);
    assert_eq!(picture.servers[0].requests_per_second, None);
    assert_eq!(picture.sessions[0].requests_per_second, None);
    assert!(picture.stages.is_empty());
}

#[test]
fn a_server_that_does_not_answer_says_why_and_shows_nothing_old() {
    let start = Instant::now();
    let mut server = watched([Ok(sample(start, 0, 100)), Ok(sample(start, 1, 200))]);
    server.update(Err("cannot be reached".into()));
    let picture = Picture::of(std::slice::from_ref(&server));
    assert_eq!(picture.servers[0].state, "no answer");
    assert_eq!(
        picture.servers[0].problem.as_deref(),
        Some("cannot be reached")
    );
    assert!(
        picture.sessions.is_empty() && picture.stages.is_empty() && picture.hot.paths.is_empty()
    );
    server.update(Ok(sample(start, 4, 500)));
    assert_eq!(
        Picture::of(&[server]).servers[0].requests_per_second,
        Some(100.0)
    );
}

#[test]
fn a_java_server_shows_what_it_tells() {
    let start = Instant::now();
    let java = |seconds, requests| {
        let told = sample(start, seconds, requests);
        Ok(Sample {
            vitals: None,
            hot: None,
            ..told
        })
    };
    let picture = Picture::of(&[watched([java(0, 100), java(2, 300)])]);
    assert_eq!(
        picture.servers[0].requests_per_second,
        Some(1000.0),
        "frames"
    );
    assert_eq!(picture.servers[0].p99_seconds, None);
    assert_eq!(picture.hot.window_seconds, None);
    assert_eq!(picture.sessions.len(), 2);
    let reset = Picture::of(&[watched([java(0, 100), java(2, 50)])]);
    assert_eq!(reset.servers[0].requests_per_second, None, "srst");
}

#[test]
fn a_member_without_a_leader_is_not_serving() {
    let looking = |seconds| {
        let told = sample(Instant::now(), seconds, 100);
        Ok(Sample {
            stats: Err("not currently serving".into()),
            ..told
        })
    };
    let picture = Picture::of(&[watched([looking(0), looking(1)])]);
    assert_eq!(picture.servers[0].state, "not serving");
    assert_eq!(
        picture.servers[0].problem.as_deref(),
        Some("not currently serving")
    );
}

#[test]
fn paths_of_several_servers_add_up() {
    let one = || watched([Ok(sample(Instant::now(), 0, 100))]);
    let picture = Picture::of(&[one(), one()]);
    let paths = picture.hot.paths.iter();
    let paths: Vec<_> = paths
        .map(|it| (it.path.as_str(), it.reads, it.reads_error, it.writes))
        .collect();
    assert_eq!(paths, [("/a", 10.0, 2.0, 4.0), ("/b", 6.0, 2.0, 0.0)]);
    assert_eq!(picture.hot.sampled_one_in, 4);
}
