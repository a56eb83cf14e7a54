//! `oxkeeper bench`: load for any ZooKeeper server, and what it can take.
//!
//! ```text
//!   args --> measure --groundwork, load, removal--> site (which znodes), `load` (how they are pressed)
//!                '--> report --> text or JSON --> compare
//! ```

mod args;
mod compare;
mod measure;
mod report;
mod servers;
mod site;
mod text;

use std::process::ExitCode;

use args::{Other, RunArgs};

pub use args::{BenchArgs, HELP};

/// Measures, or compares what was measured.
pub fn run(args: &BenchArgs) -> ExitCode {
    let done = match &args.other {
        Some(Other::Compare { before, after }) => {
            let table = compare::compare(before, after);
            table
                .and_then(|table| print(&table))
                .map(|()| ExitCode::SUCCESS)
        }
        None => bench(&args.run),
    };
    done.unwrap_or_else(|why| {
        eprintln!("oxkeeper: {why}");
        ExitCode::FAILURE
    })
}

fn bench(args: &RunArgs) -> Result<ExitCode, String> {
    let servers = match args.check() {
        Ok(servers) => servers,
        Err(why) => {
            eprintln!("oxkeeper: {why}");
            return Ok(ExitCode::from(2));
        }
    };
    super::server::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let outcome = runtime.block_on(measure::run(args, &servers));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    let outcome = outcome?;
    let mut is_clean = true;
    if let Some(report) = &outcome.report {
        is_clean = report.is_clean();
        match args.json {
            true => {
                let json =
                    serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
                print(&(json + "\n"))?;
            }
            false => print(&text::show(report))?,
        }
    }
    for failure in &outcome.failures {
        eprintln!("oxkeeper: {failure}");
    }
    Ok(
        match (outcome.failures.is_empty(), outcome.interrupted, is_clean) {
            (false, _, _) => ExitCode::FAILURE,
            (true, true, _) => ExitCode::from(130),
            (true, false, false) => ExitCode::from(3),
            (true, false, true) => ExitCode::SUCCESS,
        },
    )
}

/// To stdout; whoever reads it may have gone.
fn print(text: &str) -> Result<(), String> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .map_err(|error| error.to_string())
}
