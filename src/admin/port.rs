//! HTTP ports for operators: what is served is their owner's.
//!
//! A port must not be able to harm the server: connections, headers and idle time are bounded.

mod idle;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use self::idle::{Busy, Idle};
use super::answer::{Body, whole};
use crate::client_port::Stop;
use crate::config::limits;

/// What is served on a port.
pub trait Site: Send + Sync + 'static {
    /// What for.
    const PURPOSE: Purpose;

    /// How long nothing may move on a connection; `None`: for ever.
    fn idle_timeout(&self) -> Option<Duration>;

    /// The answer to one request of `remote`.
    fn respond(
        &self,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// What a port is for, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Who listens.
    pub name: &'static str,
    /// The keys that change where, or whether.
    pub keys: &'static str,
}

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} cannot listen on {address}:{port}: {cause}; is another server running there? ({})",
    .purpose.name, .purpose.keys
)]
pub struct BindError {
    purpose: Purpose,
    address: String,
    port: u16,
    cause: io::Error,
}

/// An open port.
pub struct HttpPort {
    listener: TcpListener,
}

/// Opens the port. The address `0.0.0.0` is every one of the machine, IPv6 and IPv4 alike, as in Java.
///
/// # Errors
/// Names the address and why it cannot be had.
pub async fn bind(purpose: Purpose, address: &str, port: u16) -> Result<HttpPort, BindError> {
    let bound = match address {
        "0.0.0.0" => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6 has only the other.
            Err(_) => TcpListener::bind((address, port)).await,
            bound => bound,
        },
        address => TcpListener::bind((address, port)).await,
    };
    let failed = |cause| BindError {
        purpose,
        address: address.to_owned(),
        port,
        cause,
    };
    Ok(HttpPort {
        listener: bound.map_err(failed)?,
    })
}

impl HttpPort {
    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, each connection on a task that `tasks` tracks. Those that are open then get their answers,
    /// unless these take long.
    pub async fn run<S: Site>(self, site: S, stop: Stop, tasks: TaskTracker) {
        let (site, name) = (Arc::new(site), S::PURPOSE.name);
        let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.requested() => return,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("{name} cannot accept a connection: {error}; trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                let most = limits::ADMIN_CONNECTIONS;
                tracing::debug!("{remote}: closed, {name} has {most} connections already");
                continue;
            };
            let (site, stop) = (site.clone(), stop.clone());
            tasks.spawn(async move {
                serve(site, stream, remote.ip().to_canonical(), stop).await;
                drop(place);
            });
        }
    }
}

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long an answer may still take when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub async fn serve<S: Site>(
    site: Arc<S>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    remote: IpAddr,
    stop: Stop,
) {
    let busy = Busy::default();
    let idle = site.idle_timeout();
    let io = TokioIo::new(Idle::new(stream, idle, busy.clone()));
    let served = site;
    let service = service_fn(move |request| {
        let (site, busy) = (served.clone(), busy.begin());
        async move {
            let response = site.respond(request, remote).await;
            Ok::<_, Infallible>(response.map(|body| busy.until_sent(body)))
        }
    });
    let mut http = http1::Builder::new();
    // A client that says no more may still want its answer.
    http.half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(limits::ADMIN_HEADER_BYTES);
    let mut connection = http.serve_connection(io, service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.requested() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => return report::<S>(remote, ended),
                Err(_) => return,
            }
        }
    };
    if ended.as_ref().is_err_and(hyper::Error::is_parse) {
        read_the_rest(connection.into_parts().io.into_inner()).await;
    }
    report::<S>(remote, ended);
}

fn report<S: Site>(remote: IpAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!("{remote}: connection to {} ended: {error}", S::PURPOSE.name);
    }
}

/// How long, and how many bytes of it, a refused request is read on.
const REST: (Duration, u64) = (Duration::from_secs(1), 1 << 20);

/// Reads on behind a request that was refused: closed with bytes unread, the connection would be reset, and the client
/// might lose the answer that says why.
async fn read_the_rest(io: Idle<impl AsyncRead + Unpin>) {
    let (patience, most) = REST;
    let rest = async { tokio::io::copy(&mut io.take(most), &mut tokio::io::sink()).await };
    // Whether it ended, failed or was too much: the connection is closed.
    let _ = tokio::time::timeout(patience, rest).await;
}

/// A short text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Nothing but the methods there are.
pub(super) fn allowing(status: StatusCode, methods: &str) -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = status;
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}
