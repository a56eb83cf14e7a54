//! What a server says of itself at one moment, taken from the answers of its AdminServer.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::times::Times;
use crate::cli::http::{Address, Connection};

/// How long a server may take for one look at it.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Longest answer that is read, in bytes: some 100,000 connections.
const ANSWER_BYTES: usize = 64 << 20;

/// A server at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// What it is and does; or why it serves nobody, in its own words.
    pub stats: Result<Stats, String>,
    /// What a Java server does not tell.
    pub vitals: Option<Vitals>,
    /// Likewise.
    pub hot: Option<Hot>,
    /// Its connections, if they were asked for.
    pub sessions: Option<Vec<Session>>,
}

/// From `server_stats`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// `leader`, `follower`, `observer` or `standalone`.
    pub state: String,
    /// The last transaction it applied.
    pub zxid: u64,
    /// Clients.
    pub connections: u64,
    /// Requests taken and not answered.
    pub outstanding: u64,
    /// Frames from clients since the start or the last `srst`.
    pub received: u64,
}

/// From `vitals`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vitals {
    /// When the process began; another one is another process.
    pub began: f64,
    /// Memory of the process, in bytes.
    pub memory: Option<u64>,
    /// Bounds of all histograms, in seconds.
    pub bounds: Vec<f64>,
    /// Parts of a request's way.
    pub stages: Vec<(String, Times)>,
    /// Requests by operation.
    pub operations: Vec<(String, Times)>,
    /// Syncs of the log.
    pub fsync: Times,
}

/// From `hot_paths`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hot {
    /// How long the time is that the rates are of, in seconds.
    pub window: f64,
    /// One request in so many is looked at.
    pub every: u64,
    /// Path, rate and error.
    pub reads: Vec<(String, f64, f64)>,
    /// Likewise.
    pub writes: Vec<(String, f64, f64)>,
    /// Likewise: children made and removed.
    pub children: Vec<(String, f64, f64)>,
}

/// From `connections`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// The client's address.
    pub client: String,
    /// 0 without a session.
    pub id: i64,
    /// When it connected, ms since 1970.
    pub established: i64,
    /// Frames from it.
    pub received: u64,
    /// Requests of it that are not answered.
    pub outstanding: i64,
    /// Its mean latency since it connected, ms.
    pub avg_latency: f64,
    /// Its longest.
    pub max_latency: f64,
    /// Its last operation, in the four letters of `cons`.
    pub last_operation: String,
}

/// Looks at the server; at its connections too, if `sessions`.
///
/// # Errors
/// Why there is no answer.
pub async fn look(address: &Address, sessions: bool) -> Result<Sample, String> {
    let asked = tokio::time::timeout(PATIENCE, ask(address, sessions)).await;
    asked.unwrap_or_else(|_| Err(format!("does not answer within {} s", PATIENCE.as_secs())))
}

async fn ask(address: &Address, sessions: bool) -> Result<Sample, String> {
    let mut connection = Connection::open(address).await?;
    let stats = answer(&mut connection, "server_stats").await?;
    let at = Instant::now();
    let vitals = answer(&mut connection, "vitals").await?;
    let hot = answer(&mut connection, "hot_paths?limit=128").await?;
    let sessions = match sessions && stats.is_ok() {
        true => answer(&mut connection, "connections").await?.ok(),
        false => None,
    };
    Ok(Sample {
        at,
        stats: stats.and_then(|stats| {
            Stats::parse(&stats).ok_or_else(|| "answers what no server says".to_owned())
        }),
        vitals: vitals.ok().as_ref().and_then(Vitals::parse),
        hot: hot.ok().as_ref().and_then(Hot::parse),
        sessions: sessions.as_ref().map(parse_sessions),
    })
}

/// What a command answers, or what it says is wrong.
async fn answer(
    connection: &mut Connection,
    command: &str,
) -> Result<Result<Value, String>, String> {
    let path = format!("/commands/{command}");
    let answer = connection.json(&path, ANSWER_BYTES).await?;
    Ok(match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer),
    })
}

/// The admin ports of the other voters of the server's ensemble, supposed that all have the same number: of none that
/// shares its host, and so cannot have. `None` if the server does not answer, or has no leader and so does not say.
pub async fn others(address: &Address) -> Option<Vec<String>> {
    let ask = async {
        let mut connection = Connection::open(address).await.ok()?;
        let view = answer(&mut connection, "voting_view").await.ok()?.ok()?;
        let state = answer(&mut connection, "zabstate").await.ok()?.ok()?;
        Some(others_of(&view, &state, address.port))
    };
    let found = tokio::time::timeout(PATIENCE, ask).await;
    found.ok().flatten()
}

fn others_of(view: &Value, state: &Value, port: u16) -> Vec<String> {
    let own = state.get("myid").and_then(Value::as_i64);
    let Some(members) = view.get("current_config").and_then(Value::as_object) else {
        return Vec::new();
    };
    let host = |member: &Value| {
        let address = member.get("server_addresses")?.get(0)?.as_str()?;
        Some(address.rsplit_once(':')?.0.to_owned())
    };
    let own_host = own.and_then(|own| host(members.get(&own.to_string())?));
    let others = members.iter().filter(|(id, _)| id.parse().ok() != own);
    let hosts = others.filter_map(|(_, member)| host(member));
    let apart = hosts.filter(|host| own.is_some() && Some(host) != own_host.as_ref());
    apart.map(|host| format!("{host}:{port}")).collect()
}

impl Stats {
    fn parse(answer: &Value) -> Option<Stats> {
        let stats = answer.get("server_stats")?;
        let number = |name: &str| stats.get(name).and_then(Value::as_u64);
        Some(Stats {
            state: stats.get("server_state")?.as_str()?.to_owned(),
            zxid: stats.get("last_processed_zxid")?.as_i64()? as u64,
            connections: number("num_alive_client_connections")?,
            outstanding: number("outstanding_requests").unwrap_or_default(),
            received: number("packets_received")?,
        })
    }
}

impl Vitals {
    fn parse(answer: &Value) -> Option<Vitals> {
        let bounds = answer.get("bounds_seconds")?.as_array()?;
        let bounds: Vec<f64> = bounds.iter().filter_map(Value::as_f64).collect();
        let named = |name: &str| {
            let all = answer.get(name)?.as_object()?.iter();
            let all = all.map(|(name, times)| Some((name.clone(), Times::parse(times)?)));
            all.collect::<Option<Vec<_>>>()
        };
        Some(Vitals {
            began: answer
                .get("process_start_seconds")?
                .as_f64()
                .unwrap_or_default(),
            memory: answer.get("resident_memory_bytes").and_then(Value::as_u64),
            bounds,
            stages: named("stages")?,
            operations: named("operations")?,
            fsync: Times::parse(answer.get("fsync")?)?,
        })
    }
}

impl Hot {
    fn parse(answer: &Value) -> Option<Hot> {
        let list = |name: &str| {
            let paths = answer.get(name)?.as_array()?.iter();
            let paths = paths.map(|path| {
                let number = |name: &str| path.get(name).and_then(Value::as_f64);
                let name = path.get("path")?.as_str()?.to_owned();
                Some((name, number("per_second")?, number("error")?))
            });
            paths.collect::<Option<Vec<_>>>()
        };
        Some(Hot {
            window: answer.get("window_seconds")?.as_f64()?,
            every: answer.get("sampled_one_in")?.as_u64()?,
            reads: list("reads")?,
            writes: list("writes")?,
            children: list("children")?,
        })
    }
}

fn parse_sessions(answer: &Value) -> Vec<Session> {
    let ports = ["connections", "secure_connections"];
    let lists = ports.iter().filter_map(|port| answer.get(port)?.as_array());
    lists.flatten().map(parse_session).collect()
}

fn parse_session(connection: &Value) -> Session {
    let number = |name: &str| connection.get(name).and_then(Value::as_f64);
    let whole = |name: &str| connection.get(name).and_then(Value::as_i64);
    let text = |name: &str| {
        let text = connection.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    Session {
        client: text("remote_socket_address"),
        id: whole("session_id").unwrap_or_default(),
        established: whole("established").unwrap_or_default(),
        received: whole("packets_received").unwrap_or_default() as u64,
        outstanding: whole("outstanding_requests").unwrap_or_default(),
        avg_latency: number("avg_latency").unwrap_or_default(),
        max_latency: number("max_latency").unwrap_or_default(),
        last_operation: text("last_operation"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_other_voters_are_sought_at_the_same_port_of_their_hosts() {
        let member = |host: &str| json!({"server_addresses": [format!("{host}:2888")]});
        let view = json!({"current_config": {"1": member("zk1"), "2": member("zk2"), "3": member("[::3]")}});
        let found = others_of(&view, &json!({"myid": 2}), 9090);
        assert_eq!(found, ["zk1:9090", "[::3]:9090"]);
        // Three on one machine cannot all have that port.
        let view = json!({"current_config": {"1": member("a"), "2": member("a")}});
        assert!(others_of(&view, &json!({"myid": 2}), 9090).is_empty());
        assert!(others_of(&view, &json!({}), 9090).is_empty());
        assert!(others_of(&json!({}), &json!({"myid": 2}), 9090).is_empty());
    }

    #[test]
    fn an_answer_that_is_none_is_no_sample() {
        for nonsense in [
            json!({}),
            json!([]),
            json!({"server_stats": 1, "reads": 2, "stages": {"a": 1}}),
        ] {
            assert_eq!(Stats::parse(&nonsense), None);
            assert_eq!(Vitals::parse(&nonsense), None);
            assert_eq!(Hot::parse(&nonsense), None);
            assert!(parse_sessions(&nonsense).is_empty());
        }
        let odd = json!({"connections": [1, {"session_id": "x", "packets_received": -1}]});
        assert_eq!(parse_sessions(&odd).len(), 2);
    }
}
