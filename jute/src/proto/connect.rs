//! The handshake.

use crate::record::records;
use crate::{Buffer, Cause, DecodeError, Reader, Wire, Writer};

records! {
    /// First frame of a client, without the optional readOnly byte.
    ConnectFields {
        /// Sent as 0, ignored.
        protocol_version: i32,
        /// Highest zxid the client has seen in a reply.
        last_zxid_seen: i64,
        /// Wanted session timeout in ms.
        timeout: i32,
        /// 0 for a new session.
        session_id: i64,
        /// Password of the session to resume.
        password: Buffer,
    }
}

/// First frame of a client. Source: `zookeeper.jute`, `ConnectRequest`; `ProtocolManager`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The fields every client sends.
    pub fields: ConnectFields,
    /// None from clients up to 3.3, which do not send the byte. The response has it exactly when the request has.
    pub read_only: Option<bool>,
}

impl Wire for ConnectRequest {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        let fields = Wire::read(r)?;
        let read_only = match r.bool() {
            Ok(flag) => Some(flag),
            Err(DecodeError {
                cause: Cause::Truncated { .. },
                ..
            }) => None,
            Err(error) => return Err(error),
        };
        Ok(ConnectRequest { fields, read_only })
    }
    fn write(&self, w: &mut Writer<'_>) {
        self.fields.write(w);
        if let Some(flag) = self.read_only {
            w.bool(flag);
        }
    }
    fn size(&self) -> usize {
        self.fields.size() + usize::from(self.read_only.is_some())
    }
}

/// Answer to [`ConnectRequest`]. Source: `zookeeper.jute`, `ConnectResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Negotiated session timeout in ms; 0 refuses the session.
    pub timeout: i32,
    /// The session, 0 when refused.
    pub session_id: i64,
    /// Always 16 bytes: the C client reads them at fixed offsets.
    pub password: [u8; 16],
    /// Present exactly when the request had the byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to a session that is unknown, expired or not the client's.
    pub fn refusal(read_only: Option<bool>) -> Self {
        ConnectResponse {
            timeout: 0,
            session_id: 0,
            password: [0; 16],
            read_only,
        }
    }

    /// Decodes an answer, for clients. A password of any other length than 16 bytes is refused.
    ///
    /// # Errors
    /// Bytes that do not decode.
    pub fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i32()?;
        let (timeout, session_id, password) = (r.i32()?, r.i64()?, r.buffer()?);
        let length = password.as_ref().map_or(-1, |bytes| bytes.len() as i32);
        let password = password.as_deref().and_then(|bytes| bytes.try_into().ok());
        Ok(ConnectResponse {
            timeout,
            session_id,
            password: password.ok_or_else(|| {
                DecodeError::from(Cause::Unknown(length)).within("ConnectResponse", "password")
            })?,
            read_only: match r.left() {
                0 => None,
                _ => Some(r.bool()?),
            },
        })
    }

    /// Appends the response, protocol version 0 first.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.i32(0);
        w.i32(self.timeout);
        w.i64(self.session_id);
        w.buffer(Some(&self.password));
        if let Some(flag) = self.read_only {
            w.bool(flag);
        }
    }
}
