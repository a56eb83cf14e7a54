//! The little of the client protocol that the benchmarks speak: a session, and framed requests.

use bytes::BytesMut;
use jute::proto::{ConnectFields, ConnectRequest, RequestHeader};
use jute::{Op, OpCode, Str, Writer};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes in front of the body of a reply, length included.
pub const HEADER: usize = 16;
/// Bytes of a Stat.
pub const STAT: usize = 68;

/// What a client needs to come back to its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// 0 asks for a new one.
    pub id: i64,
    /// As the server gave it.
    pub password: [u8; 16],
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

/// A connection with a session on it: a new one, or that of `session`.
///
/// # Errors
/// The server does not answer, closes, or has no such session.
pub async fn open(target: SocketAddr, session: Session) -> Result<(TcpStream, Session), Refused> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let request = ConnectRequest {
        fields: ConnectFields {
            timeout: 30_000,
            session_id: session.id,
            password: Some(session.password.to_vec().into()),
            ..ConnectFields::default()
        },
        read_only: Some(false),
    };
    let mut out = BytesMut::new();
    Writer::for_client(&mut out).framed(|w| w.put(&request));
    stream.write_all(&out).await?;
    // Length, protocol version, timeout, session, length of the password and the password, flag.
    let mut reply = [0; 41];
    stream.read_exact(&mut reply).await?;
    if i32_at(&reply, 8) <= 0 {
        return Err(Refused::Expired);
    }
    let (mut id, mut password) = ([0; 8], [0; 16]);
    id.copy_from_slice(&reply[12..20]);
    password.copy_from_slice(&reply[24..40]);
    let id = i64::from_be_bytes(id);
    Ok((stream, Session { id, password }))
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

/// A string of the protocol.
pub fn text(text: &'static str) -> Option<Str> {
    Some(Str::from_static(text))
}

/// A big-endian number.
///
/// # Panics
/// If it does not stand in `bytes` whole.
pub fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
