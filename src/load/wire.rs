//! The little of the client protocol that a generator of load speaks: a session, and framed requests.

use std::time::Duration;

use bytes::BytesMut;
use jute::proto::RequestHeader;
use jute::{Op, OpCode, Writer};
use tokio::net::TcpStream;

use crate::client::{Credentials, shake_hands};

/// Bytes in front of the body of a reply, length included.
pub const HEADER: usize = 20;
/// Bytes of a Stat.
pub const STAT: usize = 68;

/// What a client needs to come back to its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// 0 asks for a new one.
    pub id: i64,
    /// As the server gave it.
    pub password: [u8; 16],
    /// The last transaction that an answer told of; a server that is behind it does not take the session.
    pub zxid: i64,
}

/// Why there is no session on a connection.
#[derive(Debug)]
pub enum Refused {
    /// No connection, or it was closed.
    Io(std::io::Error),
    /// The server says that the session is gone.
    Expired,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Io(error) => error.fmt(f),
            Refused::Expired => f.write_str("the session is gone"),
        }
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Refused::Io(error)
    }
}

/// A session on a connection.
#[derive(Debug)]
pub struct Opened {
    /// The connection; nothing but the handshake was sent and read.
    pub stream: TcpStream,
    /// The session, new or the one that was asked for.
    pub session: Session,
    /// The timeout that the server decided on.
    pub timeout: Duration,
}

/// A connection with a session on it: a new one, or that of `session`.
///
/// # Errors
/// The server does not answer, closes, or has no such session.
pub async fn open(
    target: &(String, u16),
    session: Session,
    timeout: Duration,
) -> Result<Opened, Refused> {
    let known = Credentials {
        id: session.id,
        password: session.password,
    };
    let (stream, response) = shake_hands(target, known, session.zxid, timeout, false).await?;
    if response.timeout <= 0 {
        return Err(Refused::Expired);
    }
    let session = Session {
        id: response.session_id,
        password: response.password,
        zxid: session.zxid,
    };
    Ok(Opened {
        stream,
        session,
        timeout: Duration::from_millis(response.timeout.unsigned_abs().into()),
    })
}

/// A framed request.
pub fn frame(xid: i32, op: Op, body: impl FnOnce(&mut Writer<'_>)) -> BytesMut {
    let mut out = BytesMut::new();
    Writer::for_client(&mut out).framed(|w| {
        w.put(&RequestHeader {
            xid,
            op: OpCode(op as i32),
        });
        body(w);
    });
    out
}

/// A big-endian number; None where `bytes` end before it does.
pub fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_be_bytes(*number))
}
