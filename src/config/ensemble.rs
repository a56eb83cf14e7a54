//! Who is in an ensemble: `server.N` lines, groups, weights and the version of a configuration.
//! Parses and prints them as Java does; decides nothing about quorums.
//!
//! ```text
//! server.<sid> = <address>{"|"<address>} [ ";" [<host>":"]<port> ]
//! address      = <host>":"<quorum port>":"<election port>[":"participant | ":"observer]
//! host         = name, IPv4 address, or "["IPv6 address"]"
//! group.<gid>  = <sid>{":"<sid>}        weight.<sid> = <number>        version = <hexadecimal>
//! ```
//! Source: `QuorumPeer.QuorumServer`, `QuorumMaj`, `QuorumHierarchical`,
//! `QuorumPeerConfig.parseDynamicConfig`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_until};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::raw::{RawEntry, java_trim};
use super::{java_order, numbers};

/// A port, on one address or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without the brackets of IPv6; `None` for every address of the machine.
    pub host: Option<String>,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

impl HostPort {
    /// Whether it stands for every address of the machine, by omission or by a literal such as
    /// `0.0.0.0`.
    pub fn is_wildcard(&self) -> bool {
        let literal = self
            .host
            .as_deref()
            .map(|host| host.parse().map(|ip: IpAddr| ip.is_unspecified()));
        literal.is_none_or(|parsed| parsed == Ok(true))
    }
}

/// `host:port`, with brackets around IPv6 and `0.0.0.0` for every address.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("0.0.0.0");
        write!(f, "{}:{}", Bracketed(host), self.port)
    }
}

/// Whether a server votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Votes in elections and on transactions.
    #[default]
    Participant,
    /// Learns what was decided.
    Observer,
}

impl Role {
    /// Reads a role in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = java_trim(text);
        if text.eq_ignore_ascii_case("observer") {
            return Some(Self::Observer);
        }
        text.eq_ignore_ascii_case("participant")
            .then_some(Self::Participant)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

/// One of the addresses at which the other servers reach a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// Name or address, without the brackets of IPv6. Names are resolved when used.
    pub host: String,
    /// Port on which the server listens while it leads.
    pub quorum_port: u16,
    /// Port for election notifications.
    pub election_port: u16,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// At least one.
    pub addresses: Vec<PeerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where it serves clients, if its line says so.
    pub client: Option<HostPort>,
}

/// Why the value of a `server.N` key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Too few or too many parts.
    #[error("must have the form host:port:port[:role][|...][;[host:]port]")]
    Form,
    /// A port is not a number from 0 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// Java's words, which mean the quorum port and the election port.
    #[error("Client and election port must be different")]
    SamePort,
    /// Neither of the two roles.
    #[error("{0:?} is not a role: participant or observer")]
    Role(String),
    /// Two addresses of one server say different roles.
    #[error("its addresses have different roles")]
    Roles,
    /// Several addresses are an option that has to be switched on.
    #[error("several addresses need multiAddress.enabled=true")]
    MultiAddress,
}

impl Member {
    /// Reads the value of a `server.N` key.
    pub fn parse(text: &str, multi_address: bool) -> Result<Self, MemberError> {
        let halves = java_split(text, ';');
        let (servers, client) = match halves.as_slice() {
            [servers] => (*servers, None),
            [servers, client] => (*servers, Some(parse_client(client)?)),
            _ => return Err(MemberError::Form),
        };
        let parts = java_split(servers, '|');
        if parts.len() > 1 && !multi_address {
            return Err(MemberError::MultiAddress);
        }
        let (mut addresses, mut role) = (Vec::new(), None);
        for part in parts {
            let (address, said) = parse_address(part)?;
            addresses.push(address);
            if role.is_some() && said.is_some() && role != said {
                return Err(MemberError::Roles);
            }
            role = role.or(said);
        }
        if addresses.is_empty() {
            return Err(MemberError::Form);
        }
        Ok(Self {
            addresses,
            role: role.unwrap_or_default(),
            client,
        })
    }
}

/// The value of a `server.N` key as Java writes it: addresses by host, the role always.
/// Source: `QuorumServer.toString`.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<_> = self.addresses.iter().collect();
        addresses.sort_by_cached_key(|address| java_host(&address.host).into_owned());
        for (number, address) in addresses.into_iter().enumerate() {
            let separator = if number == 0 { "" } else { "|" };
            let PeerAddress {
                host,
                quorum_port,
                election_port,
            } = address;
            write!(
                f,
                "{separator}{}:{quorum_port}:{election_port}",
                Bracketed(host)
            )?;
        }
        write!(f, ":{}", self.role)?;
        self.client
            .as_ref()
            .map_or(Ok(()), |client| write!(f, ";{client}"))
    }
}

/// The servers of an ensemble at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// By server id.
    pub members: BTreeMap<i64, Member>,
    /// Group of each server, if quorums are hierarchical; without an entry there are no groups.
    pub groups: BTreeMap<i64, i64>,
    /// Weight of servers whose weight is not 1.
    pub weights: BTreeMap<i64, i64>,
    /// Version of the configuration: the zxid of the reconfiguration that made it.
    pub version: i64,
    /// Number of keys beside which the servers were written, on which the order of some texts depends.
    keys: usize,
}

/// A line that is not part of a well-formed ensemble, or with no line, what the lines are together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsembleFault {
    /// Where it is written.
    pub line: Option<usize>,
    /// The key with its value, and what is wrong with it.
    pub text: String,
}

impl Ensemble {
    /// Reads the keys of a file that are about the ensemble and passes over all others. What is
    /// well-formed is in the result whatever else is at fault.
    pub fn parse(entries: &[RawEntry], multi_address: bool) -> (Self, Vec<EnsembleFault>) {
        let (mut ensemble, mut faults) = (Self::default(), Vec::new());
        ensemble.keys = entries.len();
        for entry in entries {
            if let Err(why) = ensemble.take(entry, multi_address) {
                let text = format!("{}={}: {why}", entry.key, entry.value);
                faults.push(EnsembleFault {
                    line: Some(entry.line),
                    text,
                });
            }
        }
        if ensemble.is_hierarchical() {
            let lost = |(sid, member): &(&i64, &Member)| {
                member.role == Role::Participant && !ensemble.groups.contains_key(sid)
            };
            for (sid, _) in ensemble.members.iter().filter(lost) {
                let text = format!("server.{sid}: must be in a group, because there are groups");
                faults.push(EnsembleFault { line: None, text });
            }
        }
        (ensemble, faults)
    }

    fn take(&mut self, entry: &RawEntry, multi_address: bool) -> Result<(), String> {
        let RawEntry { key, value, .. } = entry;
        // Java takes what follows the first dot, and the whole key where there is none.
        let number = || {
            let digits = key
                .split_once('.')
                .map_or(key.as_str(), |(_, digits)| digits);
            numbers::parse_decimal(digits).ok_or("a number must follow the dot".to_owned())
        };
        if key.starts_with("server.") {
            let member = Member::parse(value, multi_address).map_err(|error| error.to_string())?;
            if self.members.insert(number()?, member).is_some() {
                return Err("this server is given twice".to_owned());
            }
        } else if key.starts_with("group") {
            let group = number()?;
            for text in java_split(value, ':') {
                let sid =
                    numbers::parse_decimal(text).ok_or(format!("{text:?} is not a server"))?;
                if self.groups.insert(sid, group).is_some() {
                    return Err(format!("server {sid} is in several groups"));
                }
            }
        } else if key.starts_with("weight") {
            let weight = numbers::parse_decimal(value).ok_or("must be a number")?;
            self.weights.insert(number()?, weight);
        } else if key == "version" {
            self.version = numbers::parse_hex(value).ok_or("must be a hexadecimal number")?;
        }
        Ok(())
    }

    /// Whether quorums are counted by groups.
    pub fn is_hierarchical(&self) -> bool {
        !self.groups.is_empty() || !self.weights.is_empty()
    }

    /// Servers that vote.
    pub fn voters(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.role == Role::Participant)
            .count()
    }

    /// Servers that only learn.
    pub fn observers(&self) -> usize {
        self.members.len() - self.voters()
    }

    /// Takes the version from the name of the dynamic file, if it has one there, as if it were one of its keys.
    pub(super) fn take_version_from(&mut self, name: &str) {
        let version = version_in_name(name);
        self.version = version.unwrap_or(0);
        self.keys += usize::from(version.is_some());
    }

    /// One `key=value` per server, group and weight.
    fn lines(&self) -> Vec<String> {
        let order = java_order::of(self.members.keys().copied(), self.keys).into_iter();
        let members = order.filter_map(|sid| Some((sid, self.members.get(&sid)?)));
        let servers = members.map(|(sid, member)| format!("server.{sid}={member}"));
        let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (sid, gid) in &self.groups {
            groups.entry(*gid).or_default().push(sid.to_string());
        }
        let groups = groups
            .iter()
            .map(|(gid, sids)| format!("group.{gid}={}", sids.join(":")));
        // A hierarchy prints the weight of every voter, also where it is 1 by default.
        let implied = self
            .members
            .iter()
            .filter(|(_, m)| m.role == Role::Participant);
        let mut weights: BTreeMap<i64, i64> = implied.map(|(sid, _)| (*sid, 1)).collect();
        weights.extend(&self.weights);
        let shown = weights.iter().filter(|_| self.is_hierarchical());
        let weights = shown.map(|(sid, weight)| format!("weight.{sid}={weight}"));
        servers.chain(groups).chain(weights).collect()
    }

    /// The text that NEWLEADER, notifications and `/zookeeper/config` carry, byte by byte as Java prints it: a
    /// line per server, observers too, each with its role and with the client address only if its own line has one,
    /// and the version last, without a line end.
    ///
    /// Servers come in the order of Java's hash table, which is that of their numbers as long as these are small.
    /// Source: `QuorumMaj.toString`.
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The text of a dynamic configuration file: sorted lines, no version, no final line end.
    /// Source: `QuorumPeerConfig.writeDynamicConfig`.
    pub fn dynamic_file_text(&self) -> String {
        let mut lines = self.lines();
        lines.sort();
        lines.join("\n")
    }
}

/// The [`text`](Ensemble::text).
impl fmt::Display for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}

/// Version in the name of a dynamic file: `zoo.cfg.dynamic.100000001` has 0x100000001. `None` where
/// there is none, which means 0. Source: `QuorumPeerConfig.getVersionFromFilename`.
pub fn version_in_name(file: &str) -> Option<i64> {
    file.rsplit_once('.')
        .and_then(|(_, suffix)| numbers::parse_hex(suffix))
}

/// A host as it is written before a colon.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = java_host(self.0);
        if host.contains(':') {
            write!(f, "[{host}]")
        } else {
            f.write_str(&host)
        }
    }
}

/// A host as Java prints it: of an IPv6 literal all eight numbers, and as IPv4 what stands for IPv4.
/// Source: `Inet6Address.getHostAddress`.
fn java_host(host: &str) -> Cow<'_, str> {
    let Ok(address) = host.parse::<Ipv6Addr>() else {
        return Cow::Borrowed(host);
    };
    if let Some(address) = address.to_ipv4_mapped() {
        return Cow::Owned(address.to_string());
    }
    let numbers = address.segments().map(|number| format!("{number:x}"));
    Cow::Owned(numbers.join(":"))
}

/// Parts between separators, without empty ones at the end. Source: `java.lang.String.split`.
fn java_split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

/// A host, without its brackets.
fn host(input: &str) -> IResult<&str, &str> {
    let bracketed = delimited(tag("["), take_until("]"), tag("]"));
    alt((bracketed, take_till(|c| c == ':' || c == '['))).parse(input)
}

/// The host and what follows it between colons.
fn host_and_parts(text: &str) -> Result<(&str, Vec<&str>), MemberError> {
    let (rest, host) = host(text).map_err(|_| MemberError::Form)?;
    if rest.is_empty() {
        return Ok((host, Vec::new()));
    }
    let parts = rest.strip_prefix(':').ok_or(MemberError::Form)?;
    Ok((host, java_split(parts, ':')))
}

fn parse_port(text: &str) -> Result<u16, MemberError> {
    let number = numbers::parse_decimal(text).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| MemberError::Port(text.to_owned()))
}

fn parse_client(text: &str) -> Result<HostPort, MemberError> {
    match host_and_parts(text)? {
        (port, parts) if parts.is_empty() => Ok(HostPort {
            host: Some("0.0.0.0".to_owned()),
            port: parse_port(port)?,
        }),
        (host, parts) => match parts.as_slice() {
            [port] => Ok(HostPort {
                host: Some(host.to_owned()),
                port: parse_port(port)?,
            }),
            _ => Err(MemberError::Form),
        },
    }
}

fn parse_address(text: &str) -> Result<(PeerAddress, Option<Role>), MemberError> {
    let (host, parts) = host_and_parts(text)?;
    let (quorum, election, role) = match parts.as_slice() {
        [quorum, election] => (quorum, election, None),
        [quorum, election, role] => (quorum, election, Some(role)),
        _ => return Err(MemberError::Form),
    };
    let (quorum_port, election_port) = (parse_port(quorum)?, parse_port(election)?);
    if quorum_port == election_port {
        return Err(MemberError::SamePort);
    }
    let read = |text: &&str| Role::parse(text).ok_or_else(|| MemberError::Role((*text).to_owned()));
    let role = role.map(read).transpose()?;
    Ok((
        PeerAddress {
            host: host.to_owned(),
            quorum_port,
            election_port,
        },
        role,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::raw::RawConfig;

    fn printed(text: &str) -> Result<String, MemberError> {
        Member::parse(text, false).map(|member| member.to_string())
    }

    fn ensemble(text: &str) -> (Ensemble, Vec<EnsembleFault>) {
        Ensemble::parse(RawConfig::parse(text.as_bytes()).entries(), false)
    }

    #[test]
    fn a_server_line_is_printed_with_role_and_client_host() {
        let table = [
            ("zk1:2888:3888", "zk1:2888:3888:participant"),
            ("zk1:2888:3888:OBSERVER", "zk1:2888:3888:observer"),
            (
                "zk1:2888:3888;2181",
                "zk1:2888:3888:participant;0.0.0.0:2181",
            ),
            (
                "zk1:2888:3888:Participant;zk1:2181",
                "zk1:2888:3888:participant;zk1:2181",
            ),
            (
                "[::1]:2888:3888;[fe80::2]:2181",
                "[0:0:0:0:0:0:0:1]:2888:3888:participant;[fe80:0:0:0:0:0:0:2]:2181",
            ),
            ("zk1:2888:3888;", "zk1:2888:3888:participant"),
            (":2888:3888", ":2888:3888:participant"),
        ];
        for (text, expected) in table {
            assert_eq!(printed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_malformed_server_line_says_what_is_wrong() {
        use MemberError::{Form, Port, Roles, SamePort};
        let table = [
            ("", Form),
            ("zk1", Form),
            ("zk1:2888", Form),
            ("zk1:1:2:observer:x", Form),
            ("zk1:1:2;2181;2182", Form),
            ("zk1:1:2;a:b:c", Form),
            ("[::1:1:2", Form),
            ("[::1]x:1:2", Form),
            ("zk1:a:2", Port("a".to_owned())),
            ("zk1:1:70000", Port("70000".to_owned())),
            ("zk1:1:2;x", Port("x".to_owned())),
            ("zk1:2888:2888", SamePort),
            ("zk1:1:2:voter", MemberError::Role("voter".to_owned())),
            ("a:1:2|b:1:2", MemberError::MultiAddress),
        ];
        for (text, expected) in table {
            assert_eq!(Member::parse(text, false), Err(expected), "{text}");
        }
        assert_eq!(
            Member::parse("a:1:2:observer|b:1:2:participant", true),
            Err(Roles)
        );
    }

    #[test]
    fn several_addresses_share_the_one_role_that_is_given() {
        let member = Member::parse("b:1:2|a:3:4:observer", true).unwrap();
        assert_eq!(member.role, Role::Observer);
        assert_eq!(member.to_string(), "a:3:4|b:1:2:observer");
    }

    #[test]
    fn an_ensemble_is_printed_as_clients_find_it() {
        let text = "server.2=b:1:2:observer\nserver.1=a:1:2;2181\nversion=100000001\ntickTime=2000";
        let (parsed, faults) = ensemble(text);
        assert_eq!(faults, []);
        assert_eq!((parsed.voters(), parsed.observers()), (1, 1));
        let servers = "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:observer";
        assert_eq!(parsed.dynamic_file_text(), servers);
        assert_eq!(parsed.to_string(), format!("{servers}\nversion=100000001"));
    }

    /// Each case: lines with `< ` as in a file, then lines with `> ` as `QuorumMaj.toString` of 3.9.5 prints them.
    const PRINTED_BY_JAVA: &str = include_str!("testdata/ensemble_texts.txt");

    #[test]
    fn an_ensemble_is_printed_as_java_prints_it() {
        let (mut cases, mut read) = (0, String::new());
        let mut lines = PRINTED_BY_JAVA
            .lines()
            .filter(|line| !line.starts_with('#'))
            .peekable();
        while let Some(line) = lines.next() {
            if let Some(line) = line.strip_prefix("< ") {
                read += &format!("{line}\n");
                continue;
            }
            let mut printed = line.strip_prefix("> ").unwrap().to_owned();
            while let Some(line) = lines.peek().and_then(|line| line.strip_prefix("> ")) {
                printed += &format!("\n{line}");
                lines.next();
            }
            let raw = RawConfig::parse(std::mem::take(&mut read).as_bytes());
            let (parsed, faults) = Ensemble::parse(raw.entries(), true);
            assert_eq!((parsed.text(), faults), (printed, Vec::new()));
            cases += 1;
        }
        assert_eq!(cases, 15);
    }

    #[test]
    fn with_groups_every_voter_must_be_in_exactly_one() {
        let servers = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2:observer\n";
        let (parsed, faults) = ensemble(&format!("{servers}group.1=1:2\nweight.2=0"));
        assert_eq!(faults, []);
        assert!(
            parsed
                .to_string()
                .contains("group.1=1:2\nweight.1=1\nweight.2=0\nversion=0")
        );
        let texts = |text: &str| -> Vec<_> {
            ensemble(&format!("{servers}{text}"))
                .1
                .into_iter()
                .map(|fault| fault.text)
                .collect()
        };
        assert_eq!(
            texts("group.1=1"),
            ["server.2: must be in a group, because there are groups"]
        );
        assert_eq!(
            texts("group.1=1:2\ngroup.2=2"),
            ["group.2=2: server 2 is in several groups"]
        );
        assert_eq!(
            texts("groups=1:2"),
            ["groups=1:2: a number must follow the dot"]
        );
        assert_eq!(
            texts("group.1=1:2\nweight.1=x"),
            ["weight.1=x: must be a number"]
        );
    }

    #[test]
    fn a_server_number_must_be_one() {
        let (_, faults) =
            ensemble("server.a=a:1:2\nserver.=a:1:2\nserver.1=a:1:2\nserver.01=a:1:2");
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [Some(1), Some(2), Some(4)]);
    }

    #[test]
    fn the_version_is_in_the_name_of_a_dynamic_file() {
        assert_eq!(
            version_in_name("conf/zoo.cfg.dynamic.100000001"),
            Some(0x1_0000_0001)
        );
        assert_eq!(version_in_name("zoo.cfg.dynamic"), None);
        assert_eq!(version_in_name("zoo"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}", sid in any::<i64>()) {
            let _ = Member::parse(&text, true);
            ensemble(&format!("server.{sid}={text}\ngroup.{text}={text}\nweight.{sid}={text}"));
        }

        #[test]
        fn what_is_printed_reads_back_the_same(
            text in "[ab]:[0-9]{1,3}:[0-9]{1,3}(:observer)?(;[0-9]{1,3})?"
        ) {
            if let Ok(member) = Member::parse(&text, false) {
                prop_assert_eq!(Member::parse(&member.to_string(), false), Ok(member));
            }
        }
    }
}
