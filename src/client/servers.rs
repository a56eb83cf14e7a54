//! Connection strings: `host:port,host:port/chroot`.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::path::{Chroot, PathError, check_path};

/// The servers of a connection string, and the part of the tree it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    text: String,
    pub(super) addresses: Vec<(String, u16)>,
    pub(super) chroot: Chroot,
}

/// Why a text is no connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServersError {
    /// No server in it.
    #[error("A HostProvider may not be empty!")]
    Empty,
    /// What stands for a port is no number up to 65535.
    #[error("{0}: no port number")]
    Port(String),
    /// The path behind the servers.
    #[error(transparent)]
    Chroot(#[from] PathError),
}

impl Servers {
    /// Reads a connection string. A server without a port has 2181; IPv6 stands in brackets.
    ///
    /// # Errors
    /// No server, a port that is none, or a path that is none.
    /// Source: `ConnectStringParser`.
    pub fn parse(text: &str) -> Result<Servers, ServersError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, "/"),
        };
        check_path(chroot)?;
        let hosts = hosts.split(',').map(str::trim);
        let addresses: Vec<_> = hosts
            .filter(|host| !host.is_empty())
            .map(address)
            .collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(ServersError::Empty);
        }
        Ok(Servers {
            text: text.to_owned(),
            addresses,
            chroot: Chroot::new(chroot),
        })
    }

    /// Name and port of each server.
    pub fn addresses(&self) -> &[(String, u16)] {
        &self.addresses
    }

    /// The servers' name for what a client of this connection string calls `path`.
    pub fn outward(&self, path: &str) -> String {
        self.chroot.outward(path)
    }

    /// Spreads clients over servers: each tries them in an order of its own.
    pub(super) fn shuffle(&mut self, rng: &mut SmallRng) {
        self.addresses.shuffle(rng);
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A generator with a real seed; a fixed one where the system has none, since nothing but spreading depends on it.
pub(super) fn rng() -> SmallRng {
    SmallRng::try_from_os_rng().unwrap_or_else(|_| SmallRng::seed_from_u64(0))
}

const DEFAULT_PORT: u16 = 2181;

fn address(text: &str) -> Result<(String, u16), ServersError> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let port = match port {
        "" => DEFAULT_PORT,
        port => port
            .parse()
            .map_err(|_| ServersError::Port(text.to_owned()))?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_names_servers_and_a_part_of_the_tree() {
        let servers = Servers::parse("a:1, b ,[::1]:3,[::2]/app/x").unwrap();
        let wanted = [("a", 1), ("b", 2181), ("::1", 3), ("::2", 2181)];
        let wanted = wanted.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(servers.addresses, wanted);
        assert_eq!(servers.chroot.outward("/"), "/app/x");
        assert_eq!(Servers::parse("a/").unwrap().chroot.outward("/"), "/");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        assert_eq!(Servers::parse("/app"), Err(ServersError::Empty));
        assert_eq!(Servers::parse(""), Err(ServersError::Empty));
        assert_eq!(
            Servers::parse("a:99999"),
            Err(ServersError::Port("a:99999".into()))
        );
        assert!(matches!(
            Servers::parse("a/b/"),
            Err(ServersError::Chroot(_))
        ));
    }
}
