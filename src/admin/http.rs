//! The AdminServer: HTTP on a port of its own, also while there is no quorum.
//!
//! ```text
//!   /commands        a page of links          /livez /readyz /healthz   for Kubernetes
//!   /commands/NAME   the table of commands    /loglevel                 shown and changed
//!   everything else  404
//! ```
//!
//! It must not be able to harm the server: connections, headers, idle time and answers in work are bounded, and what
//! looks at the server runs beside the tasks of its clients. Source: `JettyAdminServer`.

mod idle;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use self::idle::{Busy, Idle};
use super::answer::{Answer, Body, Call, Query, Upload, whole};
use super::commands::{self, Command, Run};
use super::{Admin, NOT_SERVING, backup, log_level};
use crate::client_port::Stop;
use crate::config::limits;

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "the AdminServer cannot listen on {address}:{port}: {cause}; is another server running there? \
     (admin.serverPort, admin.serverAddress, admin.enableServer=false)"
)]
pub struct BindError {
    address: String,
    port: u16,
    cause: io::Error,
}

/// The open port.
pub struct AdminPort {
    listener: TcpListener,
}

/// Opens the port. The address `0.0.0.0` is every one of the machine, IPv6 and IPv4 alike, as in Java.
///
/// # Errors
/// Names the address and why it cannot be had.
pub async fn bind(address: &str, port: u16) -> Result<AdminPort, BindError> {
    let bound = match address {
        "0.0.0.0" => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6 has only the other.
            Err(_) => TcpListener::bind((address, port)).await,
            bound => bound,
        },
        address => TcpListener::bind((address, port)).await,
    };
    let failed = |cause| BindError {
        address: address.to_owned(),
        port,
        cause,
    };
    Ok(AdminPort {
        listener: bound.map_err(failed)?,
    })
}

impl AdminPort {
    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, each connection on a task that `tasks` tracks. Those that are open then get their answers,
    /// unless these take long.
    pub async fn run(self, admin: Arc<Admin>, stop: Stop, tasks: TaskTracker) {
        let site = Arc::new(Site::new(admin));
        let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.requested() => return,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(
                        "the AdminServer cannot accept a connection: {error}; trying again"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                let most = limits::ADMIN_CONNECTIONS;
                tracing::debug!("{remote}: closed, the AdminServer has {most} connections already");
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

async fn serve(site: Arc<Site>, stream: TcpStream, remote: IpAddr, stop: Stop) {
    let busy = Busy::default();
    let idle = site.admin.config.admin_idle_timeout;
    let io = TokioIo::new(Idle::new(stream, idle, busy.clone()));
    let service = service_fn(move |request| {
        let (site, busy) = (site.clone(), busy.begin());
        async move {
            let response = site.respond(request, remote).await;
            Ok::<_, Infallible>(response.map(|body| busy.until_sent(body)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(limits::ADMIN_HEADER_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("{remote}: connection to the AdminServer ended: {error}");
    }
}

/// What there is to be asked for.
struct Site {
    admin: Arc<Admin>,
    /// Where the commands are, without a slash at its end.
    root: String,
}

impl Site {
    fn new(admin: Arc<Admin>) -> Self {
        Site {
            root: admin
                .config
                .admin_command_url
                .trim_end_matches('/')
                .to_owned(),
            admin,
        }
    }

    async fn respond(&self, request: Request<Incoming>, remote: IpAddr) -> Response<Body> {
        if request.method() == Method::TRACE {
            return plain(StatusCode::FORBIDDEN, "TRACE is not allowed\n");
        }
        let Ok(path) = percent_decode_str(request.uri().path()).decode_utf8() else {
            return plain(StatusCode::BAD_REQUEST, "the path is not UTF-8\n");
        };
        if path == log_level::PATH {
            let query = Query::parse(request.uri().query().unwrap_or_default());
            return log_level::respond(request.method(), &query, remote);
        }
        if let Some(own) = backup::find(&path) {
            return self.own(own, request, remote).await;
        }
        let Some(below) = self.below_root(&path) else {
            return plain(
                StatusCode::NOT_FOUND,
                "nothing here; commands are below /commands\n",
            );
        };
        match *request.method() {
            Method::GET | Method::HEAD | Method::POST => {}
            Method::OPTIONS => return allowing(StatusCode::OK, "GET, HEAD, POST, TRACE, OPTIONS"),
            Method::PUT | Method::DELETE => {
                return allowing(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST, OPTIONS");
            }
            _ => {
                return plain(
                    StatusCode::NOT_IMPLEMENTED,
                    "this method does not exist here\n",
                );
            }
        }
        let below = below.to_owned();
        match below.as_str() {
            "" | "/" => Response::new(whole(self.links())),
            name => self.command(&name[1..], request, remote).await,
        }
    }

    /// What is behind the path of the commands, with its slash.
    fn below_root<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = path.strip_prefix(&self.root)?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }

    /// Source: `JettyAdminServer.commandLinks`.
    fn links(&self) -> String {
        let mut names: Vec<_> = commands::COMMANDS.iter().map(Command::name).collect();
        names.sort_unstable();
        let root = &self.admin.config.admin_command_url;
        let links = names
            .iter()
            .map(|name| format!("<a href=\"{root}/{name}\">{name}</a>\n<br/>\n"));
        links.collect()
    }

    /// Source: `Commands.runCommand`.
    async fn command(
        &self,
        name: &str,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> Response<Body> {
        let Some(command) = commands::find(name) else {
            let error = format!("Unknown command: {name}");
            return Answer::failed(StatusCode::OK, &error).into_response(name);
        };
        let ensemble = self.admin.counters.ensemble();
        if command.needs_server && self.admin.mode(&ensemble).is_none() {
            return Answer::failed(StatusCode::OK, NOT_SERVING).into_response(name);
        }
        let asked = match *request.method() {
            Method::HEAD => Method::GET,
            ref other => other.clone(),
        };
        if asked != command.method {
            return allowing(StatusCode::METHOD_NOT_ALLOWED, command.method.as_str());
        }
        self.run(command, request, remote)
            .await
            .into_response(command.name())
    }

    /// What no other server has, on paths of its own.
    async fn own(
        &self,
        command: &Command,
        request: Request<Incoming>,
        remote: IpAddr,
    ) -> Response<Body> {
        let ensemble = self.admin.counters.ensemble();
        if request.method() != command.method {
            return allowing(StatusCode::METHOD_NOT_ALLOWED, command.method.as_str());
        }
        let answer = match self.admin.mode(&ensemble) {
            None => Answer::failed(StatusCode::SERVICE_UNAVAILABLE, NOT_SERVING),
            Some(_) => self.run(command, request, remote).await,
        };
        answer.into_response(command.name())
    }

    async fn run(&self, command: &Command, request: Request<Incoming>, remote: IpAddr) -> Answer {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        match command.run {
            Run::Look(look) => {
                let answer = self.admin.look(move |admin| look(admin, &query)).await;
                answer.unwrap_or_else(|| {
                    let error = "the command failed; the log says why";
                    Answer::failed(StatusCode::INTERNAL_SERVER_ERROR, error)
                })
            }
            Run::Act(act) => {
                let (head, body) = request.into_parts();
                let call = Call {
                    query,
                    headers: head.headers,
                    remote,
                    upload: Upload::new(body, self.admin.config.admin_idle_timeout),
                };
                act(self.admin.clone(), call).await
            }
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn allowing(status: StatusCode, methods: &str) -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = status;
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}
