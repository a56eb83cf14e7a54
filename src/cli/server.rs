//! `oxkeeper server`: read the configuration, start, say so, serve.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::notify;
use crate::audit::{Event, Verdict};
use crate::config::jvm::{JvmWords, split_jvm_flags, split_property};
use crate::config::{Config, ConfigSources, Pointers};
use crate::logging::{self, Format};
use crate::runtime::{Asked, Server, StartError, os_user};

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

/// What `oxkeeper server` is told.
#[derive(Debug, Default, clap::Args)]
pub struct ServerArgs {
    /// A Java system property: -Dname=value. Also read from the -D words of JVMFLAGS and SERVER_JVMFLAGS.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// What is logged: off, error, warn, info, debug or trace, or targets with levels, such as
    /// info,oxkeeper::zab=debug. Goes before RUST_LOG; can be changed while the server runs.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// What log lines look like. Also read from OXKEEPER_LOG_FORMAT.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// The configuration file; without one, embedded defaults.
    #[arg(value_name = "zoo.cfg")]
    config: Option<PathBuf>,
}

/// Runs a server until it is told to stop.
pub fn run(args: &ServerArgs) -> ExitCode {
    if let Err(text) = start_logging(args) {
        eprintln!("oxkeeper: not started: {text}");
        return ExitCode::from(exit::INVALID_INVOCATION);
    }
    let (properties, config) = (&args.properties, args.config.as_deref());
    let loaded = match load(properties, config) {
        Ok(config) => Arc::new(config),
        Err(Refusal(text)) => {
            eprintln!("Invalid config, exiting abnormally\n{text}");
            return ExitCode::from(exit::INVALID_INVOCATION);
        }
    };
    if let Err(text) = open_audit_file(&loaded) {
        return fail(exit::DATA_FOLDER, &text);
    }
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::UNEXPECTED, &format!("no runtime: {error}")),
    };
    runtime.block_on(async {
        let asked = match Asked::listen() {
            Ok(asked) => asked,
            Err(error) => return fail(exit::UNEXPECTED, &format!("no signals: {error}")),
        };
        let server = match Server::start(loaded.clone()).await {
            Ok(server) => server,
            Err(error) => {
                tell_start(loaded.audit.enabled, Verdict::Failure);
                return fail(code_of(&error), &error.to_string());
            }
        };
        tell_start(loaded.audit.enabled, Verdict::Success);
        banner(&loaded, &server);
        notify::ready(&match &loaded.member {
            None => "serving, standalone".to_owned(),
            Some(own) => format!("server {} of its ensemble", own.id),
        });
        server.run(asked).await;
        ExitCode::SUCCESS
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
        StartError::Bind(_)
        | StartError::Metrics(_)
        | StartError::Address(..)
        | StartError::System(_) => exit::UNEXPECTED,
    }
}

/// Why the configuration cannot be used, for a person.
pub(super) struct Refusal(pub String);

fn load(properties: &[String], config: Option<&Path>) -> Result<Config, Refusal> {
    let sources = sources(properties, config)?;
    let loaded = Config::parse(&sources).map_err(|invalid| {
        tell_start(sources.wants_audit(), Verdict::Failure);
        Refusal(invalid.to_string())
    })?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

/// Everything a configuration is made of: the file and those it names, and -D words.
pub(super) fn sources(
    properties: &[String],
    config: Option<&Path>,
) -> Result<ConfigSources, Refusal> {
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
    Ok(sources)
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
        embedded: false,
    })
}

/// What a reconfiguration that is not complete leaves beside the file. Source:
/// `QuorumPeerConfig.nextDynamicConfigFileSuffix`.
fn next_dynamic(path: &Path) -> Option<(String, Vec<u8>)> {
    let name = format!("{}.dynamic.next", path.display());
    Some((name.clone(), std::fs::read(name).ok()?))
}

/// Logging begins before anything else, so that everything can be said.
fn start_logging(args: &ServerArgs) -> Result<(), String> {
    let format = match (args.log_format, std::env::var("OXKEEPER_LOG_FORMAT")) {
        (Some(format), _) => format,
        (None, Ok(name)) if !name.is_empty() => Format::named(&name)
            .ok_or_else(|| format!("OXKEEPER_LOG_FORMAT={name}: must be human or json"))?,
        _ => Format::default(),
    };
    logging::start(format, args.log_level.as_deref())
}

fn open_audit_file(config: &Config) -> Result<(), String> {
    let log = &config.audit;
    let Some(path) = log.file.as_ref().filter(|_| log.enabled) else {
        return Ok(());
    };
    let opened = logging::audit_to(path, log.limit_bytes, log.backups);
    opened.map_err(|error| {
        format!(
            "the audit log {} cannot be opened: {error}; make its folder, or change auditlog.file",
            path.display()
        )
    })
}

/// Source: `ZKAuditProvider.addZKStartStopAuditLog`, `addServerStartFailureAuditLog`.
fn tell_start(audits: bool, how: Verdict) {
    if audits {
        Event::server_start(&os_user::name().into(), how).tell();
    }
}

/// Every client is an open file: take as many as the system lets this process have.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::warn!(
            "the limit of open files stays as it is: {error}; if more clients come than it allows, raise it \
             before the start (ulimit -n)"
        );
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
    if let Some(address) = server.metrics_address() {
        eprintln!("  metrics  http://{address}/metrics");
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
