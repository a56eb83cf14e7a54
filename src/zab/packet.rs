//! Packets of the quorum port, one enum for each direction.
//!
//! ```text
//!   bytes of a link --- take_packet ---> QuorumPacket --- FromLeader::decode ----> a learner
//!                                                     --- FromLearner::decode ---> the leader
//! ```
//!
//! A type that only the other side may send does not decode, so no phase has to think of it. Fields that a type does
//! not use are not looked at when decoding, as in Java, and hold Java's values when encoding. The transaction of a
//! PROPOSAL or INFORM stays as bytes: it is written to the log as it came.
//! Source: `Leader` (types), `LearnerHandler.run`, `Learner`, `zookeeper.jute` module `server.quorum`.

use bytes::{Buf, Bytes, BytesMut};
use jute::data::Id;
use jute::quorum::QuorumPacket;
use jute::{Buffer, Cause, DecodeError, OpCode, Reader, Wire, Writer};

use super::error::LinkError;
use crate::base::{Epoch, ServerId, SessionId, Zxid};

/// The learner protocol that every server since 3.4 speaks.
/// Source: `Learner.registerWithLeader`, `LearnerHandler`.
pub const PROTOCOL_VERSION: i32 = 0x10000;

/// Identities that one forwarded request may carry. Java has no bound.
pub const AUTH_IDS_MAX: usize = 8192;

/// What a leader, or an observer master, says to a learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLeader {
    /// Log this and acknowledge it.
    Proposal {
        /// Its place in the order.
        zxid: Zxid,
        /// Header, record and digest, as the log keeps them.
        txn: Bytes,
    },
    /// Everything up to here is agreed.
    Commit(Zxid),
    /// Are you there, and which sessions did you hear from?
    Ping {
        /// The leader's last proposal.
        last_proposed: Zxid,
    },
    /// Answer to [`FromLearner::Revalidate`].
    Revalidated {
        /// The session that was asked about.
        session: SessionId,
        /// Whether it lives and now belongs to the learner.
        valid: bool,
    },
    /// The oldest sync of this learner is complete once everything before this packet is applied.
    Sync,
    /// To an observer: log and apply this, it is agreed.
    Inform {
        /// Its place in the order.
        zxid: Zxid,
        /// As in a proposal.
        txn: Bytes,
    },
    /// Commit of a reconfiguration.
    CommitAndActivate {
        /// What is committed.
        zxid: Zxid,
        /// Who leads from now on.
        leader: ServerId,
    },
    /// The end of the initial history; to be acknowledged once all of it is durable.
    NewLeader {
        /// The epoch's marker.
        zxid: Zxid,
        /// Text of the leader's last-seen configuration; null from leaders before 3.5.
        config: Buffer,
    },
    /// The epoch is established: serve.
    UpToDate,
    /// Keep your history; what you miss follows.
    Diff(Zxid),
    /// Forget everything after this position; what you miss follows.
    Trunc(Zxid),
    /// Forget everything; a snapshot, not framed, follows this packet.
    Snap(Zxid),
    /// The epoch that a quorum agreed on.
    LeaderInfo {
        /// The new epoch.
        epoch: Epoch,
        /// [`PROTOCOL_VERSION`].
        protocol_version: i32,
    },
    /// To an observer: a reconfiguration was committed.
    InformAndActivate {
        /// Its place in the order.
        zxid: Zxid,
        /// Who leads from now on.
        leader: ServerId,
        /// As in a proposal.
        txn: Bytes,
    },
}

/// What a learner says to its leader, or to its observer master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLearner {
    /// A client's request that the leader has to order.
    Request(Forwarded),
    /// Everything up to here is durable.
    Ack(Zxid),
    /// Answer to a ping.
    Ping {
        /// The zxid of the ping.
        last_proposed: Zxid,
        /// Sessions heard from since the last ping.
        touched: Vec<Touch>,
    },
    /// Does this session, which a client brought along, live?
    Revalidate(Touch),
    /// Registration of a voter, or of a server that is in no configuration.
    FollowerInfo(Registration),
    /// Registration of an observer.
    ObserverInfo(Registration),
    /// The learner will accept no lower epoch any more.
    AckEpoch {
        /// Where its history ends.
        last: Zxid,
        /// Its current epoch; None where the answer must not be counted.
        current_epoch: Option<Epoch>,
    },
}

/// A request on its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Whose.
    pub session: SessionId,
    /// The client's number for it.
    pub cxid: i32,
    /// What is asked for.
    pub op: OpCode,
    /// The request record as the client sent it; may be empty.
    pub body: Bytes,
    /// Who the client is; null for createSession.
    pub auth_info: Option<Vec<Id>>,
}

/// A session and its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Which session.
    pub session: SessionId,
    /// Negotiated timeout in ms.
    pub timeout_ms: i32,
}

/// First words of a learner. Older versions said less, so everything but the epoch may be missing; a field is only
/// there if those before it are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The highest epoch it accepted.
    pub accepted_epoch: Epoch,
    /// Who it is.
    pub server: Option<ServerId>,
    /// [`PROTOCOL_VERSION`].
    pub protocol_version: Option<i32>,
    /// Version of its committed configuration.
    pub config_version: Option<i64>,
}

impl FromLeader {
    /// Reads a packet that came from a leader.
    ///
    /// # Errors
    /// [`LinkError::WrongWay`], [`LinkError::UnknownPacket`], [`LinkError::NoData`], [`LinkError::Malformed`].
    pub fn decode(packet: QuorumPacket) -> Result<Self, LinkError> {
        let zxid = Zxid(packet.zxid);
        Ok(match Kind::of(packet.kind)? {
            Kind::Proposal => FromLeader::Proposal {
                zxid,
                txn: data(packet)?,
            },
            Kind::Commit => FromLeader::Commit(zxid),
            Kind::Ping => FromLeader::Ping {
                last_proposed: zxid,
            },
            Kind::Revalidate => {
                let mut r = reader(packet)?;
                FromLeader::Revalidated {
                    session: SessionId(r.i64()?),
                    valid: r.bool()?,
                }
            }
            Kind::Sync => FromLeader::Sync,
            Kind::Inform => FromLeader::Inform {
                zxid,
                txn: data(packet)?,
            },
            Kind::CommitAndActivate => FromLeader::CommitAndActivate {
                zxid,
                leader: ServerId(reader(packet)?.i64()?),
            },
            Kind::NewLeader => FromLeader::NewLeader {
                zxid,
                config: packet.data,
            },
            Kind::UpToDate => FromLeader::UpToDate,
            Kind::Diff => FromLeader::Diff(zxid),
            Kind::Trunc => FromLeader::Trunc(zxid),
            Kind::Snap => FromLeader::Snap(zxid),
            Kind::LeaderInfo => FromLeader::LeaderInfo {
                epoch: zxid.epoch(),
                protocol_version: reader(packet)?.i32()?,
            },
            Kind::InformAndActivate => {
                let mut r = reader(packet)?;
                FromLeader::InformAndActivate {
                    zxid,
                    leader: ServerId(r.i64()?),
                    txn: r.take_rest(),
                }
            }
            Kind::Request
            | Kind::Ack
            | Kind::FollowerInfo
            | Kind::ObserverInfo
            | Kind::AckEpoch => return Err(LinkError::WrongWay(packet.kind)),
        })
    }

    /// The packet as Java's leader writes it.
    pub fn encode(self) -> QuorumPacket {
        match self {
            FromLeader::Proposal { zxid, txn } => packet(Kind::Proposal, zxid, Some(txn)),
            FromLeader::Commit(zxid) => packet(Kind::Commit, zxid, None),
            FromLeader::Ping { last_proposed } => packet(Kind::Ping, last_proposed, None),
            FromLeader::Revalidated { session, valid } => {
                let body = written(|w| {
                    w.i64(session.0);
                    w.bool(valid);
                });
                packet(Kind::Revalidate, NO_ZXID, Some(body))
            }
            FromLeader::Sync => packet(Kind::Sync, Zxid::ZERO, None),
            FromLeader::Inform { zxid, txn } => packet(Kind::Inform, zxid, Some(txn)),
            FromLeader::CommitAndActivate { zxid, leader } => {
                let body = written(|w| w.i64(leader.0));
                packet(Kind::CommitAndActivate, zxid, Some(body))
            }
            FromLeader::NewLeader { zxid, config } => packet(Kind::NewLeader, zxid, config),
            FromLeader::UpToDate => packet(Kind::UpToDate, NO_ZXID, None),
            FromLeader::Diff(zxid) => packet(Kind::Diff, zxid, None),
            FromLeader::Trunc(zxid) => packet(Kind::Trunc, zxid, None),
            FromLeader::Snap(zxid) => packet(Kind::Snap, zxid, None),
            FromLeader::LeaderInfo {
                epoch,
                protocol_version,
            } => {
                let body = written(|w| w.i32(protocol_version));
                packet(Kind::LeaderInfo, Zxid::first_of(epoch), Some(body))
            }
            FromLeader::InformAndActivate { zxid, leader, txn } => {
                let mut body = BytesMut::with_capacity(8 + txn.len());
                Writer::for_file(&mut body).i64(leader.0);
                body.extend_from_slice(&txn);
                packet(Kind::InformAndActivate, zxid, Some(body.freeze()))
            }
        }
    }
}

impl FromLearner {
    /// Reads a packet that came from a learner.
    ///
    /// # Errors
    /// [`LinkError::WrongWay`], [`LinkError::UnknownPacket`], [`LinkError::NoData`], [`LinkError::Malformed`].
    pub fn decode(packet: QuorumPacket) -> Result<Self, LinkError> {
        let zxid = Zxid(packet.zxid);
        Ok(match Kind::of(packet.kind)? {
            Kind::Request => FromLearner::Request(Forwarded::decode(packet)?),
            Kind::Ack => FromLearner::Ack(zxid),
            Kind::Ping => FromLearner::Ping {
                last_proposed: zxid,
                touched: Touch::list(packet)?,
            },
            Kind::Revalidate => FromLearner::Revalidate(Touch::read(&mut reader(packet)?)?),
            Kind::FollowerInfo => FromLearner::FollowerInfo(Registration::decode(packet)?),
            Kind::ObserverInfo => FromLearner::ObserverInfo(Registration::decode(packet)?),
            Kind::AckEpoch => {
                let epoch = reader(packet)?.i32()?;
                FromLearner::AckEpoch {
                    last: zxid,
                    current_epoch: (epoch != NOT_COUNTED).then_some(Epoch(epoch.into())),
                }
            }
            Kind::Proposal
            | Kind::Commit
            | Kind::Sync
            | Kind::Inform
            | Kind::CommitAndActivate
            | Kind::NewLeader
            | Kind::UpToDate
            | Kind::Diff
            | Kind::Trunc
            | Kind::Snap
            | Kind::LeaderInfo
            | Kind::InformAndActivate => return Err(LinkError::WrongWay(packet.kind)),
        })
    }

    /// The packet as Java's learner writes it.
    pub fn encode(self) -> QuorumPacket {
        match self {
            FromLearner::Request(request) => request.encode(),
            FromLearner::Ack(zxid) => packet(Kind::Ack, zxid, None),
            FromLearner::Ping {
                last_proposed,
                touched,
            } => {
                let body = written(|w| touched.iter().for_each(|touch| touch.write(w)));
                packet(Kind::Ping, last_proposed, Some(body))
            }
            FromLearner::Revalidate(touch) => {
                let body = written(|w| touch.write(w));
                packet(Kind::Revalidate, NO_ZXID, Some(body))
            }
            FromLearner::FollowerInfo(info) => info.encode(Kind::FollowerInfo),
            FromLearner::ObserverInfo(info) => info.encode(Kind::ObserverInfo),
            FromLearner::AckEpoch {
                last,
                current_epoch,
            } => {
                let epoch = current_epoch.map_or(NOT_COUNTED, |epoch| epoch.0 as i32);
                packet(Kind::AckEpoch, last, Some(written(|w| w.i32(epoch))))
            }
        }
    }
}

impl Forwarded {
    fn decode(mut packet: QuorumPacket) -> Result<Self, LinkError> {
        let auth_info = packet.auth_info.take();
        let mut r = reader(packet)?;
        Ok(Forwarded {
            session: SessionId(r.i64()?),
            cxid: r.i32()?,
            op: OpCode(r.i32()?),
            body: r.take_rest(),
            auth_info,
        })
    }

    /// Appends the packet as Java's learner writes it.
    pub fn write(&self, out: &mut BytesMut) {
        let mut w = Writer::for_file(out);
        w.i32(Kind::Request as i32);
        w.i64(NO_ZXID.0);
        w.i32((FORWARDED_BYTES + self.body.len()) as i32);
        self.write_data(out);
        self.auth_info.write(&mut Writer::for_file(out));
    }

    fn write_data(&self, out: &mut BytesMut) {
        let mut w = Writer::for_file(out);
        w.i64(self.session.0);
        w.i32(self.cxid);
        w.i32(self.op.0);
        out.extend_from_slice(&self.body);
    }

    fn encode(self) -> QuorumPacket {
        let mut data = BytesMut::with_capacity(FORWARDED_BYTES + self.body.len());
        self.write_data(&mut data);
        QuorumPacket {
            auth_info: self.auth_info,
            ..packet(Kind::Request, NO_ZXID, Some(data.freeze()))
        }
    }
}

impl Touch {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Touch {
            session: SessionId(r.i64()?),
            timeout_ms: r.i32()?,
        })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.i64(self.session.0);
        w.i32(self.timeout_ms);
    }

    /// The sessions of a ping; null counts as none. Source: `LearnerHandler.run`.
    fn list(packet: QuorumPacket) -> Result<Vec<Self>, LinkError> {
        let Some(data) = packet.data else {
            return Ok(Vec::new());
        };
        let mut touched = Vec::with_capacity(data.len() / TOUCH_BYTES);
        let mut r = open(data);
        while r.left() > 0 {
            touched.push(Touch::read(&mut r)?);
        }
        Ok(touched)
    }
}

impl Registration {
    /// What a server of this version says of itself.
    pub fn new(accepted_epoch: Epoch, server: ServerId, config_version: i64) -> Self {
        Registration {
            accepted_epoch,
            server: Some(server),
            protocol_version: Some(PROTOCOL_VERSION),
            config_version: Some(config_version),
        }
    }

    fn decode(packet: QuorumPacket) -> Result<Self, LinkError> {
        let accepted_epoch = Zxid(packet.zxid).epoch();
        let mut r = open(packet.data.unwrap_or_default());
        let length = r.left();
        Ok(Registration {
            accepted_epoch,
            server: (length >= 8).then(|| r.i64()).transpose()?.map(ServerId),
            protocol_version: (length >= 12).then(|| r.i32()).transpose()?,
            config_version: (length >= 20).then(|| r.i64()).transpose()?,
        })
    }

    fn encode(&self, kind: Kind) -> QuorumPacket {
        let body = self.server.map(|server| {
            written(|w| {
                w.i64(server.0);
                if let Some(version) = self.protocol_version {
                    w.i32(version);
                    if let Some(version) = self.config_version {
                        w.i64(version);
                    }
                }
            })
        });
        packet(kind, Zxid::first_of(self.accepted_epoch), body)
    }
}

/// Takes the first packet off the front of `stream`, or leaves it alone while not all of that packet is there.
/// `limit` bounds its data, and its identities all together, in bytes; what is longer is refused before it is
/// waited for.
///
/// # Errors
/// [`LinkError::Size`], [`LinkError::Malformed`]; nothing that follows on the link can be understood then.
pub fn take_packet(stream: &mut BytesMut, limit: usize) -> Result<Option<QuorumPacket>, LinkError> {
    let Some(length) = packet_length(stream, limit)? else {
        return Ok(None);
    };
    let bytes = stream.split_to(length).freeze();
    let mut r = Reader::new(bytes, limit);
    Ok(Some(QuorumPacket::read(&mut r)?))
}

/// Bytes of the packet at the front of `stream`, once they are all there.
fn packet_length(stream: &[u8], limit: usize) -> Result<Option<usize>, LinkError> {
    let mut rest = stream;
    let Some(header) = rest.get(KIND_AND_ZXID..) else {
        return Ok(None);
    };
    rest = header;
    if skip_field(&mut rest, "data", limit)?.is_none() || rest.remaining() < 4 {
        return Ok(None);
    }
    // Every count below one is an empty vector, as for Java.
    let count = usize::try_from(rest.get_i32()).unwrap_or(0);
    if count > AUTH_IDS_MAX {
        return Err(LinkError::Size {
            what: "a vector of identities",
            claimed: count as i64,
            limit: AUTH_IDS_MAX,
        });
    }
    let mut allowed = limit;
    for _ in 0..count * 2 {
        match skip_field(&mut rest, "an identity", allowed)? {
            Some(taken) => allowed -= taken,
            None => return Ok(None),
        }
    }
    Ok(Some(stream.len() - rest.len()))
}

/// Steps over a buffer or string; None while it is not all there, else the bytes behind its length.
fn skip_field(
    rest: &mut &[u8],
    what: &'static str,
    limit: usize,
) -> Result<Option<usize>, LinkError> {
    if rest.remaining() < 4 {
        return Ok(None);
    }
    let claimed = rest.get_i32();
    if claimed == -1 {
        return Ok(Some(0));
    }
    let length =
        usize::try_from(claimed).map_err(|_| DecodeError::from(Cause::NegativeLength(claimed)))?;
    if length > limit {
        return Err(LinkError::Size {
            what,
            claimed: claimed.into(),
            limit,
        });
    }
    if length > rest.remaining() {
        return Ok(None);
    }
    rest.advance(length);
    Ok(Some(length))
}

fn packet(kind: Kind, zxid: Zxid, data: Buffer) -> QuorumPacket {
    QuorumPacket {
        kind: kind as i32,
        zxid: zxid.0,
        data,
        auth_info: None,
    }
}

fn data(packet: QuorumPacket) -> Result<Bytes, LinkError> {
    packet.data.ok_or(LinkError::NoData(packet.kind))
}

fn reader(packet: QuorumPacket) -> Result<Reader, LinkError> {
    data(packet).map(open)
}

/// The data of a packet holds no strings of its own to be limited.
fn open(data: Bytes) -> Reader {
    let limit = data.len();
    Reader::new(data, limit)
}

fn written(body: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut out = BytesMut::new();
    body(&mut Writer::for_file(&mut out));
    out.freeze()
}

/// Session, cxid and operation of a forwarded request.
const FORWARDED_BYTES: usize = 8 + 4 + 4;

/// Packet types. Source: `Leader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum Kind {
    Request = 1,
    Proposal = 2,
    Ack = 3,
    Commit = 4,
    Ping = 5,
    Revalidate = 6,
    Sync = 7,
    Inform = 8,
    CommitAndActivate = 9,
    NewLeader = 10,
    FollowerInfo = 11,
    UpToDate = 12,
    Diff = 13,
    Trunc = 14,
    Snap = 15,
    ObserverInfo = 16,
    LeaderInfo = 17,
    AckEpoch = 18,
    InformAndActivate = 19,
}

impl Kind {
    fn of(number: i32) -> Result<Kind, LinkError> {
        Ok(match number {
            1 => Kind::Request,
            2 => Kind::Proposal,
            3 => Kind::Ack,
            4 => Kind::Commit,
            5 => Kind::Ping,
            6 => Kind::Revalidate,
            7 => Kind::Sync,
            8 => Kind::Inform,
            9 => Kind::CommitAndActivate,
            10 => Kind::NewLeader,
            11 => Kind::FollowerInfo,
            12 => Kind::UpToDate,
            13 => Kind::Diff,
            14 => Kind::Trunc,
            15 => Kind::Snap,
            16 => Kind::ObserverInfo,
            17 => Kind::LeaderInfo,
            18 => Kind::AckEpoch,
            19 => Kind::InformAndActivate,
            other => return Err(LinkError::UnknownPacket(other)),
        })
    }
}

/// In packets that stand for no position.
const NO_ZXID: Zxid = Zxid(-1);

/// The epoch in an ACKEPOCH that must not be counted.
const NOT_COUNTED: i32 = -1;

/// Bytes of a session and its timeout.
const TOUCH_BYTES: usize = 12;

/// Bytes in front of a packet's data.
const KIND_AND_ZXID: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn bytes_of(packet: &QuorumPacket) -> BytesMut {
        let mut out = BytesMut::new();
        packet.write(&mut Writer::for_file(&mut out));
        out
    }

    fn blob() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn zxid() -> impl Strategy<Value = Zxid> {
        any::<i64>().prop_map(Zxid)
    }

    fn from_leader() -> impl Strategy<Value = FromLeader> {
        let session = any::<i64>().prop_map(SessionId);
        let server = any::<i64>().prop_map(ServerId);
        prop_oneof![
            (zxid(), blob()).prop_map(|(zxid, txn)| FromLeader::Proposal { zxid, txn }),
            zxid().prop_map(FromLeader::Commit),
            zxid().prop_map(|last_proposed| FromLeader::Ping { last_proposed }),
            (session, any::<bool>())
                .prop_map(|(session, valid)| FromLeader::Revalidated { session, valid }),
            Just(FromLeader::Sync),
            (zxid(), blob()).prop_map(|(zxid, txn)| FromLeader::Inform { zxid, txn }),
            (zxid(), server.clone())
                .prop_map(|(zxid, leader)| FromLeader::CommitAndActivate { zxid, leader }),
            (zxid(), prop::option::of(blob()))
                .prop_map(|(zxid, config)| FromLeader::NewLeader { zxid, config }),
            Just(FromLeader::UpToDate),
            zxid().prop_map(FromLeader::Diff),
            zxid().prop_map(FromLeader::Trunc),
            zxid().prop_map(FromLeader::Snap),
            (any::<i32>(), any::<i32>()).prop_map(|(epoch, protocol_version)| {
                let epoch = Epoch(epoch.into());
                FromLeader::LeaderInfo {
                    epoch,
                    protocol_version,
                }
            }),
            (zxid(), server, blob()).prop_map(|(zxid, leader, txn)| {
                FromLeader::InformAndActivate { zxid, leader, txn }
            }),
        ]
    }

    fn registration() -> impl Strategy<Value = Registration> {
        let told = prop::option::of((any::<i64>(), prop::option::of(version())));
        (any::<i32>(), told).prop_map(|(epoch, told)| {
            let versions = told.and_then(|(_, versions)| versions);
            Registration {
                accepted_epoch: Epoch(epoch.into()),
                server: told.map(|(server, _)| ServerId(server)),
                protocol_version: versions.map(|(protocol, _)| protocol),
                config_version: versions.and_then(|(_, config)| config),
            }
        })
    }

    fn version() -> impl Strategy<Value = (i32, Option<i64>)> {
        (any::<i32>(), any::<Option<i64>>())
    }

    fn from_learner() -> impl Strategy<Value = FromLearner> {
        let touch = (any::<i64>(), any::<i32>()).prop_map(|(session, timeout_ms)| Touch {
            session: SessionId(session),
            timeout_ms,
        });
        let id = ("[a-z]{0,6}", prop::option::of("\\PC{0,6}")).prop_map(|(scheme, id)| Id {
            scheme: Some(scheme.as_str().into()),
            id: id.map(|id| id.as_str().into()),
        });
        let auth_info = prop::option::of(prop::collection::vec(id, 0..4));
        prop_oneof![
            (any::<i64>(), any::<i32>(), any::<i32>(), blob(), auth_info).prop_map(
                |(session, cxid, op, body, auth_info)| FromLearner::Request(Forwarded {
                    session: SessionId(session),
                    cxid,
                    op: OpCode(op),
                    body,
                    auth_info,
                })
            ),
            zxid().prop_map(FromLearner::Ack),
            (zxid(), prop::collection::vec(touch.clone(), 0..5)).prop_map(
                |(last_proposed, touched)| FromLearner::Ping {
                    last_proposed,
                    touched
                }
            ),
            touch.prop_map(FromLearner::Revalidate),
            registration().prop_map(FromLearner::FollowerInfo),
            registration().prop_map(FromLearner::ObserverInfo),
            (zxid(), prop::option::of(0..i32::MAX)).prop_map(|(last, epoch)| {
                FromLearner::AckEpoch {
                    last,
                    current_epoch: epoch.map(|epoch| Epoch(epoch.into())),
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_a_leader_says_comes_back_the_same(said in from_leader()) {
            let mut stream = bytes_of(&said.clone().encode());
            let packet = take_packet(&mut stream, LIMIT).unwrap().unwrap();
            prop_assert!(stream.is_empty());
            prop_assert_eq!(FromLeader::decode(packet), Ok(said));
        }

        #[test]
        fn what_a_learner_says_comes_back_the_same(said in from_learner()) {
            let mut stream = bytes_of(&said.clone().encode());
            let packet = take_packet(&mut stream, LIMIT).unwrap().unwrap();
            prop_assert!(stream.is_empty());
            prop_assert_eq!(FromLearner::decode(packet), Ok(said));
        }

        #[test]
        fn any_bytes_are_packets_or_errors_or_wait_for_more(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = take_packet(&mut stream, 64) {
                let _ = FromLeader::decode(packet.clone());
                let _ = FromLearner::decode(packet);
            }
        }

        #[test]
        fn any_data_of_any_type_decodes_or_is_refused(
            kind in 0..21i32,
            zxid in any::<i64>(),
            data in prop::option::of(blob()),
        ) {
            let packet = QuorumPacket { kind, zxid, data, auth_info: None };
            let _ = FromLeader::decode(packet.clone());
            let _ = FromLearner::decode(packet);
        }

        #[test]
        fn a_part_of_a_packet_is_left_alone(said in from_learner(), cut in any::<prop::sample::Index>()) {
            let whole = bytes_of(&said.encode());
            let part = &whole[..cut.index(whole.len())];
            let mut stream = BytesMut::from(part);
            prop_assert_eq!(take_packet(&mut stream, LIMIT), Ok(None));
            prop_assert_eq!(&stream[..], part);
        }
    }

    #[test]
    fn every_type_travels_its_own_way_only() {
        const BOTH: [i32; 2] = [Kind::Ping as i32, Kind::Revalidate as i32];
        for kind in 1..=19 {
            let packet = QuorumPacket {
                kind,
                zxid: 0,
                data: Some(Bytes::from_static(&[0; 24])),
                auth_info: None,
            };
            let from_leader = FromLeader::decode(packet.clone());
            let from_learner = FromLearner::decode(packet);
            let wrong = [
                from_leader == Err(LinkError::WrongWay(kind)),
                from_learner == Err(LinkError::WrongWay(kind)),
            ];
            let refusals = wrong.iter().filter(|wrong| **wrong).count();
            assert_eq!(refusals, usize::from(!BOTH.contains(&kind)), "type {kind}");
        }
        for kind in [0, 20, -1] {
            let packet = QuorumPacket {
                kind,
                ..QuorumPacket::default()
            };
            let unknown = LinkError::UnknownPacket(kind);
            assert_eq!(FromLeader::decode(packet.clone()), Err(unknown.clone()));
            assert_eq!(FromLearner::decode(packet), Err(unknown));
        }
    }

    #[test]
    fn an_empty_packet_is_twenty_bytes() {
        let bytes = bytes_of(&FromLeader::UpToDate.encode());
        assert_eq!(bytes[..4], [0, 0, 0, 12]);
        assert_eq!(bytes[4..], [0xff; 16]);
    }

    #[test]
    fn a_ping_without_touches_is_answered_with_empty_data_not_null() {
        let pong = FromLearner::Ping {
            last_proposed: Zxid(5),
            touched: vec![],
        };
        assert_eq!(pong.encode().data, Some(Bytes::new()));
    }

    #[test]
    fn a_ping_with_half_a_touch_is_refused() {
        let packet = QuorumPacket {
            data: Some(Bytes::from_static(&[0; 13])),
            ..packet(Kind::Ping, Zxid(5), None)
        };
        assert!(matches!(
            FromLearner::decode(packet),
            Err(LinkError::Malformed(_))
        ));
    }

    #[test]
    fn a_learner_may_say_less_of_itself() {
        let info = |length: usize| {
            let data = Some(Bytes::from(vec![1; length]));
            match FromLearner::decode(packet(Kind::FollowerInfo, Zxid(3 << 32 | 7), data)) {
                Ok(FromLearner::FollowerInfo(info)) => info,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(info(7).accepted_epoch, Epoch(3));
        assert_eq!(info(7).server, None);
        assert_eq!(info(11).server, Some(ServerId(0x0101_0101_0101_0101)));
        assert_eq!(info(11).protocol_version, None);
        assert_eq!(info(19).protocol_version, Some(0x0101_0101));
        assert_eq!(info(19).config_version, None);
        assert_eq!(info(24).config_version, Some(0x0101_0101_0101_0101));
    }

    #[test]
    fn sizes_are_refused_before_they_are_waited_for() {
        let mut stream = BytesMut::from(&[0; 12][..]);
        stream.extend_from_slice(&65i32.to_be_bytes());
        assert_eq!(
            take_packet(&mut stream, 64),
            Err(LinkError::Size {
                what: "data",
                claimed: 65,
                limit: 64
            })
        );
        let mut stream = BytesMut::from(&[0; 12][..]);
        stream.extend_from_slice(&(-2i32).to_be_bytes());
        assert!(take_packet(&mut stream, 64).is_err());
        let mut stream = BytesMut::from(&[0; 12][..]);
        stream.extend_from_slice(&(-1i32).to_be_bytes());
        stream.extend_from_slice(&i32::MAX.to_be_bytes());
        assert!(take_packet(&mut stream, 64).is_err());
        // Two identities of 40 bytes each are more than 64 bytes together.
        let mut stream = BytesMut::from(&[0; 12][..]);
        stream.extend_from_slice(&(-1i32).to_be_bytes());
        stream.extend_from_slice(&1i32.to_be_bytes());
        stream.extend_from_slice(&40i32.to_be_bytes());
        stream.extend_from_slice(&[b'a'; 40]);
        stream.extend_from_slice(&40i32.to_be_bytes());
        assert!(take_packet(&mut stream, 64).is_err());
    }
}
