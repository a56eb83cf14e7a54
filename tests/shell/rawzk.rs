//! A client that knows bytes and nothing else: no pings, no reconnects, no queues.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jute::data::{Acl, Id};
use jute::proto::{
    AuthPacket, ConnectFields, ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest,
    PathRequest, ReplyHeader, RequestHeader, SetDataRequest, WatchableRequest, WatcherEvent,
};
use jute::{Op, OpCode, Reader, Str, Wire, Writer};

/// Far longer than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, with or without a session.
pub struct Client {
    stream: TcpStream,
    /// From the connect response.
    pub session: i64,
    /// From the connect response.
    pub password: Vec<u8>,
}

/// One reply or event.
#[derive(Clone, Debug)]
pub struct Frame {
    pub header: ReplyHeader,
    pub body: Bytes,
}

impl Frame {
    pub fn xid(&self) -> i32 {
        self.header.xid
    }

    pub fn zxid(&self) -> i64 {
        self.header.zxid
    }

    pub fn err(&self) -> i32 {
        self.header.err.0
    }

    pub fn read<T: Wire>(&self) -> T {
        T::read(&mut Reader::new(self.body.clone(), usize::MAX)).unwrap()
    }
}

/// The encoding of a record.
pub fn bytes(record: &impl Wire) -> Vec<u8> {
    let mut out = BytesMut::new();
    Writer::for_client(&mut out).put(record);
    out.to_vec()
}

/// `payload` behind its length.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as i32).to_be_bytes().to_vec();
    out.extend_from_slice(payload);
    out
}

/// A request as a frame.
pub fn request(xid: i32, op: i32, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader {
        xid,
        op: OpCode(op),
    };
    framed(&[&bytes(&header), body].concat())
}

pub fn handshake(
    session: i64,
    password: &[u8],
    last_zxid_seen: i64,
    timeout: i32,
) -> ConnectRequest {
    ConnectRequest {
        fields: ConnectFields {
            protocol_version: 0,
            last_zxid_seen,
            timeout,
            session_id: session,
            password: Some(password.to_vec().into()),
        },
        read_only: Some(false),
    }
}

impl Client {
    /// A bare connection.
    pub fn dial(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client {
            stream,
            session: 0,
            password: vec![0; 16],
        }
    }

    /// A new session of 40 s, or as near as the server lets.
    pub fn open(address: SocketAddr) -> Client {
        Client::open_for(address, 40_000)
    }

    pub fn open_for(address: SocketAddr, timeout: i32) -> Client {
        let mut client = Client::dial(address);
        let response = client.shake(&handshake(0, &[0; 16], 0, timeout));
        assert!(
            response.as_ref().is_some_and(|r| r.timeout > 0),
            "{response:?}"
        );
        client
    }

    /// Handshakes; None if the server closes without a word.
    pub fn shake(&mut self, request: &ConnectRequest) -> Option<ConnectResponse> {
        self.try_send(&framed(&bytes(request)));
        let payload = self.payload()?;
        // The response has its last byte only where the request had it.
        let mut fields = Reader::new(payload, usize::MAX);
        fields.i32().unwrap();
        let (timeout, session_id) = (fields.i32().unwrap(), fields.i64().unwrap());
        let password = fields.buffer().unwrap().unwrap();
        self.session = session_id;
        self.password = password.to_vec();
        Some(ConnectResponse {
            timeout,
            session_id,
            password: password[..].try_into().unwrap(),
            read_only: (fields.left() > 0).then(|| fields.bool().unwrap()),
        })
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what the server may not want to hear any more.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub fn hang_up(&mut self, how: Shutdown) {
        self.stream.shutdown(how).unwrap();
    }

    /// The next frame without its length; None if the server closed the connection.
    pub fn payload(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.fill(&mut payload)?;
        Some(payload.into())
    }

    fn fill(&mut self, into: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(into) {
            Ok(()) => Some(()),
            Err(error) => match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    None
                }
                _ => panic!("{error}"),
            },
        }
    }

    /// The next reply or event; None if the server closed the connection.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut reader = Reader::new(self.payload()?, usize::MAX);
        let header = ReplyHeader::read(&mut reader).unwrap();
        let body = reader.take_rest();
        Some(Frame { header, body })
    }

    /// Everything up to the end, as text: the answer to a four-letter word.
    pub fn text(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The server says nothing and closes.
    pub fn assert_closed(&mut self) {
        assert!(self.payload().is_none(), "not closed");
    }

    /// One request and its reply.
    pub fn call(&mut self, op: Op, body: &impl Wire) -> Frame {
        self.send(&request(1, op as i32, &bytes(body)));
        let frame = self.frame().expect("closed instead of an answer");
        assert_eq!(frame.xid(), 1);
        frame
    }

    pub fn create(&mut self, path: &str, data: &[u8], flags: i32) -> Frame {
        self.call(Op::Create, &create(path, data, flags))
    }

    pub fn delete(&mut self, path: &str) -> Frame {
        let path = Some(Str::from(path));
        self.call(Op::Delete, &DeleteRequest { path, version: -1 })
    }

    pub fn exists(&mut self, path: &str, watch: bool) -> bool {
        let frame = self.call(Op::Exists, &watchable(path, watch));
        assert!([0, -101].contains(&frame.err()), "{frame:?}");
        frame.err() == 0
    }

    pub fn get(&mut self, path: &str) -> Frame {
        self.call(Op::GetData, &watchable(path, false))
    }

    pub fn auth(&mut self, user: &str) {
        let frame = self.call(Op::Auth, &auth("digest", user));
        assert_eq!(frame.err(), 0);
    }

    /// A ping and its answer.
    pub fn ping(&mut self) {
        self.send(&request(-2, Op::Ping as i32, &[]));
        assert_eq!(self.frame().map(|frame| frame.xid()), Some(-2));
    }

    /// Waits for one event: kind and path.
    pub fn event(&mut self) -> (i32, String) {
        let frame = self.frame().expect("closed instead of an event");
        assert_eq!(frame.xid(), -1, "{frame:?}");
        let event: WatcherEvent = frame.read();
        (event.kind, event.path.unwrap().to_string())
    }
}

pub fn create(path: &str, data: &[u8], flags: i32) -> CreateRequest {
    CreateRequest {
        path: Some(path.into()),
        data: Some(data.to_vec().into()),
        acl: Some(vec![Acl {
            perms: 31,
            id: Id {
                scheme: Some("world".into()),
                id: Some("anyone".into()),
            },
        }]),
        flags,
    }
}

pub fn set(path: &str, data: &[u8]) -> SetDataRequest {
    SetDataRequest {
        path: Some(path.into()),
        data: Some(data.to_vec().into()),
        version: -1,
    }
}

pub fn watchable(path: &str, watch: bool) -> WatchableRequest {
    let path = Some(path.into());
    WatchableRequest { path, watch }
}

pub fn path(path: &str) -> PathRequest {
    let path = Some(path.into());
    PathRequest { path }
}

pub fn auth(scheme: &str, auth: &str) -> AuthPacket {
    AuthPacket {
        kind: 0,
        scheme: Some(scheme.into()),
        auth: Some(auth.as_bytes().to_vec().into()),
    }
}
