//! Why a command failed: what is said, and the exit code.

use jute::ErrorCode;

use crate::client::{Error, code_text};

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For standard error.
    pub text: String,
    /// What a shell with only this command ends with.
    pub code: u8,
}

/// Source: `CliException.DEFAULT_EXCEPTION_EXIT_CODE`.
const FAILED: u8 = 1;
/// Source: `CommandNotFoundException`.
const NOT_FOUND: u8 = 127;

impl Failure {
    /// A failure that says `text`.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: FAILED,
        }
    }

    /// There is no such command.
    pub fn unknown_command(name: &str) -> Failure {
        Failure {
            text: format!("Command not found: Command not found {name}"),
            code: NOT_FOUND,
        }
    }

    /// An operation on `path` failed. Source: `CliWrapperException.getMessage`.
    pub fn of(error: &Error, path: &str) -> Failure {
        let text = match error.code() {
            _ if matches!(error, Error::Path(_) | Error::Servers(_)) => error.to_string(),
            ErrorCode::NO_NODE => format!("Node does not exist: {path}"),
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS => {
                format!("Ephemerals cannot have children: {path}")
            }
            ErrorCode::NODE_EXISTS => format!("Node already exists: {path}"),
            ErrorCode::NOT_EMPTY => format!("Node not empty: {path}"),
            ErrorCode::NOT_READ_ONLY => format!("Not a read-only call: {path}"),
            ErrorCode::INVALID_ACL => format!("Acl is not valid : {path}"),
            ErrorCode::NO_AUTH => format!("Insufficient permission : {path}"),
            ErrorCode::BAD_ARGUMENTS => format!("Arguments are not valid : {path}"),
            ErrorCode::BAD_VERSION => format!("version No is not valid : {path}"),
            ErrorCode::RECONFIG_IN_PROGRESS => RECONFIG_IN_PROGRESS.into(),
            ErrorCode::NEW_CONFIG_NO_QUORUM => NEW_CONFIG_NO_QUORUM.into(),
            ErrorCode::QUOTA_EXCEEDED => format!("Quota has exceeded : {path}"),
            _ => message(error, path),
        };
        Failure::new(text)
    }
}

/// What Java's exception says. Source: `KeeperException.getMessage`.
pub fn message(error: &Error, path: &str) -> String {
    if let Error::BadReply(_) = error {
        return error.to_string();
    }
    let text = code_text(error.code());
    match path {
        "" => format!("KeeperErrorCode = {text}"),
        path => format!("KeeperErrorCode = {text} for {path}"),
    }
}

const RECONFIG_IN_PROGRESS: &str =
    "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)";
/// With Java's own spelling.
const NEW_CONFIG_NO_QUORUM: &str = "No quorum of new config is connected and up-to-date with the leader of last \
    commmitted config - try invoking reconfiguration after new servers are connected and synced";

/// The path of an operation goes with its failure.
pub trait OnPath<T> {
    /// Names the path in the failure's text.
    ///
    /// # Errors
    /// The failure, if it is one.
    fn on(self, path: &str) -> Result<T, Failure>;
}

impl<T> OnPath<T> for Result<T, Error> {
    fn on(self, path: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(&error, path))
    }
}
