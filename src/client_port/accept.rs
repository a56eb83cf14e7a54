//! Accepting connections, and turning some away.
//!
//! Source: `NIOServerCnxnFactory`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

use super::{ClientPort, Stop, Stopping, conn};
use crate::auth;
use crate::replica::conn::Conn;

/// The client port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {cause}; is another server running there? (clientPort, clientPortAddress)"
)]
pub struct BindError {
    address: SocketAddr,
    cause: io::Error,
}

/// Opens the client port. None is every address of the machine, IPv6 and IPv4 alike. `backlog` -1 is the default.
///
/// # Errors
/// Names the address and why it cannot be had.
pub fn bind(host: Option<IpAddr>, port: u16, backlog: i32) -> Result<Listener, BindError> {
    // Java's own default is 50; a burst of reconnecting clients deserves more, and nobody can tell.
    let backlog = u32::try_from(backlog)
        .ok()
        .filter(|n| *n > 0)
        .unwrap_or(1024);
    let listen = |ip: IpAddr| {
        let address = SocketAddr::new(ip, port);
        let open = || {
            let socket = if ip.is_ipv6() {
                TcpSocket::new_v6()
            } else {
                TcpSocket::new_v4()
            }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(backlog)
        };
        open().map_err(|cause| BindError { address, cause })
    };
    let listener = match host {
        Some(ip) => listen(ip)?,
        // A machine without IPv6 has only the second.
        None => listen(Ipv6Addr::UNSPECIFIED.into())
            .or_else(|_| listen(Ipv4Addr::UNSPECIFIED.into()))?,
    };
    Ok(Listener { listener })
}

/// The open client port.
pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until `stop`, each connection on a task that `tasks` tracks.
    pub async fn run(self, port: Arc<ClientPort>, stop: Stop, tasks: TaskTracker) {
        let census = Arc::new(Census::default());
        let ids = AtomicU64::new(1);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.requested() => return,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    admit(&port, &census, stream, remote, id, &stop, &tasks);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: what is open goes on, new clients wait.
                    tracing::warn!(
                        "cannot accept a connection: {error}; trying again, and nobody is let in until it \
                         works: if it is about open files, raise their limit (ulimit -n) or lower maxCnxns"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

fn admit(
    port: &Arc<ClientPort>,
    census: &Arc<Census>,
    stream: TcpStream,
    remote: SocketAddr,
    id: u64,
    stop: &Stop,
    tasks: &TaskTracker,
) {
    let Some(place) = Census::enter(
        census,
        remote.ip(),
        port.max_per_address,
        port.max_connections,
    ) else {
        port.counters.metrics.connection_rejected.inc();
        port.complaints.say(format_args!(
            "{remote}: refused, too many connections (maxClientCnxns={} from one address, maxCnxns={} in all): \
             find out why it opens so many, or raise the limit",
            port.max_per_address, port.max_connections
        ));
        // The client sees a reset, as from Java.
        let _ = stream.set_zero_linger();
        return;
    };
    let options = stream
        .set_nodelay(true)
        .and_then(|()| match port.keep_alive {
            true => rustix::net::sockopt::set_socket_keepalive(&stream, true).map_err(Into::into),
            false => Ok(()),
        });
    if let Err(error) = options {
        tracing::debug!("{remote}: connection lost before it began: {error}");
        return;
    }
    let identities = auth::initial(remote.ip());
    let conn = Arc::new(Conn::new(id, remote, identities, port.clock.now().wall));
    port.gate.add_conn(conn.clone());
    let serving = conn::serve(port.clone(), stream, conn, Stopping::new(stop));
    tasks.spawn(async move {
        serving.await;
        drop(place);
    });
}

/// Open connections by address.
#[derive(Default)]
struct Census(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize, FxBuildHasher>,
}

/// One counted connection; leaves the count when dropped.
struct Place {
    census: Arc<Census>,
    address: IpAddr,
}

impl Census {
    /// None if there is no room. A limit of 0 is none.
    fn enter(
        census: &Arc<Self>,
        address: IpAddr,
        per_address: usize,
        total: usize,
    ) -> Option<Place> {
        let mut counts = census.0.lock();
        let here = counts.by_address.get(&address).copied().unwrap_or(0);
        if (per_address > 0 && here >= per_address) || (total > 0 && counts.total >= total) {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, here + 1);
        Some(Place {
            census: census.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock();
        counts.total -= 1;
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let census = Arc::new(Census::default());
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = Census::enter(&census, a, 1, 2);
        assert!(first.is_some());
        assert!(Census::enter(&census, a, 1, 2).is_none(), "per address");
        let second = Census::enter(&census, b, 1, 2);
        assert!(second.is_some());
        assert!(
            Census::enter(&census, [127, 0, 0, 3].into(), 1, 2).is_none(),
            "in all"
        );
        drop(first);
        assert!(Census::enter(&census, a, 1, 2).is_some());
    }
}
