//! From a host name to a session on a connection.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use jute::proto::{AuthPacket, ConnectFields, ConnectRequest, ConnectResponse};
use jute::{Reader, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::request::Identity;

/// What the client knows of its session when it connects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credentials {
    /// 0 asks for a new session.
    pub id: i64,
    pub password: [u8; 16],
}

/// Connects and asks for the session. The answer may refuse it, with a timeout of 0.
pub(crate) async fn shake_hands(
    address: &(String, u16),
    session: Credentials,
    last_zxid: i64,
    timeout: Duration,
    read_only: bool,
) -> io::Result<(TcpStream, ConnectResponse)> {
    let mut stream = TcpStream::connect((address.0.as_str(), address.1)).await?;
    stream.set_nodelay(true)?;
    let request = ConnectRequest {
        fields: ConnectFields {
            protocol_version: 0,
            last_zxid_seen: last_zxid,
            timeout: timeout.as_millis().try_into().unwrap_or(i32::MAX),
            session_id: session.id,
            password: Some(Bytes::copy_from_slice(&session.password)),
        },
        read_only: Some(read_only),
    };
    let mut out = BytesMut::new();
    Writer::for_file(&mut out).framed(|w| w.put(&request));
    stream.write_all(&out).await?;
    let length = stream.read_i32().await?;
    let answer = match usize::try_from(length) {
        Ok(length @ ANSWER_MIN..=ANSWER_MAX) => {
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await?;
            answer
        }
        _ => return Err(bad(format!("{length} bytes in place of a handshake"))),
    };
    let response = ConnectResponse::read(&mut Reader::new(answer.into(), ANSWER_MAX));
    Ok((stream, response.map_err(|error| bad(error.to_string()))?))
}

/// Whether the server at `address` takes writes; false where it does not answer.
pub(super) async fn is_writable(address: &(String, u16)) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((address.0.as_str(), address.1)).await?;
        stream.write_all(b"isro").await?;
        let mut answer = BytesMut::with_capacity(16).limit(16);
        while stream.read_buf(&mut answer).await? > 0 && answer.has_remaining_mut() {}
        Ok::<_, io::Error>(answer.get_ref()[..] == *b"rw")
    };
    matches!(tokio::time::timeout(PROBE, ask).await, Ok(Ok(true)))
}

impl Identity {
    /// What the server is told.
    pub fn packet(&self) -> AuthPacket {
        AuthPacket {
            kind: 0,
            scheme: Some(self.scheme.as_str().into()),
            auth: self.auth.clone(),
        }
    }
}

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// A handshake without and with the readOnly byte.
const ANSWER_MIN: usize = 36;
const ANSWER_MAX: usize = 37;
/// How long a server has to say whether it takes writes.
const PROBE: Duration = Duration::from_secs(1);
