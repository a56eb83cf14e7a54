//! What the election port and the quorum port have in common: listening, finding and reaching other servers, and
//! complaining about them without flooding the log.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;

/// A host, by name or address, and a port. Resolved again whenever it is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Every address of the machine, IPv6 and IPv4 alike.
    pub fn everywhere(port: u16) -> Address {
        let host = EVERYWHERE.to_owned();
        Address { host, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A port for other servers could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} for other servers: {cause}; is another server running there? (server.N)"
)]
pub struct ListenError {
    address: Address,
    cause: io::Error,
}

/// How often and how patiently a port is asked for that another process may be about to give up.
/// Source: `QuorumCnxManager.Listener`.
#[derive(Clone, Copy, Debug)]
pub struct BindTries {
    /// Tries in all; 0 never gives up.
    pub most: u32,
    /// Time between two of them.
    pub pause: Duration,
}

/// Opens every one of `addresses`. A name stands for the first of its addresses, IPv4 before IPv6, as in Java.
///
/// # Errors
/// Names the first address that cannot be had.
pub async fn listen(
    addresses: &[Address],
    tries: BindTries,
) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let mut failed = 0;
        listeners.push(loop {
            match listen_once(address).await {
                Ok(listener) => break listener,
                Err(cause) => {
                    failed += 1;
                    let address = address.clone();
                    if failed == tries.most {
                        return Err(ListenError { address, cause });
                    }
                    tracing::warn!(
                        "cannot listen on {address} yet: {cause}; trying again, but if another \
                        process has the port, stop it or change the server.N line"
                    );
                    tokio::time::sleep(tries.pause).await;
                }
            }
        });
    }
    Ok(listeners)
}

async fn listen_once(address: &Address) -> io::Result<TcpListener> {
    let found = resolve(address).await?;
    let first = *found.first().ok_or(io::ErrorKind::NotFound)?;
    match open(first) {
        // A machine without IPv6.
        Err(error) if address.host == EVERYWHERE && error.kind() != io::ErrorKind::AddrInUse => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port))
        }
        opened => opened,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket_for(address)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
}

/// IPv4 before IPv6, as Java orders what it finds.
async fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = lookup_host((address.host.as_str(), address.port))
        .await?
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

/// Connects to whichever of `addresses` answers first: each gets a moment, or until it fails, before the next is tried
/// beside it. Addresses that stand for a whole machine are passed over.
///
/// # Errors
/// What the last one failed with; timing out after `patience` is one way.
pub async fn reach(
    addresses: &[Address],
    patience: Duration,
    keep_alive: bool,
) -> io::Result<TcpStream> {
    let reaching = reach_any(addresses);
    let stream = match tokio::time::timeout(patience, reaching).await {
        Ok(reached) => reached?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    };
    prepare(&stream, keep_alive)?;
    Ok(stream)
}

async fn reach_any(addresses: &[Address]) -> io::Result<TcpStream> {
    race(addresses.to_vec(), |address: Address| async move {
        let mut places = resolve(&address).await?;
        places.retain(|place| !place.ip().is_unspecified());
        race(places, connect).await
    })
    .await
}

/// Tries one after the other, giving each a head start over the next, until one connects.
async fn race<T, F, R>(candidates: Vec<T>, attempt: F) -> io::Result<TcpStream>
where
    F: Fn(T) -> R,
    R: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address to connect to");
    let mut candidates = candidates.into_iter();
    let mut attempts = JoinSet::new();
    loop {
        let next = candidates.next();
        let last = next.is_none();
        if let Some(candidate) = next {
            attempts.spawn(attempt(candidate));
        }
        let moment = if last { Duration::MAX } else { HEAD_START };
        match tokio::time::timeout(moment, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(None) if last => return Err(failure),
            // An attempt that was cut off, no attempt at all, or one that takes its time: on to the next.
            Ok(_) | Err(_) => {}
        }
    }
}

async fn connect(place: SocketAddr) -> io::Result<TcpStream> {
    let stream = socket_for(place)?.connect(place).await?;
    // Where nobody listens, a connection on one machine may get that port for its own end and reach itself.
    match stream.local_addr()? == place {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(stream),
    }
}

/// Sets what every connection between servers has: no delay, and probes by the kernel if asked for.
///
/// # Errors
/// The socket's, which is lost then.
pub fn prepare(stream: &TcpStream, keep_alive: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keep_alive {
        rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    }
    Ok(())
}

/// Says what is wrong with connections, in a line per second at the most.
#[derive(Debug, Default)]
pub struct Complaints {
    state: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// Logs `complaint`, or counts it for the next line.
    pub fn say(&self, complaint: impl fmt::Display) {
        let mut said = self.state.lock();
        let now = Instant::now();
        if said.last.is_some_and(|last| now - last < BETWEEN_LINES) {
            said.unsaid += 1;
            return;
        }
        said.last = Some(now);
        match std::mem::take(&mut said.unsaid) {
            0 => tracing::warn!("{complaint}"),
            unsaid => tracing::warn!("{complaint} ({unsaid} more like this since the last line)"),
        }
    }
}

/// The next connection to `port`. Where none can be had, most likely for want of file descriptors, says so and tries
/// again.
pub async fn accept(
    listener: &TcpListener,
    port: &str,
    complaints: &Complaints,
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => complaints.say(format_args!(
                "{port} cannot accept a connection: {error}; trying again"
            )),
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Stands for all addresses of the machine.
const EVERYWHERE: &str = "::";

/// Connections the system holds for us before they are accepted.
const BACKLOG: u32 = 128;

/// What one address gets before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Complaints may come this often.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> Address {
        let host = "127.0.0.1".to_owned();
        Address { host, port }
    }

    const ONCE: BindTries = BindTries {
        most: 1,
        pause: Duration::ZERO,
    };

    #[tokio::test]
    async fn an_address_that_refuses_does_not_keep_from_the_next() {
        let listeners = listen(&[local(0)], ONCE).await.unwrap();
        let open = listeners[0].local_addr().unwrap().port();
        let closed = listen(&[local(0)], ONCE).await.unwrap()[0]
            .local_addr()
            .unwrap()
            .port();
        let patience = Duration::from_secs(20);
        let reached = reach(&[local(closed), local(open)], patience, true).await;
        assert_eq!(reached.unwrap().peer_addr().unwrap().port(), open);
        let refused = reach(&[local(closed)], patience, false).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[tokio::test]
    async fn an_address_of_a_whole_machine_reaches_nobody() {
        let everywhere = Address {
            host: "0.0.0.0".to_owned(),
            port: 1,
        };
        let refused = reach(&[everywhere], Duration::from_secs(20), false).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_taken_port_is_named_once_the_tries_are_used_up() {
        let taken = listen(&[local(0)], ONCE).await.unwrap();
        let port = taken[0].local_addr().unwrap().port();
        let tries = BindTries {
            most: 3,
            pause: Duration::ZERO,
        };
        let error = listen(&[local(port)], tries).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("127.0.0.1:{port}")),
            "{error}"
        );
    }
}
