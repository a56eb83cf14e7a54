//! Commands of our own, for `oxkeeper top`: where clients read and write most, and where the time goes.

use serde_json::{Map, Value, json};

use crate::admin::answer::{Answer, Query};
use crate::admin::{Admin, monitor};
use crate::metrics::{BOUNDS, HotList, Number, Times};

/// Paths of each list, unless told otherwise.
const LIMIT: usize = 20;

/// Where this server's clients read, write, and make and remove children most. `?limit=` says how many are told.
pub(super) fn hot_paths(admin: &Admin, query: &Query) -> Answer {
    let limit = match query.get("limit").map(str::parse) {
        None => LIMIT,
        Some(Ok(limit)) => limit,
        Some(Err(_)) => {
            let mut answer = Answer::default();
            answer.put("error", "limit is a number of paths");
            return answer;
        }
    };
    let picture = admin.counters.hot.look(admin.clock.mono(), limit);
    let mut answer = Answer::default();
    answer.put("window_seconds", tenths(picture.window.as_secs_f64()));
    answer.put("sampled_one_in", picture.every);
    let lists = [
        ("reads", &picture.reads),
        ("writes", &picture.writes),
        ("children", &picture.children),
    ];
    for (name, list) in lists {
        answer.put(&format!("{name}_per_second"), tenths(list.per_second));
    }
    for (name, list) in lists {
        answer.put(name, paths(list));
    }
    answer
}

fn paths(list: &HotList) -> Vec<Value> {
    let counted = list.paths.iter();
    let counted = counted.filter(|path| tenths(path.per_second) > 0.0);
    let shown = counted.map(|path| {
        json!({
            "path": path.path,
            "per_second": tenths(path.per_second),
            "error": tenths(path.error),
        })
    });
    shown.collect()
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// What the process holds, and its histograms since it began: whoever asks twice learns of the time in between.
pub(super) fn vitals(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    let gauges = monitor::gauges(admin);
    let number = |number: Option<Number>| number.map(Number::float);
    answer.put(
        "process_start_seconds",
        number(gauges.process_start_time_seconds),
    );
    answer.put(
        "resident_memory_bytes",
        number(gauges.process_resident_memory_bytes).map(|bytes| bytes as u64),
    );
    let owners = gauges.memory_bytes.iter();
    let owners = owners.map(|(owner, bytes)| (owner.clone(), (bytes.float() as u64).into()));
    answer.put("memory_bytes", Map::from_iter(owners));
    let bounds: Vec<f64> = BOUNDS.iter().map(|nanos| *nanos as f64 / 1e9).collect();
    answer.put("bounds_seconds", bounds);
    let metrics = &admin.counters.metrics;
    let stages = metrics.request_stage_seconds.all();
    let stages = stages.map(|(name, times)| (name.to_owned(), times_of(&times.read())));
    answer.put("stages", Map::from_iter(stages));
    let operations = metrics.request_seconds.all();
    let operations = operations.map(|(name, times)| (name.to_owned(), times.read()));
    let used = operations.filter(|(_, times)| times.at_most.last() > Some(&0));
    let used = used.map(|(name, times)| (name, times_of(&times)));
    answer.put("operations", Map::from_iter(used));
    answer.put("fsync", times_of(&metrics.fsync_seconds.read()));
    answer
}

/// How many took at most as long as each bound, and last how many there were at all.
fn times_of(times: &Times) -> Value {
    json!({ "seconds": times.seconds, "at_most": times.at_most })
}
