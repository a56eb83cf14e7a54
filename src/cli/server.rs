//! `oxkeeper server`: read the configuration, start, say so, serve.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use crate::config::jvm::{JvmWords, split_jvm_flags, split_property};
use crate::config::{Config, ConfigSources, Pointers};
use crate::runtime::{Server, StartError};

/// Exit codes of the server. Source: `ExitCode`.
mod exit {
    pub const UNEXPECTED: u8 = 1;
    pub const INVALID_INVOCATION: u8 = 2;
    pub const DATA_FOLDER: u8 = 3;
    pub const ADMIN_SERVER: u8 = 4;
    pub const QUORUM_PORT: u8 = 14;
}

/// Environment variables whose -D words are properties, the later one winning.
const FLAGS: [&str; 2] = ["SERVER_JVMFLAGS", "JVMFLAGS"];

/// Runs a server until it is told to stop.
pub fn run(properties: &[String], config: Option<&Path>) -> ExitCode {
    start_logging();
    let loaded = match load(properties, config) {
        Ok(config) => Arc::new(config),
        Err(Refusal(text)) => {
            eprintln!("Invalid config, exiting abnormally\n{text}");
            return ExitCode::from(exit::INVALID_INVOCATION);
        }
    };
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::UNEXPECTED, &format!("no runtime: {error}")),
    };
    runtime.block_on(async {
        let server = match Server::start(loaded.clone()).await {
            Ok(server) => server,
            Err(error) => return fail(code_of(&error), &error.to_string()),
        };
        banner(&loaded, &server);
        match server.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(exit::UNEXPECTED, &error.to_string()),
        }
    })
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("oxkeeper: not started: {text}");
    ExitCode::from(code)
}

fn code_of(error: &StartError) -> u8 {
    match error {
        StartError::Storage(_) | StartError::Lock(_) => exit::DATA_FOLDER,
        StartError::Listen(_) => exit::QUORUM_PORT,
        StartError::Admin(_) => exit::ADMIN_SERVER,
        StartError::Bind(_) | StartError::Address(..) | StartError::System(_) => exit::UNEXPECTED,
    }
}

/// Why the configuration cannot be used, for a person.
struct Refusal(String);

fn load(properties: &[String], config: Option<&Path>) -> Result<Config, Refusal> {
    let mut sources = match config {
        Some(path) => read_sources(path)?,
        None => ConfigSources::embedded(),
    };
    for variable in FLAGS {
        let words = std::env::var(variable).unwrap_or_default();
        let JvmWords {
            properties,
            ignored,
        } = split_jvm_flags(&words);
        sources.system_properties.extend(properties);
        for word in ignored {
            tracing::info!("{variable}: {word} means nothing here and is ignored");
        }
    }
    for definition in properties {
        let property = split_property(definition)
            .ok_or_else(|| Refusal(format!("-D{definition}: wanted -Dname=value")))?;
        sources.system_properties.push(property);
    }
    let loaded = Config::parse(&sources).map_err(|invalid| Refusal(invalid.to_string()))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

/// Reads the file and those it names.
fn read_sources(path: &Path) -> Result<ConfigSources, Refusal> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Refusal(format!("{}: {error}", path.display())))
    };
    let cfg = read(path)?;
    let pointers = Pointers::parse(&cfg);
    let dynamic = match pointers.dynamic_file {
        Some(file) => Some((file.display().to_string(), read(&file)?)),
        None => None,
    };
    let next_dynamic = dynamic.as_ref().and_then(|_| next_dynamic(path));
    // A standalone server has none; whether one is needed is the parser's to say.
    let myid = pointers
        .data_dir
        .and_then(|dir| std::fs::read(dir.join("myid")).ok());
    Ok(ConfigSources {
        cfg_name: path.display().to_string(),
        cfg,
        dynamic,
        next_dynamic,
        myid,
        system_properties: Vec::new(),
    })
}

/// What a reconfiguration that is not complete leaves beside the file. Source:
/// `QuorumPeerConfig.nextDynamicConfigFileSuffix`.
fn next_dynamic(path: &Path) -> Option<(String, Vec<u8>)> {
    let name = format!("{}.dynamic.next", path.display());
    Some((name.clone(), std::fs::read(name).ok()?))
}

/// Warnings and what matters go to stderr; `RUST_LOG` says otherwise.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Every client is an open file: take as many as the system lets this process have.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

fn banner(config: &Config, server: &Server) {
    let clients = match server.address() {
        Some(address) => address.to_string(),
        None => "none (no clientPort)".into(),
    };
    let data = shown(&config.data_dir);
    let version = env!("CARGO_PKG_VERSION");
    match &config.member {
        None => {
            eprintln!("oxkeeper {version} is serving");
            eprintln!("  mode     standalone");
        }
        Some(own) => {
            let (voters, observers) = (own.ensemble.voters(), own.ensemble.observers());
            eprintln!("oxkeeper {version} is started and looks for its ensemble");
            eprintln!(
                "  mode     server {} of {voters} voters, {observers} observers",
                own.id
            );
        }
    }
    eprintln!("  clients  {clients}");
    if let Some(address) = server.admin_address() {
        eprintln!("  admin    http://{address}{}", config.admin_command_url);
    }
    eprintln!("  data     {data}");
    if config.data_log_dir != config.data_dir {
        eprintln!("  log      {}", shown(&config.data_log_dir));
    }
}

fn shown(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_path_buf())
        .display()
        .to_string()
}
