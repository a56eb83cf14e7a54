//! `oxkeeper top`: servers, sessions, hot paths and stages, live on a terminal or once for scripts.
//!
//! ```text
//!   sample (HTTP) -> picture: differences of two samples -> pane: tables -> sheet: lines -> screen | text
//! ```

mod live;
mod pane;
mod picture;
mod sample;
mod screen;
mod sheet;
mod times;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use self::pane::Pane;
use self::picture::{Picture, Watched};
use super::http::Address;

/// Which servers, and how.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: 1-4 or Tab for a pane, s to sort it otherwise, p to pause, arrows to scroll, q to quit.\n\n\
    Where standard output is no terminal, and with --once or --json, it looks twice, prints once, and ends: with exit \
    code 0 if every server answered, and 1 if not.\n\n\
    Examples:\n  oxkeeper top zk1:8080 zk2:8080 zk3:8080\n  oxkeeper top --json --interval 5 zk1 | jq .hot.paths"
)]
pub struct TopArgs {
    /// Host and admin port (admin.serverPort) of each server. Of one alone, the other voters of its ensemble are
    /// sought at the same port.
    #[arg(value_name = "HOST:ADMINPORT", default_value = "127.0.0.1:8080")]
    servers: Vec<String>,
    /// Only the servers given.
    #[arg(long)]
    alone: bool,
    /// Seconds from one look to the next; rates are of this time.
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Print one picture as text.
    #[arg(long)]
    once: bool,
    /// Print one picture as JSON.
    #[arg(long)]
    json: bool,
    /// Rows of each list that is printed.
    #[arg(long, default_value_t = 20)]
    rows: usize,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number".to_owned())?;
    match (0.05..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("not between 0.05 and 3600".to_owned()),
    }
}

/// Looks, and shows.
pub fn run(args: &TopArgs) -> ExitCode {
    match top(args) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("oxkeeper: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn top(args: &TopArgs) -> Result<ExitCode, String> {
    let mut servers = args.servers.clone();
    let parsed = servers.iter().map(|server| {
        let address = Address::parse(server);
        address.map_err(|what| format!("{server}: {what}"))
    });
    let mut addresses: Vec<Address> = parsed.collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let is_live = !args.once && !args.json && io::stdout().is_terminal();
    let seeks = servers.len() == 1 && !args.alone;
    if let (false, true, Some(address)) = (is_live, seeks, addresses.first()) {
        let found = runtime.block_on(sample::others(address));
        for server in found.unwrap_or_default() {
            addresses.extend(Address::parse(&server));
            servers.push(server);
        }
    }
    let mut watched: Vec<_> = servers.into_iter().map(Watched::new).collect();
    if is_live {
        let shown = live::run(&runtime, watched, addresses, args.interval, seeks);
        // A server that hangs must not keep this program.
        runtime.shutdown_background();
        shown.map_err(|error| format!("the terminal: {error}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(async {
        look_at_all(&mut watched, &addresses).await;
        tokio::time::sleep(args.interval).await;
        look_at_all(&mut watched, &addresses).await;
    });
    let mut picture = Picture::of(&watched);
    for pane in Pane::ALL {
        pane.sort(&mut picture, 0);
    }
    picture.sessions.truncate(args.rows);
    picture.hot.paths.truncate(args.rows);
    let text = match args.json {
        true => serde_json::to_string_pretty(&picture).map_err(|error| error.to_string())? + "\n",
        false => text(&picture),
    };
    let printed = io::stdout().lock().write_all(text.as_bytes());
    let all_answer = watched.iter().all(|server| server.failure().is_none());
    Ok(match printed.is_ok() && all_answer {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn look_at_all(watched: &mut [Watched], addresses: &[Address]) {
    let looks = addresses.iter().map(|address| {
        let address = address.clone();
        tokio::spawn(async move { sample::look(&address, true).await })
    });
    let looks: Vec<_> = looks.collect();
    for (server, look) in watched.iter_mut().zip(looks) {
        let looked = look.await;
        server.update(looked.unwrap_or_else(|error| Err(error.to_string())));
    }
}

/// All tables, one below the other.
fn text(picture: &Picture) -> String {
    let mut out = String::new();
    for pane in Pane::ALL {
        if !out.is_empty() {
            out.push('\n');
        }
        let sheet = pane.sheet(picture);
        for (line, _) in sheet.lines(usize::MAX) {
            out.push_str(&line);
            out.push('\n');
        }
        if sheet.rows.is_empty() {
            out.push_str(pane.nothing(picture));
            out.push('\n');
        }
    }
    out
}
