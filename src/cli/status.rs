//! `oxkeeper status`: one line for each server, for people and for scripts.

use std::process::ExitCode;

use super::ask::ask;

/// Which servers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: all of them serve; 1: at least one does not, or cannot be reached.\n\n\
    Example: oxkeeper status zk1:2181 zk2:2181 zk3:2181"
)]
pub struct StatusArgs {
    /// Host and client port of each server.
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
    servers: Vec<String>,
}

/// What a server says of itself by `srvr`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status<'a> {
    pub mode: &'a str,
    zxid: &'a str,
    connections: &'a str,
    outstanding: &'a str,
    latency: &'a str,
    znodes: &'a str,
    pub version: &'a str,
}

/// Prints the table.
pub fn run(args: &StatusArgs) -> ExitCode {
    let width = args.servers.iter().map(String::len).max().unwrap_or(0);
    println!(
        "{:<width$}  {:<11} {:<14} {:>11} {:>11} {:>9}  {:<18}  version",
        "server", "mode", "zxid", "connections", "outstanding", "znodes", "latency min/avg/max"
    );
    let mut all_serve = true;
    for server in &args.servers {
        let answer = ask("srvr", server).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let line = match &answer {
            Err(error) => Err(format!("does not answer: {error}")),
            Ok(text) => read(text).ok_or_else(|| match text.trim() {
                "" => "closed the connection without a word".to_owned(),
                said => said.to_owned(),
            }),
        };
        match line {
            Ok(status) => println!(
                "{server:<width$}  {:<11} {:<14} {:>11} {:>11} {:>9}  {:<19}  {}",
                status.mode,
                status.zxid,
                status.connections,
                status.outstanding,
                status.znodes,
                status.latency,
                status.version
            ),
            Err(why) => {
                all_serve = false;
                println!("{server:<width$}  {why}");
            }
        }
    }
    match all_serve {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The lines of `srvr`; None if the server does not serve.
pub(super) fn read(text: &str) -> Option<Status<'_>> {
    let mut status = Status::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name {
            "Zookeeper version" => status.version = value.split(',').next().unwrap_or(value),
            "Latency min/avg/max" => status.latency = value,
            "Connections" => status.connections = value,
            "Outstanding" => status.outstanding = value,
            "Zxid" => status.zxid = value,
            "Mode" => status.mode = value,
            "Node count" => status.znodes = value,
            _ => {}
        }
    }
    (!status.mode.is_empty()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_serves_says_its_mode_and_another_does_not() {
        let text = "Zookeeper version: 3.9.5-abc, built on 2025\nLatency min/avg/max: 0/0.5/3\nReceived: 4\n\
                    Sent: 3\nConnections: 1\nOutstanding: 0\nZxid: 0x100000002\nMode: follower\nNode count: 5\n";
        let expected = Status {
            mode: "follower",
            zxid: "0x100000002",
            connections: "1",
            outstanding: "0",
            latency: "0/0.5/3",
            znodes: "5",
            version: "3.9.5-abc",
        };
        assert_eq!(read(text), Some(expected));
        assert_eq!(
            read("This ZooKeeper instance is not currently serving requests\n"),
            None
        );
        assert_eq!(read(""), None);
    }
}
