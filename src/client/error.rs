//! Why an operation has no answer.

use jute::{DecodeError, ErrorCode};

use super::codes::code_text;
use super::path::PathError;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server's answer. Never one of the codes that have a variant of their own.
    #[error("{}", code_text(*.0))]
    Server(ErrorCode),
    /// The connection ended before the answer came: a write may or may not have happened.
    #[error("the connection to the server was lost")]
    ConnectionLoss,
    /// The session is gone, and its ephemeral znodes with it.
    #[error("the session has expired")]
    SessionExpired,
    /// The server refused an identity; the session is of no more use.
    #[error("authentication failed")]
    AuthFailed,
    /// The session was closed from here.
    #[error("the session is closed")]
    Closed,
    /// No server could be reached in the time given.
    #[error("no server of {0} answered in time")]
    NoServer(String),
    /// The answer does not decode.
    #[error("the server's answer does not decode: {0}")]
    BadReply(DecodeError),
    /// The path was not sent, because no server would take it.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The list of servers says nothing.
    #[error(transparent)]
    Servers(#[from] super::servers::ServersError),
}

impl Error {
    /// The result code that Java's client has for it; codes of the client's own included.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Server(code) => *code,
            Error::ConnectionLoss | Error::NoServer(_) => ErrorCode::CONNECTION_LOSS,
            Error::SessionExpired | Error::Closed => ErrorCode::SESSION_EXPIRED,
            Error::AuthFailed => ErrorCode::AUTH_FAILED,
            Error::BadReply(_) => ErrorCode::MARSHALLING_ERROR,
            Error::Path(_) | Error::Servers(_) => ErrorCode::BAD_ARGUMENTS,
        }
    }

    /// A failure by the code in a reply's header.
    pub(super) fn of(code: ErrorCode) -> Error {
        match code {
            ErrorCode::SESSION_EXPIRED => Error::SessionExpired,
            ErrorCode::AUTH_FAILED => Error::AuthFailed,
            code => Error::Server(code),
        }
    }
}
