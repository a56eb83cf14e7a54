//! Where log lines go, and which: human or JSON on stderr, a level that can be changed while the server runs, and the
//! audit log in the same place or in a file of its own.
//!
//! ```text
//!   event -- target audit::LOGGER? -- yes --> its file, or stderr where there is none; no level holds it back
//!                                  -- no ---> level filter (set_level) --> stderr, human or JSON
//! ```

mod rolling;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, filter, fmt, reload};

use self::rolling::RollingFile;
use crate::audit;

/// What lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for a person.
    #[default]
    Human,
    /// One JSON object per line: `timestamp`, `level`, `target`, `message`.
    Json,
}

impl Format {
    /// The format of that name, in any case.
    pub fn named(name: &str) -> Option<Format> {
        clap::ValueEnum::from_str(name, true).ok()
    }
}

/// The level means nothing.
#[derive(Debug, thiserror::Error)]
pub enum LevelError {
    /// It is no level and no list of them.
    #[error(
        "{0:?} is no log level: say off, error, warn, info, debug or trace, \
         or targets with levels, such as info,oxkeeper::zab=debug ({1})"
    )]
    Unknown(String, String),
    /// Nothing is logged in this process.
    #[error("logging was not started by this process, so its level cannot be changed")]
    NotStarted,
}

/// The level where nobody says otherwise.
const DEFAULT_LEVEL: &str = "info";

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

static LEVEL: OnceLock<(Reload, Mutex<String>)> = OnceLock::new();
static AUDIT_FILE: OnceLock<Mutex<RollingFile>> = OnceLock::new();

/// Starts logging to stderr. `level` goes before the environment's `RUST_LOG`.
///
/// # Errors
/// The level means nothing, or something in this process logs already.
pub fn start(format: Format, level: Option<&str>) -> Result<(), String> {
    let from_environment = std::env::var("RUST_LOG").ok();
    let level = level.map(str::to_owned).or(from_environment);
    let level = level
        .filter(|level| !level.trim().is_empty())
        .unwrap_or_else(|| DEFAULT_LEVEL.to_owned());
    let parsed = parse(&level).map_err(|error| error.to_string())?;
    let (level_filter, handle) = reload::Layer::new(parsed);
    // With hints, what nobody wants to hear costs nothing where it is said.
    let ours = filter::filter_fn(|meta| meta.target() != audit::LOGGER)
        .with_max_level_hint(LevelFilter::TRACE);
    let unfiled = filter::dynamic_filter_fn(|meta, _| {
        meta.target() == audit::LOGGER && AUDIT_FILE.get().is_none()
    })
    .with_max_level_hint(LevelFilter::INFO);
    let filed = filter::dynamic_filter_fn(|meta, _| {
        meta.target() == audit::LOGGER && AUDIT_FILE.get().is_some()
    })
    .with_max_level_hint(LevelFilter::INFO);
    let started: Result<(), TryInitError> = {
        use tracing_subscriber::filter::FilterExt;
        tracing_subscriber::registry()
            .with(stderr(format, false).with_filter(level_filter.and(ours)))
            .with(stderr(format, true).with_filter(unfiled))
            .with(AuditFile.with_filter(filed))
            .try_init()
    };
    started.map_err(|error| error.to_string())?;
    let reload: Reload = Box::new(move |filter| handle.reload(filter));
    let _ = LEVEL.set((reload, Mutex::new(level)));
    Ok(())
}

fn stderr<S>(format: Format, with_target: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Human => layer
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(with_target)
            .boxed(),
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    }
}

fn parse(level: &str) -> Result<EnvFilter, LevelError> {
    let known = |level: &str| {
        EnvFilter::builder()
            .parse(level.trim().to_ascii_lowercase())
            .map_err(|error| LevelError::Unknown(level.to_owned(), error.to_string()))
    };
    // A word that is no level is a target to the parser, which then hides everything else.
    let words = level.split(',').map(str::trim);
    let is_target = |word: &&str| !word.contains(['=', '[', ':']) && !is_level(word);
    match words.filter(|word| !word.is_empty()).find(is_target) {
        Some(word) => Err(LevelError::Unknown(
            level.to_owned(),
            format!("{word}: no level"),
        )),
        None => known(level),
    }
}

fn is_level(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["off", "error", "warn", "info", "debug", "trace"].contains(&&*word)
}

/// From now on what is logged is what `level` says: a level, or targets with levels, separated by commas. Gives back
/// what was in force before. The audit log has no level.
///
/// # Errors
/// The level means nothing; nothing is changed then.
pub fn set_level(level: &str) -> Result<String, LevelError> {
    let parsed = parse(level)?;
    let (reload, current) = LEVEL.get().ok_or(LevelError::NotStarted)?;
    let mut current = current
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    reload(parsed).map_err(|_| LevelError::NotStarted)?;
    Ok(std::mem::replace(&mut current, level.trim().to_owned()))
}

/// What is logged now; None where logging was not started.
pub fn level() -> Option<String> {
    let (_, current) = LEVEL.get()?;
    let current = current
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Some(current.clone())
}

/// From now on the audit log goes to the file at `path`, which is begun anew at `limit_bytes`; up to `backups` older
/// ones are kept as `path.1`, `path.2` and so on.
///
/// # Errors
/// The file cannot be opened for writing.
pub fn audit_to(path: &Path, limit_bytes: u64, backups: u32) -> std::io::Result<()> {
    let file = RollingFile::open(path, limit_bytes, backups)?;
    // Once is enough for a process.
    let _ = AUDIT_FILE.set(Mutex::new(file));
    Ok(())
}

/// Writes the audit log's own file. A line that cannot be written goes to stderr.
struct AuditFile;

impl<S: Subscriber> Layer<S> for AuditFile {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(file) = AUDIT_FILE.get() else { return };
        let mut message = Message(String::new());
        event.record(&mut message);
        let line = audit_line(&now(), *event.metadata().level(), &message.0);
        let mut file = file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = file.write(line.as_bytes()) {
            eprint!("the audit log cannot be written ({error}), make room for it: {line}");
        }
    }
}

/// As Java's `logback.xml` suggests it: `%d{ISO8601} %p %c{2}: %m%n`.
fn audit_line(time: &str, level: tracing::Level, message: &str) -> String {
    format!("{time} {level} o.a.z.a.Slf4jAuditLogger: {message}\n")
}

/// Like `2026-11-21 20:15:12,345`, UTC.
fn now() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    // The subscriber's own form: 2026-11-21T20:15:12.345678Z.
    let whole = text.get(..19).unwrap_or(&text).replace('T', " ");
    let millis = text.get(20..23).unwrap_or("000");
    format!("{whole},{millis}")
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_word_or_a_list_of_targets() {
        for good in [
            "warn",
            "INFO",
            "off",
            " debug ",
            "info,oxkeeper::zab=debug",
            "oxkeeper::zab=trace",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["loud", "info,loud", "oxkeeper::zab=loud"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("is no log level"), "{error}");
        }
    }

    #[test]
    fn a_level_cannot_be_changed_where_nothing_is_logged() {
        assert!(matches!(set_level("loud"), Err(LevelError::Unknown(..))));
    }

    #[test]
    fn a_line_of_the_audit_file_is_laid_out_as_javas() {
        let line = audit_line("2026-01-02 03:04:05,006", tracing::Level::ERROR, "a=b\tc=d");
        assert_eq!(
            line,
            "2026-01-02 03:04:05,006 ERROR o.a.z.a.Slf4jAuditLogger: a=b\tc=d\n"
        );
        let now = now();
        assert_eq!(now.len(), 23, "{now}");
        assert_eq!(
            [&now[10..11], &now[19..20], &now[4..5]],
            [" ", ",", "-"],
            "{now}"
        );
    }
}
