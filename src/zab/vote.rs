//! Messages of the election port, and how votes compare.
//!
//! ```text
//!   bytes of a link --- InitialMessage::take ---> who dialled, once
//!                   --- take_frame, Notification::decode ---> what it votes, from then on
//! ```
//!
//! Source: `QuorumCnxManager.InitialMessage`, `FastLeaderElection.WorkerReceiver`, `Vote`.

use std::net::IpAddr;

use bytes::{Buf, Bytes, BytesMut};
use jute::{Reader, Writer};

use super::error::LinkError;
use crate::base::{Epoch, ServerId, Zxid};

/// Longest list of addresses in an initial message, in bytes. Source: `QuorumCnxManager.maxBuffer`.
pub const ADDRESSES_MAX: usize = 2048;

/// Longest frame of the election port, in bytes. Source: `QuorumCnxManager.PACKETMAXSIZE`.
pub const FRAME_MAX: usize = 512 * 1024;

/// Version of the notifications we send, as all servers since 3.5 do.
/// Source: `FastLeaderElection.Notification.CURRENTVERSION`.
pub const NOTIFICATION_VERSION: i32 = 2;

/// First words on an election link: who dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialMessage {
    /// From servers before 3.5: the id alone.
    Legacy(ServerId),
    /// The id and one address. What is sent unless several addresses are switched on.
    V1(ServerId, Vec<ElectionAddress>),
    /// The id and all addresses.
    V2(ServerId, Vec<ElectionAddress>),
}

/// Where a server can be called back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElectionAddress {
    /// Name or address as configured, without the brackets of IPv6.
    pub host: String,
    /// Election port.
    pub port: u16,
}

impl InitialMessage {
    /// Takes the message off the front of `stream`, or leaves the stream alone while not all of it is there (Java
    /// wants it in one piece).
    ///
    /// # Errors
    /// [`LinkError::ElectionVersion`], [`LinkError::Size`], [`LinkError::Address`].
    pub fn take(stream: &mut BytesMut) -> Result<Option<Self>, LinkError> {
        let mut rest = &stream[..];
        if rest.remaining() < 8 {
            return Ok(None);
        }
        let first = rest.get_i64();
        if first >= 0 {
            stream.advance(8);
            return Ok(Some(InitialMessage::Legacy(ServerId(first))));
        }
        if first != VERSION_1 && first != VERSION_2 {
            return Err(LinkError::ElectionVersion(first));
        }
        if rest.remaining() < 12 {
            return Ok(None);
        }
        let server = ServerId(rest.get_i64());
        let length = size("a list of addresses", rest.get_i32(), ADDRESSES_MAX)?;
        if rest.remaining() < length {
            return Ok(None);
        }
        let addresses = ElectionAddress::parse_list(&String::from_utf8_lossy(&rest[..length]))?;
        stream.advance(HEADER_BYTES + length);
        Ok(Some(match first {
            VERSION_1 => InitialMessage::V1(server, addresses),
            _ => InitialMessage::V2(server, addresses),
        }))
    }

    /// Appends the message to `out`. To be sent with one write: Java's acceptor drops a link whose message comes in
    /// two pieces.
    pub fn write(&self, out: &mut BytesMut) {
        let mut w = Writer::for_file(out);
        let (version, server, addresses) = match self {
            InitialMessage::Legacy(server) => return w.i64(server.0),
            InitialMessage::V1(server, addresses) => (VERSION_1, server, addresses),
            InitialMessage::V2(server, addresses) => (VERSION_2, server, addresses),
        };
        w.i64(version);
        w.i64(server.0);
        let texts: Vec<String> = addresses.iter().map(ElectionAddress::to_string).collect();
        w.text(Some(&texts.join("|")));
    }

    /// Who dialled.
    pub fn server(&self) -> ServerId {
        match self {
            InitialMessage::Legacy(server)
            | InitialMessage::V1(server, _)
            | InitialMessage::V2(server, _) => *server,
        }
    }

    /// Where it can be called back: all of its addresses that name a machine. If there are none, its configured
    /// addresses count. A name that only resolves to a wildcard is for the dialler to find out.
    pub fn addresses(&self) -> impl Iterator<Item = &ElectionAddress> {
        let addresses = match self {
            InitialMessage::Legacy(_) => &[],
            InitialMessage::V1(_, addresses) | InitialMessage::V2(_, addresses) => {
                addresses.as_slice()
            }
        };
        addresses.iter().filter(|address| !address.is_wildcard())
    }
}

impl ElectionAddress {
    /// Whether its host is a literal that stands for every address of a machine.
    pub fn is_wildcard(&self) -> bool {
        let literal = self.host.parse().map(|ip: IpAddr| ip.is_unspecified());
        literal == Ok(true)
    }

    /// Java's `split` passes over what is empty at the end.
    fn parse_list(text: &str) -> Result<Vec<Self>, LinkError> {
        let text = match text.trim_end_matches('|') {
            "" => return Err(LinkError::Address(text.to_owned())),
            text => text,
        };
        text.split('|').map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, LinkError> {
        let parts = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once("]:"),
            None => text.split_once(':').filter(|(_, port)| !port.contains(':')),
        };
        let address = parts.and_then(|(host, port)| {
            Some(ElectionAddress {
                host: host.to_owned(),
                port: port.parse().ok()?,
            })
        });
        address.ok_or_else(|| LinkError::Address(text.to_owned()))
    }
}

/// `host:port`, with brackets around IPv6.
impl std::fmt::Display for ElectionAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Takes the body of the first frame off the front of `stream`, or leaves the stream alone while not all of it is
/// there.
///
/// # Errors
/// [`LinkError::Size`] for a length that is not positive or over [`FRAME_MAX`].
pub fn take_frame(stream: &mut BytesMut) -> Result<Option<Bytes>, LinkError> {
    let Some(claimed) = stream.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = size("a frame", i32::from_be_bytes(*claimed), FRAME_MAX)?;
    if stream.len() - 4 < length {
        return Ok(None);
    }
    stream.advance(4);
    Ok(Some(stream.split_to(length).freeze()))
}

fn size(what: &'static str, claimed: i32, limit: usize) -> Result<usize, LinkError> {
    match usize::try_from(claimed) {
        Ok(length) if (1..=limit).contains(&length) => Ok(length),
        _ => Err(LinkError::Size {
            what,
            claimed: claimed.into(),
            limit,
        }),
    }
}

/// What a server is doing. Source: `QuorumPeer.ServerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)] // the names are the field's own
pub enum ServerState {
    Looking = 0,
    Following = 1,
    Leading = 2,
    Observing = 3,
}

/// The number a server sent as its state; any number decodes, because nobody looks at what an observer says here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateCode(pub i32);

impl StateCode {
    /// The state, if the number has a name.
    pub fn state(self) -> Option<ServerState> {
        Some(match self.0 {
            0 => ServerState::Looking,
            1 => ServerState::Following,
            2 => ServerState::Leading,
            3 => ServerState::Observing,
            _ => return None,
        })
    }
}

impl From<ServerState> for StateCode {
    fn from(state: ServerState) -> Self {
        StateCode(state as i32)
    }
}

/// What an election decides on. The order is the order of votes: epoch, then zxid, then server, all signed.
/// Source: `FastLeaderElection.totalOrderPredicate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choice {
    /// Current epoch of the proposed leader.
    pub epoch: Epoch,
    /// Where the proposed leader's history ends.
    pub zxid: Zxid,
    /// The proposed leader.
    pub leader: ServerId,
}

impl Choice {
    /// Whether a server that votes for `other` takes this over. `weight` is the weight of this leader in the
    /// committed configuration; a server without weight never leads.
    pub fn beats(&self, other: &Choice, weight: u64) -> bool {
        weight != 0 && self > other
    }
}

/// A vote as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// For whom.
    pub choice: Choice,
    /// The voter's election round.
    pub round: i64,
    /// What the voter is doing.
    pub state: ServerState,
    /// Version of the notification; 0 for votes of the current round.
    pub version: i32,
}

impl Vote {
    /// Whether two votes count for the same outcome. While one of the voters is LOOKING everything must be equal;
    /// afterwards zxid and round mean nothing any more, because servers do not refresh them when they synchronize.
    /// Source: `Vote.equals`.
    pub fn agrees_with(&self, other: &Vote) -> bool {
        let (mine, theirs) = (&self.choice, &other.choice);
        if self.state == ServerState::Looking || other.state == ServerState::Looking {
            return mine == theirs && self.round == other.round;
        }
        let one_is_older = (self.version > 0) != (other.version > 0);
        mine.leader == theirs.leader && (one_is_older || mine.epoch == theirs.epoch)
    }
}

/// The only message of the election port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender is doing.
    pub state: StateCode,
    /// Whom it proposes, or follows.
    pub choice: Choice,
    /// Its election round.
    pub round: i64,
    /// Version of the message: 0 and 1 come without a configuration.
    pub version: i32,
    /// Text of the sender's committed configuration; not checked to be one.
    pub config: Option<Bytes>,
}

impl Notification {
    /// Reads the body of a frame, in all lengths that Java's receiver understands: 28 (the oldest form, whose epoch
    /// is that of the zxid), 40 (whose version is not looked at), and 41 or more.
    ///
    /// # Errors
    /// [`LinkError::NotificationLength`] for every other length, and for a configuration that is not all there or
    /// longer than the message. Java drops such a message and keeps the link.
    pub fn decode(body: Bytes) -> Result<Self, LinkError> {
        let length = body.len();
        if length < BYTES_28 || (BYTES_28 + 1..BYTES_40).contains(&length) {
            return Err(LinkError::NotificationLength(length));
        }
        let mut r = Reader::new(body, length);
        let state = StateCode(r.i32()?);
        let leader = ServerId(r.i64()?);
        let zxid = Zxid(r.i64()?);
        let round = r.i64()?;
        let epoch = match length {
            BYTES_28 => zxid.epoch(),
            _ => Epoch(r.i64()?),
        };
        let version = match length {
            BYTES_28 | BYTES_40 => 0,
            _ => r.i32()?,
        };
        let mut config = None;
        if version >= NOTIFICATION_VERSION {
            // A null configuration is a negative length to Java.
            let text = r.buffer().ok().flatten();
            config = Some(text.ok_or(LinkError::NotificationLength(length))?);
        }
        Ok(Notification {
            state,
            choice: Choice {
                epoch,
                zxid,
                leader,
            },
            round,
            version,
            config,
        })
    }

    /// A message of the current version.
    pub fn new(state: ServerState, choice: Choice, round: i64, config: Bytes) -> Self {
        Notification {
            state: state.into(),
            choice,
            round,
            version: NOTIFICATION_VERSION,
            config: Some(config),
        }
    }

    /// Appends the message with its frame to `out`. A message without a configuration takes the 40 bytes of its day.
    pub fn write(&self, out: &mut BytesMut) {
        Writer::for_file(out).framed(|w| {
            w.i32(self.state.0);
            w.i64(self.choice.leader.0);
            w.i64(self.choice.zxid.0);
            w.i64(self.round);
            w.i64(self.choice.epoch.0);
            w.i32(self.version);
            if let Some(config) = &self.config {
                w.buffer(Some(config));
            }
        });
    }
}

/// First number of an initial message with one address.
const VERSION_1: i64 = -65536;

/// First number of an initial message with all addresses.
const VERSION_2: i64 = -65535;

/// Version, id and length in front of the addresses.
const HEADER_BYTES: usize = 20;

/// The oldest notification.
const BYTES_28: usize = 28;

/// The notification up to its version.
const BYTES_40: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choice(epoch: i64, zxid: i64, leader: i64) -> Choice {
        Choice {
            epoch: Epoch(epoch),
            zxid: Zxid(zxid),
            leader: ServerId(leader),
        }
    }

    fn notification() -> impl Strategy<Value = Notification> {
        let choice = any::<(i64, i64, i64)>().prop_map(|(e, z, l)| choice(e, z, l));
        let config = prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
        (any::<i32>(), choice, any::<i64>(), config).prop_map(|(state, choice, round, config)| {
            Notification {
                state: StateCode(state),
                choice,
                round,
                version: NOTIFICATION_VERSION,
                config: Some(config),
            }
        })
    }

    fn address() -> impl Strategy<Value = ElectionAddress> {
        ("[a-z0-9.]{1,12}|::1|fe80::2", any::<u16>())
            .prop_map(|(host, port)| ElectionAddress { host, port })
    }

    fn initial_message() -> impl Strategy<Value = InitialMessage> {
        let addresses = || prop::collection::vec(address(), 1..4);
        let server = || any::<i64>().prop_map(ServerId);
        prop_oneof![
            (0..=i64::MAX).prop_map(|id| InitialMessage::Legacy(ServerId(id))),
            (server(), addresses()).prop_map(|(id, list)| InitialMessage::V1(id, list)),
            (server(), addresses()).prop_map(|(id, list)| InitialMessage::V2(id, list)),
        ]
    }

    proptest! {
        #[test]
        fn a_notification_comes_back_the_same(said in notification()) {
            let mut stream = BytesMut::new();
            said.write(&mut stream);
            let body = take_frame(&mut stream).unwrap().unwrap();
            prop_assert!(stream.is_empty());
            prop_assert_eq!(Notification::decode(body), Ok(said));
        }

        #[test]
        fn an_initial_message_comes_back_the_same(
            said in initial_message(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut whole = BytesMut::new();
            said.write(&mut whole);
            let mut part = BytesMut::from(&whole[..cut.index(whole.len())]);
            let before = part.clone();
            prop_assert_eq!(InitialMessage::take(&mut part), Ok(None));
            prop_assert_eq!(part, before);
            prop_assert_eq!(InitialMessage::take(&mut whole), Ok(Some(said)));
            prop_assert!(whole.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(
            version in prop::option::of(prop_oneof![Just(VERSION_1), Just(VERSION_2)]),
            bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut stream = BytesMut::new();
            stream.extend(version.iter().flat_map(|version| version.to_be_bytes()));
            stream.extend_from_slice(&bytes);
            let _ = InitialMessage::take(&mut stream.clone());
            let _ = take_frame(&mut stream);
            let _ = Notification::decode(Bytes::from(bytes));
        }

        #[test]
        fn of_two_choices_at_most_one_beats_the_other(
            a in (0..3i64, 0..3i64, 0..3i64), b in (0..3i64, 0..3i64, 0..3i64),
        ) {
            let (x, y) = (choice(a.0, a.1, a.2), choice(b.0, b.1, b.2));
            prop_assert_eq!(x.beats(&y, 1), a > b);
            prop_assert!(!(x.beats(&y, 1) && y.beats(&x, 1)));
            prop_assert!(!x.beats(&y, 0));
        }
    }

    #[test]
    fn what_an_observer_proposes_is_beaten_by_everything() {
        let observer = choice(i64::MIN, i64::MIN, i64::MIN);
        assert!(choice(-1, -1, 0).beats(&observer, 1));
        assert!(!observer.beats(&choice(0, 0, 1), 1));
    }

    fn body(length: usize, version: i32, config_length: i32) -> Bytes {
        let mut bytes = BytesMut::new();
        Notification {
            state: StateCode(1),
            choice: choice(7, 0x5_0000_0001, 3),
            round: 9,
            version,
            config: None,
        }
        .write(&mut bytes);
        bytes.extend_from_slice(&config_length.to_be_bytes());
        bytes.resize(length.max(48) + 4, b'x');
        bytes.freeze().slice(4..4 + length)
    }

    #[test]
    fn notifications_are_read_in_every_length_that_java_reads() {
        let read = |length, version, config| Notification::decode(body(length, version, config));
        for length in (0..28).chain(29..40) {
            let refused = Err(LinkError::NotificationLength(length));
            assert_eq!(read(length, 2, 0), refused);
        }
        let oldest = read(28, 2, 0).unwrap();
        assert_eq!((oldest.choice.epoch, oldest.version), (Epoch(5), 0));
        let without_version = read(40, 2, 0).unwrap();
        assert_eq!(without_version.choice.epoch, Epoch(7));
        assert_eq!((without_version.version, without_version.config), (0, None));
        for length in 41..60 {
            assert_eq!(read(length, 1, 99).unwrap().config, None);
        }
        for length in 41..44 {
            assert!(read(length, 2, 0).is_err());
        }
        assert_eq!(read(44, 2, 0).unwrap().config, Some(Bytes::new()));
        assert_eq!(read(50, 3, 2).unwrap().config, Some("xx".into()));
        for config in [-1, -2, i32::MIN, 7, 50, i32::MAX] {
            assert!(read(50, 2, config).is_err(), "{config}");
        }
    }

    #[test]
    fn frames_of_impossible_length_are_refused() {
        for length in [0, -1, i32::MIN, FRAME_MAX as i32 + 1, i32::MAX] {
            let mut stream = BytesMut::from(&length.to_be_bytes()[..]);
            assert!(take_frame(&mut stream).is_err(), "{length}");
        }
        let mut stream = BytesMut::from(&(FRAME_MAX as i32).to_be_bytes()[..]);
        assert_eq!(take_frame(&mut stream), Ok(None));
    }

    #[test]
    fn initial_messages_that_java_refuses_are_refused() {
        let message = |version: i64, length: i32, text: &str| {
            let mut stream = BytesMut::new();
            let mut w = Writer::for_file(&mut stream);
            w.i64(version);
            w.i64(1);
            w.i32(length);
            stream.extend_from_slice(text.as_bytes());
            InitialMessage::take(&mut stream)
        };
        for version in [-1, -65534, -65537, i64::MIN] {
            let refused = Err(LinkError::ElectionVersion(version));
            assert_eq!(message(version, 0, ""), refused);
        }
        for length in [0, -1, 2049, i32::MAX] {
            assert!(matches!(
                message(VERSION_1, length, ""),
                Err(LinkError::Size { .. })
            ));
        }
        for text in [
            "a", "a:", "a:b", "a:1:2", "[::1]", "[::1:5", "|", "a:1||b:2", "a:65536",
        ] {
            let answer = message(VERSION_2, text.len() as i32, text);
            assert!(matches!(answer, Err(LinkError::Address(_))), "{text}");
        }
        assert_eq!(message(VERSION_2, 10, "a:1"), Ok(None));
    }

    #[test]
    fn wildcard_addresses_are_passed_over() {
        let list = ElectionAddress::parse_list("0.0.0.0:1|[::]:2|h:3|[::1]:4|").unwrap();
        let message = InitialMessage::V2(ServerId(1), list);
        let left: Vec<String> = message.addresses().map(|a| a.to_string()).collect();
        assert_eq!(left, ["h:3", "[::1]:4"]);
    }

    #[test]
    fn votes_of_a_finished_round_agree_without_zxid_and_round() {
        use ServerState::{Following, Leading, Looking};
        let vote = |state, version, round, choice| Vote {
            choice,
            round,
            state,
            version,
        };
        let following = vote(Following, 2, 5, choice(1, 10, 3));
        assert!(following.agrees_with(&vote(Leading, 2, 6, choice(1, 11, 3))));
        assert!(!following.agrees_with(&vote(Leading, 2, 5, choice(2, 10, 3))));
        assert!(!following.agrees_with(&vote(Leading, 2, 5, choice(1, 10, 2))));
        // A vote without a version may hold an older epoch: the leader alone decides.
        assert!(following.agrees_with(&vote(Leading, 0, 6, choice(2, 11, 3))));
        assert!(!following.agrees_with(&vote(Leading, 0, 6, choice(1, 10, 2))));
        // While somebody is LOOKING everything counts.
        assert!(following.agrees_with(&vote(Looking, 0, 5, choice(1, 10, 3))));
        assert!(!following.agrees_with(&vote(Looking, 0, 6, choice(1, 10, 3))));
        assert!(!following.agrees_with(&vote(Looking, 0, 5, choice(1, 11, 3))));
    }
}
